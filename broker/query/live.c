/* live.c - rows of what the core knows now: servers, packages, certificates, counts,
 * explanations. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/explain.h"
#include "broker/events/json.h"
#include "broker/query/inside.h"
#include "broker/shell/gate.h"
#include "broker/shell/rights.h"
#include "common/clock.h"
#include "common/json.h"

enum { RIVAL_SHOWN_MS = 3600000 /* since it was last refused */ };

/* ---- Servers */
static json_t *jobs_json(const struct query *q, const struct view_server *s)
{
    json_t *a = json_array();
    struct view_job j;
    for (unsigned i = 0; i < s->n_jobs && view_server_job(q->shell->core, s->name, i, &j); i++) {
        json_t *o = json_object();
        json_set_word(o, "job", j.name);
        json_set_word(o, "version", j.version);
        json_set_hash(o, "job_hash", &j.job_hash);
        json_set_number(o, "concurrency", j.concurrency);
        json_set_number(o, "live", j.live);
        json_set_flag(o, "idempotent", j.idempotent);
        if (j.older)
            json_set_number(o, "older", j.older);
        if (j.mean_us)
            json_set_number(o, "mean_us", (uint64_t)j.mean_us);
        json_array_append_new(a, o);
    }
    return a;
}

/* All, or only those that are missing. */
static json_t *packages_json(const struct query *q, const struct view_server *s, bool all)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < s->n_packages; i++) {
        struct d_attested_package p;
        if (d_attested_package_decode(view_server_package(q->shell->core, s->name, i), &p, NULL) <
                0 ||
            (!all && !p.trouble.n))
            continue;
        json_t *o = json_object();
        json_set_text(o, "name", p.name);
        json_set_text(o, "version", p.version);
        json_set_hash(o, "hash", &p.package);
        json_set_text(o, "signer", p.signer);
        json_set_text(o, "trouble", p.trouble);
        json_array_append_new(a, o);
    }
    return a;
}

/* Jobs of which it gets no run for a while, because it has refused one by its own fault. */
static json_t *refused_json(const struct query *q, const struct view_server *s)
{
    json_t *a = json_array();
    struct view_job j;
    for (unsigned i = 0; view_server_job(q->shell->core, s->name, i, &j); i++) {
        if (!*j.refused)
            continue;
        json_t *o = json_object();
        json_set_word(o, "job", j.name);
        json_set_word(o, "trouble", j.refused);
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *needs_json(const struct query *q, const struct view_server *s)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < s->n_needs; i++) {
        struct d_need n;
        json_t *o = json_object();
        if (d_need_decode(view_server_need(q->shell->core, s->name, i), &n, NULL) == 0) {
            json_set_text(o, "need", n.need);
            json_set_flag(o, "holds", n.holds);
            json_set_text(o, "trouble", n.trouble);
            json_set_time(o, "probed_at", n.probed_at);
        }
        json_array_append_new(a, o);
    }
    return a;
}

/* What is wrong there: what we see of it, then what its worker says. */
static void set_trouble(const struct query *q, json_t *o, const struct view_server *s,
                        struct span said)
{
    struct buf text = {0};
    char at[CLOCK_TEXT];
    if (s->rival_at && loop_now_wall(q->shell->loop) - s->rival_at < RIVAL_SHOWN_MS) {
        buf_printf(&text,
                   "a second worker under this name was refused, last at %s: %s from %s, while %s "
                   "from %s is connected; stop one of them",
                   clock_format(s->rival_at, at), s->rival, s->rival_address,
                   *s->process ? s->process : "an unknown process", s->address);
        if (said.n)
            buf_add(&text, "; ", 2);
    }
    buf_add(&text, said.p, said.n);
    if (text.n)
        json_set_text(o, "trouble", buf_span(&text));
    buf_free(&text);
}

