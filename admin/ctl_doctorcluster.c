/* ctl_doctorcluster.c - what lbctl doctor finds by asking the broker. */
#include <stdlib.h>
#include <string.h>

#include "admin/ctl.h"
#include "admin/ctl_doctor.h"
#include "common/duration.h"
#include "common/mem.h"
#include "common/size.h"

enum { ANSWER_WITHIN_MS = 10000 };

static json_t *ask(struct doctor *d, struct longboat *lb, const char *what)
{
    json_t *found = json_array();
    struct ctl_query q = {.what = what, .row = ctl_gather, .self = found};
    if (ctl_query_over(d->argv, lb, &q) != EXIT_DONE)
        doctor_say(d, DOCTOR_NOTE, "denied", what, "",
                   "you may not see this; an administrator's doctor finds more");
    return found;
}

/* `where`: whose clock it is, beside the broker's; "": this machine's. */
static void say_clock(struct doctor *d, const char *where, int64_t ahead)
{
    const int64_t by = ahead < -INT64_MAX ? INT64_MAX : llabs(ahead);
    const char *whose = *where ? "its own" : "this one's";
    char text[DURATION_TEXT];
    if (by <= DOCTOR_CLOCK_WARN_MS)
        doctor_say(d, DOCTOR_OK, "clock", where, "", "the broker's clock agrees with %s", whose);
    else
        doctor_say(d, by > CLOCK_SKEW_MS ? DOCTOR_BAD : DOCTOR_WARN, "clock", where,
                   "set both clocks, with NTP", "the broker's clock is %s %s %s",
                   duration_format(by, text), ahead < 0 ? "behind" : "ahead of", whose);
}

static void check_clock(struct doctor *d, struct longboat *lb)
{
    say_clock(d, "", longboat_broker_ahead(lb));
    if (longboat_broker_is_newer(lb))
        doctor_say(d, DOCTOR_NOTE, "version", "broker", "install its version here, too",
                   "the broker is of a newer version than this program (" LB_VERSION ")");
}

static void check_store(struct doctor *d, json_t *stats)
{
    json_t *store = json_object_get(stats, "store"), *runs = json_object_get(stats, "runs");
    const int64_t left = ctl_int(store, "free_bytes"), held = ctl_int(runs, "held"),
                  away = ctl_int(runs, "out_of_contact");
    char size[SIZE_TEXT], used[SIZE_TEXT];
    bool full = json_is_true(json_object_get(store, "full"));
    if (!store)
        return;
    doctor_say(d,
               full                 ? DOCTOR_BAD
               : left < (1LL << 30) ? DOCTOR_WARN
                                    : DOCTOR_OK,
               "store", "broker",
               full || left < (1LL << 30)
                   ? "make room on the broker's disk, or lower history_size in broker.yaml"
                   : "",
               "%sthe store has %s, %s are free beside it", full ? "no new calls are taken: " : "",
               size_format(ctl_int(store, "file_bytes"), used), size_format(left, size));
    if (held)
        doctor_say(d, DOCTOR_WARN, "held", "broker", "lbctl runs --state held; lbctl release RUN",
                   "%lld runs wait for a decision", (long long)held);
    if (away)
        doctor_say(d, DOCTOR_WARN, "out_of_contact", "broker", "lbctl runs --state out_of_contact",
                   "%lld runs are on servers that are silent", (long long)away);
    if (ctl_int(stats, "gated"))
        doctor_say(d, DOCTOR_NOTE, "busy", "broker",
                   "lbctl stats --principals shows who; see budgets in operations.md",
                   "%lld requests were asked to come back later since the broker started",
                   (long long)ctl_int(stats, "gated"));
    if (ctl_int(stats, "denials"))
        doctor_say(d, DOCTOR_NOTE, "denials", "broker",
                   "lbctl audit list --decision denied --since 1d",
                   "%lld requests were denied since the broker started",
                   (long long)ctl_int(stats, "denials"));
}

/* Who has been told `busy` for a budget of their own, and for which. */
static void check_budgets(struct doctor *d, json_t *row)
{
    const char *word;
    json_t *use;
    struct buf refused = {0};
    json_object_foreach (json_object_get(row, "budgets"), word, use)
        if (ctl_int(use, "refused"))
            buf_printf(&refused, "%s%s %lldx", refused.n ? ", " : "", word,
                       (long long)ctl_int(use, "refused"));
    if (refused.n)
        doctor_say(d, DOCTOR_NOTE, "budget", ctl_text(row, "name"),
                   "find out why it asks for so much; budgets in broker.yaml allow more",
                   "it was refused what is beyond its budget: %s", buf_str(&refused));
    buf_free(&refused);
}

