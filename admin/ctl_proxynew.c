/* ctl_proxynew.c - lbctl proxy new, grant, revoke: the files are written, and who wrote them is
 * kept. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/ctl_proxy.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/jsontext.h"
#include "common/mem.h"
#include "common/termout.h"
#include "package/proxyfile_edit.h"

enum { FILE_BYTES_MAX = 1 << 20 };

char *ctl_proxy_path(const struct ctl_proxy *c)
{
    return mem_printf("%s/%s.yaml", c->here.proxies, c->name);
}

/* Who it was before sudo, if that says so; for people, not for rights. */
static void say_who(struct buf *out)
{
    const char *before = getenv("SUDO_USER");
    const struct passwd *pw = getpwuid(getuid());
    buf_add_str(out, ",\"by\":");
    json_escape(out, span_str(before && *before ? before : pw ? pw->pw_name : "?"));
    buf_printf(out, ",\"uid\":%u", (unsigned)getuid());
}

static int keep_log(const struct ctl_proxy *c, const char *verb, const char *what,
                    struct error *err)
{
    struct buf line = {0};
    char at[CLOCK_TEXT], *path = mem_printf("%s/proxies.log", c->paths.config);
    int rc = 0;
    const struct {
        const char *key, *text;
    } rows[] = {{"verb", verb},
                {"proxy", c->name},
                {"change", what},
                {"reason", opt_str(c->values, "reason")}};
    buf_printf(&line, "{\"v\":1,\"at\":\"%s\"", clock_format(clock_wall_ms(), at));
    say_who(&line);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        buf_printf(&line, ",\"%s\":", rows[i].key);
        json_escape(&line, span_str(rows[i].text));
    }
    buf_add_str(&line, "}\n");
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || file_write_all(fd, line.p, line.n) < 0)
        rc = error_errno(err, errno, "cannot write '%s'", path);
    if (fd >= 0)
        close(fd);
    buf_free(&line);
    mem_free(&path);
    return rc;
}

/* Whoever may look into etc may read what is in there: `lbworker check`, as another user. */
static int make_folder(const char *folder, struct error *err)
{
    if (mkdir(folder, 0755) < 0)
        return errno == EEXIST ? 0 : error_errno(err, errno, "cannot make the folder '%s'", folder);
    return chmod(folder, 0755) == 0
               ? 0
               : error_errno(err, errno, "cannot open the folder '%s' for readers", folder);
}

int ctl_proxy_write(const struct ctl_proxy *c, struct span text, const char *verb, const char *what,
                    struct error *err)
{
    char *path = ctl_proxy_path(c);
    int rc = make_folder(c->here.proxies, err);
    if (rc == 0)
        rc = keep_log(c, verb, what, err); /* first: what is not written down is not done */
    if (rc == 0)
        rc = file_write_atomic(path, text, 0644, err);
    mem_free(&path);
    return rc;
}

/* ---- new */

/* The texts of an option that may be repeated. */
static struct wire_list listed(const struct ctl_proxy *c, const char *option,
                               const char *const otherwise[], struct buf *items)
{
    size_t n = 0;
    const char *const *texts = opt_list(c->values, option, &n);
    if (!n)
        for (texts = otherwise; texts && texts[n]; n++)
            ;
    for (size_t i = 0; i < n; i++)
        wire_add_str(items, span_str(texts[i]));
    return wire_list_from(items, (uint32_t)n);
}

/* The runner must take the file that is written, and the user. */
static int check_new(struct ctl_proxy *c, struct span text, struct error *err)
{
    struct problems ps = {0};
    struct buf document = {0};
    struct proxy_found found;
    char *file = mem_printf(PROXY_FOLDER "/%s.yaml", c->name);
    int rc = proxyfile_compile(file, text, &document, &ps);
    if (rc < 0)
        error_set(err, rc, "%s", ps.v[0].text);
    else
        rc = d_proxy_decode(buf_span(&document), &found.proxy, err);
    if (rc == 0) {
        proxy_file_text(span_str(c->name), found.file);
        rc = proxyserver_find_account(&c->here.server, &found, err);
    }
    problems_free(&ps);
    buf_free(&document);
    mem_free(&file);
    return rc;
}

static int write_new(struct ctl_proxy *c, struct span text, struct error *err)
{
    struct stat st;
    char *path = ctl_proxy_path(c);
    int rc = lstat(path, &st) == 0
                 ? error_set(err, -EEXIST, "'%s' exists already; lbctl proxy show %s shows it",
                             path, c->name)
                 : check_new(c, text, err);
    if (rc == 0)
        rc = ctl_proxy_write(c, text, "new", "", err);
    if (rc == 0)
        term_say(stdout, "made %s\n", path);
    mem_free(&path);
    return rc;
}