/* `whole`: with all that it attests; otherwise with the counts, and any faults. */
static json_t *server_json(const struct query *q, const struct view_server *s, bool whole)
{
    json_t *o = json_row(), *pools = json_array();
    struct wire_list facts = {s->facts, s->n_facts};
    struct value wrong, ahead;
    struct span said = SPAN_NONE;
    json_set_word(o, "server", s->name);
    json_set_word(o, "state", s->draining ? "draining" : s->state);
    json_set_word(o, "session", s->state);
    for (unsigned i = 0; i < s->n_pools; i++)
        json_array_append_new(pools, json_string(s->pools[i]));
    json_object_set_new(o, "pools", pools);
    json_set_flag(o, "draining", s->draining);
    json_set_word(o, "draining_reason", s->draining_reason);
    json_set_number(o, "slots", s->slots);
    json_set_number(o, "live", s->live);
    json_set_number(o, "running", s->running);
    json_set_number(o, "credit", s->credit);
    json_set_number(o, "ended", s->ended);
    json_set_word(o, "address", s->address);
    json_set_word(o, "process", s->process);
    json_set_word(o, "software", s->software);
    json_set_time(o, "heard_at", s->heard_wall);
    json_set_time(o, "up_since", s->up_since);
    json_set_number(o, "n_jobs", s->n_jobs);
    json_set_number(o, "n_packages", s->n_packages);
    if (whole) {
        json_object_set_new(o, "jobs", jobs_json(q, s));
        json_object_set_new(o, "packages", packages_json(q, s, true));
        json_set_map(o, "facts", &facts);
    } else {
        json_object_set_new(o, "packages_missing", packages_json(q, s, false));
    }
    if (wire_map_get(&facts, "broker_ahead_ms", &ahead) && ahead.type == VALUE_INT)
        json_object_set_new(o, "broker_ahead_ms", json_integer(ahead.integer));
    if (wire_map_get(&facts, "jobs_with_trouble", &wrong) && wrong.type == VALUE_INT &&
        wrong.integer > 0)
        json_set_number(o, "jobs_with_trouble", (uint64_t)wrong.integer);
    if (wire_map_get(&facts, "trouble", &wrong) && wrong.type == VALUE_STR)
        said = wrong.bytes;
    set_trouble(q, o, s, said);
    if (wire_map_get(&facts, "slots_with_trouble", &wrong) && wrong.type == VALUE_STR)
        json_set_text(o, "slots_with_trouble", wrong.bytes);
    if (wire_map_get(&facts, "unsigned", &wrong) && wrong.type == VALUE_STR)
        json_set_text(o, "unsigned", wrong.bytes);
    json_object_set_new(o, "needs", needs_json(q, s));
    json_object_set_new(o, "refused", refused_json(q, s));
    return o;
}

static bool may_see_server(const struct query *q, const char *name)
{
    return rights_cover(q->shell->core, q->who, VERB_WATCH, "", name) ||
           rights_cover(q->shell->core, q->who, VERB_OPERATE, "", name);
}

void query_servers(struct query *q)
{
    struct view_server s;
    char at[LIMIT_NAME + 1];
    span_copy_str(span_str(q->after), at, sizeof at);
    while (view_server_after(q->shell->core, at, &s)) {
        bool wanted = query_matches(q->server, s.name) && query_matches(q->name, s.name) &&
                      (!*q->address || view_in_address(q->shell->core, s.name, q->address)) &&
                      may_see_server(q, s.name);
        if (wanted && !query_row(q, server_json(q, &s, *q->server || *q->name))) {
            strcpy(q->next, at);
            break;
        }
        span_copy_str(span_str(s.name), at, sizeof at);
    }
    query_answer(q);
}

