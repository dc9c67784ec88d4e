/* proxy.c - see proxy.h. */
#include "trust/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/protect.h"
#include "trust/grants.h"

enum { LISTED = 8, SHOWN = 40 /* entries of a list that a message shows, and bytes of each */ };

char *proxy_file_text(struct span name, char out[PROXY_FILE_TEXT])
{
    snprintf(out, PROXY_FILE_TEXT, PROXY_FOLDER "/" SPAN_FMT ".yaml", SPAN_ARG(name));
    return out;
}

static bool is_local(struct span s)
{
    const size_t n = strlen(PROXY_LOCAL);
    return s.n >= n && memcmp(s.p, PROXY_LOCAL, n) == 0;
}

static bool pattern_covers(struct span pattern, struct span principal)
{
    char text[LIMIT_PATH + 1];
    return is_local(pattern) == is_local(principal) && span_copy_str(pattern, text, sizeof text) &&
           grants_glob_matches(text, principal);
}

/* "proxies.d/etl.yaml:6 allows exec, shell" */
static void say_list(const char *file, uint64_t line, const char *verb,
                     const struct wire_list *list, struct buf *out)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    unsigned n = 0;
    buf_add_str(out, file);
    if (line)
        buf_printf(out, ":%llu", (unsigned long long)line);
    buf_printf(out, " %s ", verb);
    while (n < LISTED && wire_next(&it, &item))
        buf_printf(out, "%s%.*s", n++ ? ", " : "", item.n < SHOWN ? (int)item.n : SHOWN,
                   (const char *)item.p);
    if (!list->count)
        buf_add_str(out, "none");
    else if (list->count > n)
        buf_printf(out, " and %u more", list->count - n);
}

static bool subsystem_allowed(const struct d_proxy *p, struct span subsystem)
{
    struct wire_iter it = wire_iter(&p->subsystems);
    struct span item;
    while (wire_next(&it, &item))
        if (span_eq(item, subsystem) || span_eq_str(item, "*"))
            return true;
    return false;
}

static bool principal_allowed(const struct d_proxy *p, struct span principal)
{
    struct wire_iter it = wire_iter(&p->principals);
    struct span item;
    while (wire_next(&it, &item))
        if (pattern_covers(item, principal))
            return true;
    return false;
}

/* A proxy without a file has nothing that could be granted. */
static void say_remedy(const struct d_proxy *p, const char *file, const char *option,
                       struct span value, struct buf *out)
{
    if (strcmp(file, PROXY_IMPLIED) == 0)
        buf_printf(out, "; make a proxy that does: lbctl proxy new NAME --%s " SPAN_FMT, option,
                   SPAN_ARG(value));
    else
        buf_printf(
            out, "; to allow it, run on this server: lbctl proxy grant " SPAN_FMT " --%s " SPAN_FMT,
            SPAN_ARG(p->name), option, SPAN_ARG(value));
}

static int refuse(const struct d_proxy *p, const char *file, const char *option, struct span value,
                  const char *lacks, uint64_t line, const char *verb, const struct wire_list *list,
                  struct error *err)
{
    struct buf says = {0}, remedy = {0};
    say_list(file, line, verb, list, &says);
    say_remedy(p, file, option, value, &remedy);
    int rc = error_set(err, -EACCES, "proxy '" SPAN_FMT "' %s '" SPAN_FMT "' (%s)%s",
                       SPAN_ARG(p->name), lacks, SPAN_ARG(value), buf_str(&says), buf_str(&remedy));
    buf_free(&says);
    buf_free(&remedy);
    return rc;
}

int proxy_judge(const struct d_proxy *p, const char *file, const struct proxy_question *q,
                struct error *err)
{
    if (q->subsystem.n && !subsystem_allowed(p, q->subsystem))
        return refuse(p, file, "subsystem", q->subsystem, "has no access to subsystem",
                      p->subsystems_line, "allows", &p->subsystems, err);
    if (q->principal.n && !principal_allowed(p, q->principal))
        return refuse(p, file, "principal", q->principal, "does not serve principal",
                      p->principals_line, "serves", &p->principals, err);
    return 0;
}