static void check_server(struct doctor *d, json_t *s)
{
    const char *name = ctl_text(s, "server"), *state = ctl_text(s, "session"),
               *software = ctl_text(s, "software");
    char *show = mem_printf("lbctl servers %s", name);
    json_t *need, *missing = json_object_get(s, "packages_missing");
    size_t i;
    bool up = strcmp(state, "up") == 0;
    if (!up)
        doctor_say(d, DOCTOR_WARN, "server", name,
                   "start lbworker there, or take the server off the list: lbctl forget",
                   "it is %s", state);
    else
        doctor_say(d, DOCTOR_OK, "server", name, "", "it is up");
    if (up && json_object_get(s, "broker_ahead_ms"))
        say_clock(d, name, ctl_int(s, "broker_ahead_ms"));
    if (json_is_true(json_object_get(s, "draining")))
        doctor_say(d, DOCTOR_NOTE, "draining", name, "lbctl undrain lets it work again",
                   "nothing new starts here: %s", ctl_text(s, "draining_reason"));
    if (up && *software && strcmp(software, "longboat " LB_VERSION) != 0)
        doctor_say(d, DOCTOR_NOTE, "version", name, "install the same version everywhere",
                   "it runs %s, this program is of " LB_VERSION, software);
    json_array_foreach (json_object_get(s, "needs"), i, need)
        if (json_is_false(json_object_get(need, "holds")))
            doctor_say(d, DOCTOR_WARN, "need", name, show, "%s does not hold: %s",
                       ctl_text(need, "need"), ctl_text(need, "trouble"));
    json_array_foreach (json_object_get(s, "refused"), i, need)
        doctor_say(d, DOCTOR_WARN, "refused", name, "lbworker check on that server",
                   "it refuses job %s: %s", ctl_text(need, "job"), ctl_text(need, "trouble"));
    if (*ctl_text(s, "slots_with_trouble"))
        doctor_say(d, DOCTOR_WARN, "slots", name, "clear what the sentence names, on that server",
                   "%s", ctl_text(s, "slots_with_trouble"));
    if (ctl_int(s, "jobs_with_trouble"))
        doctor_say(d, DOCTOR_WARN, "jobs", name, "lbworker check on that server",
                   "%lld job files cannot be used", (long long)ctl_int(s, "jobs_with_trouble"));
    if (json_array_size(missing))
        doctor_say(d, DOCTOR_WARN, "packages", name, show, "%zu packages are not installed",
                   json_array_size(missing));
    mem_free(&show);
}

/* The certificates of a name: the newest counts, and older ones with another key are a door that
 * a rotation has left open. */
static void check_name(struct doctor *d, json_t *all, json_t *newest)
{
    const char *name = ctl_text(newest, "name"), *key = ctl_text(newest, "key");
    char *remedy = mem_printf("lbctl certificates renew %s", name),
         *withdraw = mem_printf("lbctl certificates revoke %s --old", name);
    json_t *row;
    size_t i, open = 0;
    const int64_t end = ctl_time(newest, "not_after");
    json_array_foreach (all, i, row)
        open += strcmp(ctl_text(row, "name"), name) == 0 &&
                strcmp(ctl_text(row, "key"), key) != 0 &&
                !json_is_true(json_object_get(row, "revoked"));
    if (end)
        doctor_expiry(d, name, end, remedy);
    if (open)
        doctor_say(d, DOCTOR_WARN, "old_key", name, withdraw,
                   "%zu older certificates are for another key, and still good", open);
    mem_free(&remedy);
    mem_free(&withdraw);
}

static json_t *newest_of(json_t *all, const char *name, bool any)
{
    json_t *row, *best = NULL;
    size_t i;
    json_array_foreach (all, i, row)
        if (strcmp(ctl_text(row, "name"), name) == 0 &&
            (any || !json_is_true(json_object_get(row, "revoked"))) &&
            (!best || ctl_int(row, "serial") > ctl_int(best, "serial")))
            best = row;
    return best;
}

static void check_certificates(struct doctor *d, json_t *all, json_t *servers)
{
    json_t *row;
    size_t i;
    json_array_foreach (all, i, row) {
        if (row == newest_of(all, ctl_text(row, "name"), false) &&
            strcmp(ctl_text(row, "name"), d->who.me.name) != 0)
            check_name(d, all, row);
    }
    json_array_foreach (servers, i, row) {
        const char *name = ctl_text(row, "server");
        if (newest_of(all, name, true) && !newest_of(all, name, false))
            doctor_say(d, DOCTOR_WARN, "revoked", name, "lbctl forget takes it off the list",
                       "all certificates of this server are revoked, but it is not forgotten");
    }
}

static bool is_up(void *lb)
{
    return longboat_is_up(lb);
}

void doctor_cluster(struct doctor *d)
{
    struct longboat *lb = ctl_connect(d->argv);
    struct error err = {0};
    json_t *server, *principal;
    size_t i;
    if (!lb) {
        doctor_say(d, DOCTOR_BAD, "broker", "", "", "there is no connection to the broker");
        return;
    }
    if (longboat_wait(lb, is_up, lb, ANSWER_WITHIN_MS, &err) < 0) {
        doctor_say(d, DOCTOR_BAD, "broker", "", "is lbbroker running there, and is its port open?",
                   "%s", err.text);
        longboat_close(&lb);
        return;
    }
    doctor_say(d, DOCTOR_OK, "broker", "", "", "%s answers", longboat_broker(lb));
    check_clock(d, lb);
    json_t *stats = ask(d, lb, "stats"), *servers = ask(d, lb, "servers"),
           *certificates = ask(d, lb, "certificates"), *principals = ask(d, lb, "principals");
    check_store(d, json_array_get(stats, 0));
    json_array_foreach (servers, i, server)
        check_server(d, server);
    json_array_foreach (principals, i, principal)
        check_budgets(d, principal);
    check_certificates(d, certificates, servers);
    json_decref(stats);
    json_decref(servers);
    json_decref(certificates);
    json_decref(principals);
    longboat_close(&lb);
}