/* ---- Packages: what the depot has, and where each is deployed */
static json_t *deployments_of(const struct query *q, const struct hash *package, bool *ret_visible)
{
    struct view_deployment d;
    json_t *a = json_array();
    char address[LIMIT_ADDRESS + 1] = "", name[LIMIT_NAME + 1] = "";
    while (view_deployment_after(q->shell->core, address, name, &d)) {
        struct d_signed s;
        struct d_deployment body;
        if (hash_eq(&d.package, package) && d_signed_decode(d.deployment, &s, NULL) == 0 &&
            d_deployment_decode(s.body, &body, NULL) == 0 && !body.remove) {
            json_t *o = json_object();
            json_set_word(o, "address", d.address);
            json_set_word(o, "by", d.by);
            json_set_time(o, "at", d.at);
            json_array_append_new(a, o);
            *ret_visible |= rights_cover(q->shell->core, q->who, VERB_WATCH, d.name, d.address) ||
                            rights_cover(q->shell->core, q->who, VERB_DEPLOY, d.name, d.address) ||
                            rights_cover(q->shell->core, q->who, VERB_CALL, d.name, d.address);
        }
        span_copy_str(span_str(d.address), address, sizeof address);
        span_copy_str(span_str(d.name), name, sizeof name);
    }
    return a;
}

static bool add_package(void *self, const struct hash *hash, uint64_t size, struct span manifest)
{
    struct query *q = self;
    const char *name = NULL, *version = NULL;
    bool visible = false, fits = true;
    json_t *m = json_parse("manifest", manifest, NULL), *o;
    if (m)
        json_get_str(m, "name", &name, NULL), json_get_str(m, "version", &version, NULL);
    json_t *deployed = deployments_of(q, hash, &visible);
    visible |= rights_cover(q->shell->core, q->who, VERB_DEPLOY, name ? name : "", "all") ||
               rights_cover(q->shell->core, q->who, VERB_WATCH, "", "all");
    if (visible && query_matches(q->name, name)) {
        o = json_row();
        json_set_word(o, "name", name);
        json_set_word(o, "version", version);
        json_set_hash(o, "hash", hash);
        json_set_number(o, "size_bytes", size);
        json_object_set(o, "deployed", deployed);
        fits = query_row(q, o);
    }
    json_decref(deployed);
    json_decref(m);
    if (fits)
        hex_format(hash->b, sizeof hash->b, q->after); /* of the last one examined */
    else
        strcpy(q->next, q->after);
    return fits;
}

void query_packages(struct query *q)
{
    struct hash after;
    if (*q->after && hex_parse(q->after, after.b, sizeof after.b) < 0) {
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
        return;
    }
    depot_each(q->from->depot, *q->after ? &after : NULL, add_package, q);
    query_answer(q);
}

/* ---- Certificates: each can be requested by name; the listing is for those who watch the
 * cluster */
static json_t *certificate_json(const struct query *q, const struct view_certificate *v)
{
    struct d_signed s;
    struct d_certificate d;
    struct span item;
    json_t *o = json_row(), *pools = json_array(), *grants = json_array();
    json_set_word(o, "name", v->name);
    json_set_word(o, "role", v->role);
    json_set_number(o, "serial", v->serial);
    if (d_signed_decode(v->certificate, &s, NULL) == 0 &&
        d_certificate_decode(s.body, &d, NULL) == 0) {
        char key[65];
        for (struct wire_iter it = wire_iter(&d.pools); wire_next(&it, &item);)
            json_array_append_new(pools, json_stringn((const char *)item.p, item.n));
        for (struct wire_iter it = wire_iter(&d.grants); wire_next(&it, &item);)
            json_array_append_new(grants, json_stringn((const char *)item.p, item.n));
        json_set_word(o, "key", hex_format(d.sign_key.b, sizeof d.sign_key.b, key));
        json_set_time(o, "not_after", d.not_after);
    }
    json_object_set_new(o, "pools", pools);
    json_object_set_new(o, "grants", grants);
    json_set_time(o, "enrolled_at", v->at);
    json_set_flag(o, "revoked", view_revoked(q->shell->core, v->serial));
    return o;
}

