/* proxyfile_format.c - writes a proxies.d file anew: every key that is not as by default. */
#include <signal.h>
#include <string.h>

#include "package/proxyfile.h"
#include "proto/protect.h"
#include "trust/proxy.h"

/* Words that some readers of YAML take for something else than a text. */
static bool is_doubtful(struct span s)
{
    static const char *const words[] = {"y",  "n",    "on",    "off", "yes",
                                        "no", "true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_eq_str(s, words[i]))
            return true;
    return false;
}

static void add_scalar(struct buf *out, struct span s)
{
    bool plain = s.n > 0 && ((s.p[0] >= 'a' && s.p[0] <= 'z') || s.p[0] == '/') && !is_doubtful(s);
    for (size_t i = 0; plain && i < s.n; i++)
        plain = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
                strchr("/_.-", s.p[i]);
    if (plain) {
        buf_add(out, s.p, s.n);
        return;
    }
    buf_add_str(out, "\"");
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_printf(out, "\\%c", s.p[i]);
        else if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            buf_printf(out, "\\x%02x", s.p[i]);
        else
            buf_add(out, &s.p[i], 1);
    buf_add_str(out, "\"");
}

static void add_text(struct buf *out, const char *key, struct span s)
{
    if (!s.n)
        return;
    buf_printf(out, "%s: ", key);
    add_scalar(out, s);
    buf_add_str(out, "\n");
}

static void add_list(struct buf *out, const char *key, const struct wire_list *list)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    buf_printf(out, list->count ? "%s:\n" : "%s: []\n", key);
    while (wire_next(&it, &item)) {
        buf_add_str(out, "  - ");
        add_scalar(out, item);
        buf_add_str(out, "\n");
    }
}

static void add_map(struct buf *out, const char *key, const struct wire_list *map)
{
    struct wire_iter it = wire_iter(map);
    struct span name;
    struct value v;
    if (map->count)
        buf_printf(out, "%s:\n", key);
    while (wire_next_pair(&it, &name, &v)) {
        buf_add_str(out, "  ");
        add_scalar(out, name);
        buf_add_str(out, ": ");
        add_scalar(out, v.bytes);
        buf_add_str(out, "\n");
    }
}

static const char *signal_word(uint64_t number)
{
    return number == SIGINT    ? "INT"
           : number == SIGHUP  ? "HUP"
           : number == SIGUSR1 ? "USR1"
           : number == SIGUSR2 ? "USR2"
                               : "TERM";
}

static void add_number(struct buf *out, const char *key, uint64_t v, const char *unit)
{
    if (v)
        buf_printf(out, "  %s: %llu%s\n", key, (unsigned long long)v, unit);
}

static void add_limits(struct buf *out, const struct d_proxy *p)
{
    if (!(p->timeout_ms | p->memory | p->cpu | p->processes | p->files | p->file_size |
          p->output_cap | p->warn_ms))
        return;
    buf_add_str(out, "limits:\n");
    add_number(out, "timeout", p->timeout_ms, "ms");
    add_number(out, "memory", p->memory, "");
    if (p->cpu)
        buf_printf(out, "  cpu: %llu.%03llu\n", (unsigned long long)p->cpu / 1000,
                   (unsigned long long)p->cpu % 1000);
    add_number(out, "processes", p->processes, "");
    add_number(out, "files", p->files, "");
    add_number(out, "file_size", p->file_size, "");
    add_number(out, "output", p->output_cap, "");
    add_number(out, "warn", p->warn_ms, "ms");
    if (p->warn_ms)
        buf_printf(out, "  warn_signal: %s\n", signal_word(p->warn_signal));
}

static void add_sandbox(struct buf *out, const struct d_proxy *p)
{
    struct buf inner = {0};
    for (unsigned at = 0; at < PROTECT_COUNT; at++) {
        const uint64_t bit = 1U << at;
        const char *word = p->required & bit                  ? "required"
                           : (p->on ^ PROXY_USUALLY_ON) & bit ? p->on & bit ? "on" : "off"
                                                              : NULL;
        if (word)
            buf_printf(&inner, "  %s: %s\n", protect_word(at), word);
    }
    const struct {
        const char *key;
        const struct wire_list *paths;
    } rows[] = {{"reads", &p->reads}, {"writes", &p->writes}};
    for (size_t i = 0; i < 2; i++) {
        struct wire_iter it = wire_iter(rows[i].paths);
        struct span item;
        if (rows[i].paths->count)
            buf_printf(&inner, "  %s:\n", rows[i].key);
        while (wire_next(&it, &item)) {
            buf_add_str(&inner, "    - ");
            add_scalar(&inner, item);
            buf_add_str(&inner, "\n");
        }
    }
    if (inner.n)
        buf_printf(out, "sandbox:\n%s", buf_str(&inner));
    buf_free(&inner);
}

void proxyfile_format(const struct d_proxy *p, struct buf *out)
{
    add_text(out, "proxy", p->name);
    add_text(out, "description", p->description);
    add_text(out, "user", p->user);
    if (p->system_user)
        add_text(out, "allow_system_user", p->user);
    add_text(out, "group", p->group);
    if (!p->own_groups)
        add_list(out, "groups", &p->groups);
    add_list(out, "subsystems", &p->subsystems);
    add_list(out, "principals", &p->principals);
    if (!p->any_signer)
        add_list(out, "signers", &p->signers);
    add_map(out, "environment", &p->environment);
    add_map(out, "credentials", &p->credentials);
    add_limits(out, p);
    add_sandbox(out, p);
}