int ctl_proxy_new(struct ctl_proxy *c)
{
    static const char *const usual[] = {"exec", "shell", "python", NULL};
    const struct option_values *v = c->values;
    struct buf lists[3] = {{0}}, text = {0};
    struct error err = {0};
    int rc = 0;
    if (!opt_str(v, "user")) {
        error_set(&err, -EINVAL, "--user is missing: whom do its steps run as?");
        return ctl_fail(c->argv, EXIT_ASKED_WRONGLY, &err);
    }
    struct d_proxy p = {.name = span_str(c->name),
                        .description = span_str(opt_str(v, "description")),
                        .user = span_str(opt_str(v, "user")),
                        .group = span_str(opt_str(v, "group")),
                        .own_groups = true,
                        .system_user = opt_flag(v, "allow-system-user"),
                        .any_signer = !opt_given(v, "signer"),
                        .subsystems = listed(c, "subsystem", usual, &lists[0]),
                        .principals = listed(c, "principal", NULL, &lists[1]),
                        .signers = listed(c, "signer", NULL, &lists[2]),
                        .on = PROXY_USUALLY_ON};
    proxyfile_format(&p, &text);
    rc = write_new(c, buf_span(&text), &err);
    if (rc == 0 && !p.principals.count)
        term_say(stderr, "it serves nobody yet: lbctl proxy grant %s --principal NAME\n", c->name);
    for (int i = 0; i < 3; i++)
        buf_free(&lists[i]);
    buf_free(&text);
    return rc < 0 ? ctl_fail(c->argv, rc == -EINVAL ? EXIT_ASKED_WRONGLY : EXIT_REFUSED, &err)
                  : EXIT_DONE;
}

/* ---- grant, revoke */

struct ctl_proxy_change {
    struct buf text; /* of the file */
    struct buf what; /* changed, for the log */
    struct buf says; /* lines for the person, once it is done */
};

static int change_one(struct ctl_proxy *c, const char *key, const char *value, bool grant,
                      struct ctl_proxy_change *to, struct error *err)
{
    struct buf out = {0};
    bool lost = false;
    char *file = mem_printf(PROXY_FOLDER "/%s.yaml", c->name);
    const struct proxyfile_edit e = {file, buf_span(&to->text), key, value, grant};
    int rc = proxyfile_edit(&e, &out, &lost, err);
    if (rc == 1) {
        buf_free(&to->text);
        to->text = out;
        buf_printf(&to->what, "%s%s %s", to->what.n ? ", " : "", key, value);
        buf_printf(&to->says, "%s: %s %s %s%s\n", c->name, key, grant ? "now has" : "no longer has",
                   value, lost ? " (the file's comments had to go)" : "");
    } else {
        buf_free(&out);
        buf_printf(&to->says, "%s: %s %s %s\n", c->name, key,
                   grant ? "had this already:" : "did not have", value);
    }
    mem_free(&file);
    return rc;
}

static int change_all(struct ctl_proxy *c, bool grant, struct ctl_proxy_change *to,
                      struct error *err)
{
    static const struct {
        const char *option, *key;
    } rows[] = {{"subsystem", "subsystems"}, {"principal", "principals"}, {"signer", "signers"}};
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < COUNT_OF(rows); i++) {
        size_t n = 0;
        const char *const *values = opt_list(c->values, rows[i].option, &n);
        for (size_t k = 0; rc >= 0 && k < n; k++)
            rc = change_one(c, rows[i].key, values[k], grant, to, err);
    }
    return rc < 0 ? rc : 0;
}

int ctl_proxy_change(struct ctl_proxy *c, bool grant)
{
    const struct option_values *v = c->values;
    struct ctl_proxy_change to = {0};
    struct error err = {0};
    if (!opt_given(v, "subsystem") && !opt_given(v, "principal") && !opt_given(v, "signer")) {
        error_set(&err, -EINVAL, "say what: --principal, --subsystem or --signer");
        return ctl_fail(c->argv, EXIT_ASKED_WRONGLY, &err);
    }
    char *path = ctl_proxy_path(c);
    int rc = file_read(path, FILE_BYTES_MAX, &to.text, &err);
    if (rc == -ENOENT)
        proxy_missing(span_str(c->name), &err);
    if (rc == 0)
        rc = change_all(c, grant, &to, &err);
    if (rc == 0 && to.what.n)
        rc = ctl_proxy_write(c, buf_span(&to.text), grant ? "grant" : "revoke", buf_str(&to.what),
                             &err);
    if (rc == 0)
        term_put(stdout, buf_span(&to.says));
    mem_free(&path);
    buf_free(&to.text);
    buf_free(&to.what);
    buf_free(&to.says);
    return rc < 0 ? ctl_fail(c->argv, rc == -EINVAL ? EXIT_ASKED_WRONGLY : EXIT_REFUSED, &err)
                  : EXIT_DONE;
}