void query_certificates(struct query *q)
{
    struct view_certificate v;
    char name[LIMIT_SHORT + 1];
    uint64_t serial = 0;
    strcpy(name, q->after);
    char *slash = strrchr(name, '/');
    if (slash) {
        serial = strtoull(slash + 1, NULL, 10);
        *slash = '\0';
    }
    while (view_certificate_after(q->shell->core, name, serial, &v)) {
        bool wanted = query_matches(q->name, v.name) &&
                      (strcmp(v.name, q->who->name) == 0 ||
                       rights_cover(q->shell->core, q->who, VERB_ADMIN, "", "all") ||
                       rights_cover(q->shell->core, q->who, VERB_WATCH, "", "all"));
        if (wanted && !query_row(q, certificate_json(q, &v))) {
            snprintf(q->next, sizeof q->next, "%.64s/%llu", name, (unsigned long long)serial);
            break;
        }
        span_copy_str(span_str(v.name), name, sizeof name);
        serial = v.serial;
    }
    query_answer(q);
}

void query_whoami(struct query *q)
{
    json_t *o = json_row(), *grants = json_array(), *pools = json_array();
    char text[GRANT_TEXT];
    json_set_word(o, "name", q->who->name);
    json_set_word(o, "role", role_word(q->who->role));
    json_set_word(o, "cluster", q->shell->cluster);
    json_set_word(o, "broker", q->shell->name);
    json_set_number(o, "serial", q->who->serial);
    for (size_t i = 0; i < q->who->n_grants; i++)
        json_array_append_new(grants, json_string(grant_format(&q->who->grants[i], text)));
    for (size_t i = 0; i < q->who->n_pools; i++)
        json_array_append_new(pools, json_string(q->who->pools[i]));
    json_object_set_new(o, "grants", grants);
    json_object_set_new(o, "pools", pools);
    json_set_time(o, "not_after", q->who->not_after);
    query_row(q, o);
    query_answer(q);
}

/* ---- Counts */
static json_t *store_json(const struct query *q)
{
    struct store_stats s;
    json_t *o = json_object();
    store_stats(q->shell->store, &s);
    json_set_number(o, "epoch", s.epoch);
    json_set_number(o, "committed", s.committed);
    json_set_number(o, "folded", s.folded);
    json_set_number(o, "commits", s.commits);
    json_set_number(o, "records", s.records);
    json_set_number(o, "checkpoints", s.checkpoints);
    json_set_number(o, "dropped", s.dropped);
    json_set_number(o, "history_bytes", s.held_history);
    json_set_number(o, "evidence_bytes", s.held_evidence);
    json_set_number(o, "events_bytes", s.held_events);
    json_set_number(o, "notes_bytes", s.held_notes);
    json_set_number(o, "questions", s.asked);
    json_set_number(o, "file_bytes", s.file_bytes);
    json_set_number(o, "wal_pages", s.wal_pages);
    json_set_number(o, "free_bytes", s.free_bytes);
    json_set_number(o, "sqlite_bytes", s.sqlite_bytes);
    json_set_flag(o, "full", s.full);
    return o;
}

static json_t *net_json(const struct query *q)
{
    struct net_server_counts c;
    json_t *o = json_object();
    net_server_counts(q->shell->net, &c);
    json_set_number(o, "connections", c.connections);
    json_set_number(o, "waiting", c.waiting);
    json_set_number(o, "over_budget", c.over_budget);
    json_set_number(o, "beyond_window", c.beyond_window);
    json_set_number(o, "full_turns", c.full_turns);
    json_set_number(o, "closed", c.closed);
    json_set_number(o, "too_many", c.too_many);
    json_set_number(o, "untaken", c.untaken);
    json_set_number(o, "not_accepted", c.not_accepted);
    json_set_number(o, "handshakes_put_off", c.handshakes_put_off);
    return o;
}

