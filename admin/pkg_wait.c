/* pkg_wait.c - lbpkg deploy --wait: asks which servers have the package until every one of the
 * address has it, or says why not.
 *
 * A server that reports trouble tries again by itself, and one that is away may come back in a
 * moment; so both count as final only when they have lasted. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/pkg_deploy.h"
#include "admin/pkg_net.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/json.h"
#include "common/jsontext.h"
#include "common/mem.h"
#include "common/term.h"
#include "common/termout.h"

enum {
    ASK_MS = 300,      /* between two checks */
    TROUBLE_MS = 5000, /* trouble that lasts this long is final */
    AWAY_MS = 10000    /* so is an absence of this length */
};

#define ON_ITS_WAY "on its way" /* what a worker attests for a package that it is fetching */

enum wait_fate { FATE_WAITING, FATE_HAS_IT, FATE_TROUBLE, FATE_AWAY };

struct wait_server {
    char name[LIMIT_NAME + 1];
    enum wait_fate fate;
    int64_t since; /* boot time when this fate began */
    char trouble[ERROR_TEXT_MAX];
    bool printed;
};

struct deploy_wait {
    const struct deploy *d;
    char hash[PACKAGE_HASH_TEXT];
    struct wait_server *servers;
    size_t n;
    int64_t began_at;
    bool json;
    char **argv;
};

static struct wait_server *server_of(struct deploy_wait *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->servers[i].name, name) == 0)
            return &w->servers[i];
    w->servers = mem_realloc(w->servers, w->n + 1, sizeof *w->servers);
    struct wait_server *s = &w->servers[w->n++];
    *s = (struct wait_server){.since = clock_boot_ms()};
    snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

/* What the row says about our package. A working copy counts before one with trouble. */
static enum wait_fate fate_of(const struct deploy_wait *w, const json_t *row,
                              const char **ret_trouble)
{
    const json_t *packages = json_object_get(row, "packages"), *p;
    enum wait_fate fate =
        strcmp(pkg_text(row, "state"), "unreachable") == 0 ? FATE_AWAY : FATE_WAITING;
    size_t i;
    json_array_foreach (packages, i, p) {
        if (strcmp(pkg_text(p, "hash"), w->hash) != 0)
            continue;
        *ret_trouble = pkg_text(p, "trouble");
        if (!**ret_trouble)
            return FATE_HAS_IT;
        fate = strcmp(*ret_trouble, ON_ITS_WAY) == 0 ? FATE_WAITING : FATE_TROUBLE;
    }
    return fate;
}

static void take_server(void *self, json_t *row)
{
    struct deploy_wait *w = self;
    const char *trouble = "";
    struct wait_server *s = server_of(w, pkg_text(row, "server"));
    enum wait_fate fate = fate_of(w, row, &trouble);
    if (fate != s->fate)
        s->since = clock_boot_ms();
    s->fate = fate;
    snprintf(s->trouble, sizeof s->trouble, "%s", trouble);
}

static bool is_final(const struct wait_server *s, int64_t now)
{
    return s->fate == FATE_HAS_IT || (s->fate == FATE_TROUBLE && now - s->since >= TROUBLE_MS) ||
           (s->fate == FATE_AWAY && now - s->since >= AWAY_MS);
}

static void print(struct deploy_wait *w, struct wait_server *s, int64_t now)
{
    static const char *const words[] = {"waiting", "installed", "failed", "away"};
    static const enum term_mood moods[] = {TERM_WARN, TERM_GOOD, TERM_BAD, TERM_WARN};
    const char *text = s->fate == FATE_AWAY ? "it fetches the package when it returns" : s->trouble;
    char took[DURATION_TEXT];
    struct term t = term_of(STDOUT_FILENO);
    struct buf out = {0};
    if (w->json) {
        buf_add_str(&out, "{\"v\":1,\"server\":");
        json_escape(&out, span_str(s->name));
        buf_printf(&out,
                   ",\"result\":\"%s\",\"hash\":\"%s\",\"took_ms\":%lld,\"text\":", words[s->fate],
                   w->hash, (long long)(now - w->began_at));
        json_escape(&out, span_str(text));
        buf_add_str(&out, "}\n");
    } else {
        buf_printf(&out, "%-16s %s%-9s%s %s", s->name, term_on(&t, moods[s->fate]), words[s->fate],
                   term_off(&t, moods[s->fate]), duration_format(now - w->began_at, took));
        buf_add_str(&out, *text ? "  " : "");
        term_safe(&out, span_str(text));
        buf_add_str(&out, "\n");
    }
    pkg_print(w->argv, &out);
    buf_free(&out);
    s->printed = true;
}

/* True: every server has its result. */
static bool look(struct deploy_wait *w, bool last)
{
    int64_t now = clock_boot_ms();
    bool all = w->n > 0;
    for (size_t i = 0; i < w->n; i++) {
        bool final = is_final(&w->servers[i], now);
        if ((final || last) && !w->servers[i].printed)
            print(w, &w->servers[i], now);
        all = all && final;
    }
    return all;
}

static bool never(void *self)
{
    (void)self;
    return false;
}

int deploy_wait(struct deploy *d, int64_t timeout_ms, bool json, char **argv)
{
    struct deploy_wait w = {.d = d, .began_at = clock_boot_ms(), .json = json, .argv = argv};
    struct error err = {0};
    int code = EXIT_DONE;
    package_hash_format(&d->hash, w.hash);
    for (bool over = false; !over;) {
        int rc = pkg_servers(d->lb, d->address, take_server, &w, &err);
        if (rc < 0) {
            code = pkg_fail(argv, EXIT_REFUSED, &err);
            break;
        }
        bool late = clock_boot_ms() - w.began_at >= timeout_ms;
        over = look(&w, late) || late;
        if (!over)
            longboat_wait(d->lb, never, NULL, ASK_MS, NULL);
    }
    for (size_t i = 0; code == EXIT_DONE && i < w.n; i++)
        if (w.servers[i].fate != FATE_HAS_IT)
            code = EXIT_RAN_AND_FAILED;
    if (code == EXIT_DONE && w.n == 0) {
        term_say(
            stderr,
            "%s: no server of '%s' has joined, or no grant of yours (watch *@%s) lets you see it\n",
            argv[0], d->address, d->address);
        code = EXIT_RAN_AND_FAILED;
    }
    mem_free(&w.servers);
    return code;
}