int proxy_judge_signer(const struct d_proxy *p, const char *file, const struct builder *signer,
                       struct error *err)
{
    struct wire_iter it = wire_iter(&p->signers);
    struct span item;
    struct buf line = {0};
    bool allowed = p->any_signer;
    minisign_public_line(&signer->key, &line);
    while (!allowed && wire_next(&it, &item))
        allowed =
            span_eq(item, buf_span(&line)) || (signer->name[0] && span_eq_str(item, signer->name));
    const struct span said = signer->name[0] ? span_str(signer->name) : buf_span(&line);
    int rc = allowed ? 0
                     : refuse(p, file, "signer", said, "accepts no package of signer",
                              p->signers_line, "accepts", &p->signers, err);
    buf_free(&line);
    return rc;
}

int proxy_check_principal(struct span pattern, struct error *err)
{
    struct span s = pattern;
    const bool local = is_local(s);
    const size_t skip = local ? strlen(PROXY_LOCAL) : 0;
    s = span_of(s.p + skip, s.n - skip);
    bool good = s.n > 0 && s.n <= LIMIT_NAME;
    for (size_t i = 0; good && i < s.n; i++) {
        const uint8_t c = s.p[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '*' || (local && ((c >= 'A' && c <= 'Z') || c == '.' || c == '$'));
    }
    if (good)
        return 0;
    return error_set(err, -EINVAL,
                     "'%.*s' is not a pattern of principals; one is a name in which * stands for "
                     "any characters (nightly-*), or local:USER",
                     (int)(pattern.n < 80 ? pattern.n : 80), (const char *)pattern.p);
}

int proxy_check_signer(struct span text, struct error *err)
{
    struct minisign_public key;
    if (minisign_public_parse(text, &key, NULL) == 0)
        return 0;
    bool good = text.n > 0 && text.n <= LIMIT_NAME;
    for (size_t i = 0; good && i < text.n; i++)
        good = text.p[i] >= ' ' && text.p[i] != 0x7f;
    if (good)
        return 0;
    return error_set(err, -EINVAL,
                     "a signer is a minisign public key, or the name above it in trust/signers "
                     "(# NAME)");
}

static bool begins(struct span s, const char *with)
{
    const size_t n = strlen(with);
    return s.n >= n && memcmp(s.p, with, n) == 0;
}

int proxy_check_variable(struct span name, struct error *err)
{
    bool good = name.n > 0 && name.n <= LIMIT_NAME && !(name.p[0] >= '0' && name.p[0] <= '9');
    for (size_t i = 0; good && i < name.n; i++) {
        const uint8_t c = name.p[i];
        good =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (!good)
        return error_set(err, -EINVAL,
                         "'%.*s' is not the name of an environment variable: letters, digits and _",
                         (int)(name.n < 80 ? name.n : 80), (const char *)name.p);
    if (begins(name, "LB_") || span_eq_str(name, "HOME") || span_eq_str(name, "USER") ||
        span_eq_str(name, "LOGNAME"))
        return error_set(err, -EINVAL, "Longboat sets '" SPAN_FMT "' itself", SPAN_ARG(name));
    if (begins(name, "LD_") || span_eq_str(name, "GLIBC_TUNABLES"))
        return error_set(err, -EINVAL,
                         "'" SPAN_FMT "' changes how every program of the step is loaded; set it "
                         "in the package for the program that needs it",
                         SPAN_ARG(name));
    return 0;
}

void proxy_implied(const char *user, struct buf *out)
{
    static const char *const allowed[] = {"exec", "shell", "python", "sql"};
    struct buf subsystems = {0}, principals = {0}, local = {0};
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        wire_add_str(&subsystems, span_str(allowed[i]));
    buf_printf(&local, PROXY_LOCAL "%s", user);
    wire_add_str(&principals, span_str("*"));
    wire_add_str(&principals, buf_span(&local));
    struct d_proxy p = {.name = span_str(PROXY_DEFAULT),
                        .own_groups = true,
                        .any_signer = true,
                        .subsystems = wire_list_from(&subsystems, sizeof allowed / sizeof *allowed),
                        .principals = wire_list_from(&principals, 2),
                        .on = PROXY_IMPLIED_ON};
    d_proxy_encode(&p, out);
    buf_free(&subsystems);
    buf_free(&principals);
    buf_free(&local);
}

int proxy_missing(struct span name, struct error *err)
{
    char file[PROXY_FILE_TEXT];
    return error_set(err, -ENOENT,
                     "this server has no proxy '" SPAN_FMT
                     "' (%s); to make it, run on this server: "
                     "lbctl proxy new " SPAN_FMT " --user USER --principal '*'",
                     SPAN_ARG(name), proxy_file_text(name, file), SPAN_ARG(name));
}