void query_stats(struct query *q)
{
    struct view_counts c;
    struct net_server_owed owed;
    json_t *o = json_row(), *runs = json_object();
    view_counts(q->shell->core, &c);
    net_server_owed(q->shell->net, &owed);
    for (unsigned i = 0; i < RUN_ENDED; i++)
        json_set_number(runs, run_state_text(i), c.runs[i]);
    json_object_set_new(o, "runs", runs);
    const struct {
        const char *name;
        uint64_t v;
    } numbers[] = {{"parents", c.parents},
                   {"servers", c.servers},
                   {"servers_up", c.servers_up},
                   {"sessions", c.sessions},
                   {"kept", c.kept},
                   {"memory_bytes", c.memory},
                   {"bodies_bytes", c.bodies},
                   {"epoch", c.epoch},
                   {"lsn", c.lsn},
                   {"accepted", c.accepted},
                   {"ended", c.ended},
                   {"refused", c.refused},
                   {"returned", c.returned},
                   {"lost", c.lost},
                   {"evidence", c.evidence},
                   {"decisions", c.decisions},
                   {"denials", q->shell->denials},
                   {"messages", q->shell->messages},
                   {"gated", gate_waiting(q->shell->gate)},
                   {"subscriptions", events_subscriptions(q->from->events)},
                   {"owed_bytes", owed.now},
                   {"owed_bytes_max", owed.most},
                   {"depot_bytes", depot_bytes(q->from->depot)},
                   {"logs_bytes", logs_bytes(q->from->logs)},
                   {"logs_refused", logs_refused(q->from->logs)},
                   {"logs_dropped_age_bytes", logs_dropped(q->from->logs, LOGFILE_AGE)},
                   {"logs_dropped_size_bytes", logs_dropped(q->from->logs, LOGFILE_QUOTA)},
                   {"logs_dropped_share_bytes", logs_dropped(q->from->logs, LOGFILE_SHARE)},
                   {"turn_us_max", (uint64_t)loop_longest_us(q->shell->loop)},
                   {"turn_cpu_us_max", (uint64_t)loop_longest_cpu_us(q->shell->loop)}};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_set_number(o, numbers[i].name, numbers[i].v);
    json_set_time(o, "broker_since", q->shell->started_wall);
    json_object_set_new(o, "net", net_json(q));
    json_object_set_new(o, "store", store_json(q));
    query_row(q, o);
    query_answer(q);
}

/* ---- Explain */
static json_t *unmet_json(const struct explain *e, const struct explain_server *s)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < s->n; i++) {
        const struct explain_unmet *u = &e->unmet[s->first + i];
        json_t *o = json_object();
        json_set_word(o, "condition", explain_condition_text(u->condition));
        json_set_word(o, "text", u->text);
        json_set_word(o, "clears", u->clears);
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *explain_row(const struct explain *e, const struct explain_server *s)
{
    json_t *o = json_row();
    json_set_word(o, "server", s->server);
    json_set_flag(o, "eligible", s->n == 0);
    json_set_number(o, "credit", s->credit);
    json_object_set_new(o, "unmet", unmet_json(e, s));
    return o;
}

void query_explain(struct query *q)
{
    struct explain e = {0};
    struct error err = {0};
    struct view_owner owner;
    if (id_is_zero(q->run) || !view_owner(q->shell->core, &q->run, &owner) ||
        !query_may_see(q, owner.principal, owner.job, owner.address, NULL) ||
        bcore_explain(q->shell->core, &q->run, &e, &err) < 0) {
        query_refuse(q, REFUSAL_UNKNOWN_RUN,
                     "explain needs a run that has not ended (lbctl runs lists those; "
                     "lbctl show says how another ended)");
        return;
    }
    /* a call to one server concerns no other */
    bool to_server = view_address(q->shell->core, owner.address) == VIEW_ADDRESS_SERVER;
    json_t *head = json_row();
    json_set_id(head, "run", &q->run);
    json_set_word(head, "state", run_state_text(e.state));
    json_set_word(head, "summary", e.summary);
    json_set_number(head, "ahead", e.ahead);
    query_row(q, head);
    for (unsigned i = 0; i < e.n_servers; i++)
        if ((!to_server || strcmp(e.servers[i].server, owner.address) == 0) &&
            !query_row(q, explain_row(&e, &e.servers[i])))
            break; /* some 500 servers are enough to explain it */
    explain_free(&e);
    query_answer(q);
}
