/* testing.c - see testing.h. */
#include "broker/core/testing.h"

struct buf *world_scratch(struct core_world *w)
{
    struct buf *b = &w->scratch[w->next_scratch++ % 8];
    buf_clear(b);
    return b;
}

void world_took(struct core_world *w)
{
    for (unsigned i = 0; i < w->out.n_records; i++) {
        uint64_t head[2] = {w->out.records[i].lsn, w->out.records[i].body.n};
        assert_int_equal(w->out.records[i].lsn, w->lsn + 1);
        w->lsn++;
        buf_add(&w->journal, head, sizeof head);
        buf_add(&w->journal, w->out.records[i].body.p, w->out.records[i].body.n);
    }
    for (unsigned i = 0; i < w->out.n_effects; i++) {
        struct world_logged l = {.effect = w->out.effects[i]};
        struct error err;
        size_t size;
        assert_true(l.effect.rests_on <= w->lsn);
        l.effect.body.p =
            mem_dup(l.effect.body.p ? l.effect.body.p : (const uint8_t *)"", l.effect.body.n);
        if (l.effect.kind != BCORE_FX_LOOKUP && l.effect.kind != BCORE_FX_EXECUTE &&
            l.effect.kind != BCORE_FX_NOTE)
            assert_int_equal(wire_peek(l.effect.body, &l.kind, &size, &err), 0);
        w->log = mem_realloc(w->log, w->n_log + 1, sizeof *w->log);
        w->log[w->n_log++] = l;
    }
}

void world_step(struct core_world *w, struct bcore_event ev)
{
    ev.now = w->now;
    ev.wall = w->wall;
    w->steps++;
    for (unsigned i = 0; i < 8; i++)
        ev.random[i] = ev.random[8 + i] = (uint8_t)(w->steps >> 8 * (7 - i));
    if (ev.kind != BCORE_WINDOW)
        ev.window_open = !w->window_closed;
    bcore_step(w->core, &ev, &w->out);
    world_took(w);
}

void world_pass(struct core_world *w, int64_t ms)
{
    int64_t end = w->now + ms;
    for (;;) {
        int64_t next = bcore_deadline(w->core);
        next = next < w->now ? w->now : next > end ? end : next;
        w->wall += next - w->now;
        bool last = next == end && bcore_deadline(w->core) > end;
        w->now = next;
        world_step(w, (struct bcore_event){.kind = BCORE_TICK});
        if (last || (next == end && bcore_deadline(w->core) > end))
            return;
    }
}

void world_log_clear(struct core_world *w)
{
    for (size_t i = 0; i < w->n_log; i++)
        free((void *)(uintptr_t)w->log[i].effect.body.p);
    w->n_log = 0;
}

const struct world_logged *world_find_sent(struct core_world *w, uint64_t peer, uint64_t kind)
{
    for (size_t i = 0; i < w->n_log; i++)
        if (!w->log[i].taken && w->log[i].effect.peer == peer && w->log[i].kind == kind)
            return &w->log[i];
    return NULL;
}

const struct world_logged *world_take_sent(struct core_world *w, uint64_t peer, uint64_t kind,
                                           const struct wire_schema *s, void *ret)
{
    struct world_logged *l = (struct world_logged *)(uintptr_t)world_find_sent(w, peer, kind);
    struct error err = {0};
    if (!l) {
        fail_msg("no %s was sent to peer %d", s->name, (int)peer);
        abort(); /* fail_msg does not return; clang's analyzer does not know */
    }
    l->taken = true;
    if (wire_decode(s, l->effect.body, false, ret, &err) < 0)
        fail_msg("%s", err.text);
    return l;
}

unsigned world_count_sent(struct core_world *w, uint64_t peer, uint64_t kind)
{
    unsigned n = 0;
    for (size_t i = 0; i < w->n_log; i++)
        n += w->log[i].effect.peer == peer && w->log[i].kind == kind;
    return n;
}

const struct world_logged *world_find_lookup(struct core_world *w, enum bcore_effect_kind kind)
{
    for (size_t i = 0; i < w->n_log; i++)
        if (!w->log[i].taken && w->log[i].effect.kind == kind) {
            w->log[i].taken = true;
            return &w->log[i];
        }
    return NULL;
}

unsigned world_records_of(const struct core_world *w, uint64_t kind)
{
    unsigned n = 0;
    for (size_t at = 0; at < w->journal.n;) {
        uint64_t head[2], k;
        struct error err;
        size_t size;
        memcpy(head, w->journal.p + at, sizeof head);
        at += sizeof head;
        assert_int_equal(wire_peek(span_of(w->journal.p + at, head[1]), &k, &size, &err), 0);
        n += k == kind;
        at += head[1];
    }
    return n;
}

struct span world_record_at(const struct core_world *w, uint64_t lsn)
{
    for (size_t at = 0; at < w->journal.n;) {
        uint64_t head[2];
        memcpy(head, w->journal.p + at, sizeof head);
        at += sizeof head;
        if (head[0] == lsn)
            return span_of(w->journal.p + at, head[1]);
        at += head[1];
    }
    return SPAN_NONE;
}

struct span world_called_bytes(const struct core_world *w, struct id run)
{
    struct view_run v;
    struct r_called r = {0};
    struct error err;
    assert_true(view_run(w->core, &run, &v));
    assert_int_equal(r_called_decode(world_record_at(w, v.called_lsn), &r, &err), 0);
    assert_true(id_eq(r.run, run));
    return r.call;
}

struct bcore *world_replayed(struct core_world *w)
{
    struct bcore *c = bcore_new(&w->config);
    for (size_t at = 0; at < w->journal.n;) {
        uint64_t head[2];
        struct error err = {0};
        memcpy(head, w->journal.p + at, sizeof head);
        at += sizeof head;
        if (bcore_replay(c, head[0], span_of(w->journal.p + at, head[1]), &err) < 0)
            fail_msg("replay: %s", err.text);
        at += head[1];
    }
    return c;
}

void world_check_replay(struct core_world *w)
{
    struct bcore *c = world_replayed(w);
    struct hash a, b;
    bcore_digest(w->core, &a);
    bcore_digest(c, &b);
    assert_memory_equal(a.b, b.b, sizeof a.b);
    bcore_free(&c);
}

void world_begin_as(struct core_world *w, bool restored)
{
    struct bcore_event ev = {.now = w->now, .wall = w->wall, .restored = restored};
    ev.left_out = w->left_out;
    bcore_begin(w->core, &ev, &w->out);
    world_took(w);
}

void world_begin(struct core_world *w)
{
    world_begin_as(w, false);
}

void world_restart_as(struct core_world *w, bool restored)
{
    struct bcore *c;
    world_check_replay(w);
    c = world_replayed(w);
    bcore_free(&w->core);
    w->core = c;
    world_log_clear(w);
    world_begin_as(w, restored);
}

void world_restart(struct core_world *w)
{
    world_restart_as(w, false);
}

int world_setup(void **state)
{
    struct core_world *w = mem_zalloc(1, sizeof *w);
    struct error err = {0};
    if (trust_init(&err) < 0)
        return -1;
    w->config = (struct bcore_config){
        .memory_budget = 64 << 20, .max_runs = 100000, .cluster = "test", .broker = "b0"};
    w->now = 5000;
    w->wall = WORLD_WALL;
    w->core = bcore_new(&w->config);
    world_begin(w);
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    struct core_world *w = *state;
    world_check_replay(w);
    bcore_free(&w->core);
    bcore_out_free(&w->out);
    world_log_clear(w);
    free(w->log);
    buf_free(&w->journal);
    for (unsigned i = 0; i < 8; i++)
        buf_free(&w->scratch[i]);
    mem_free(state);
    return 0;
}

struct span world_wrapped(struct core_world *w, struct span body, const char *signer)
{
    struct buf *out = world_scratch(w);
    uint8_t signature[64] = {0};
    d_signed_encode(&(struct d_signed){.signer = span_str(signer),
                                       .body = body,
                                       .signature = span_of(signature, 64)},
                    out);
    return buf_span(out);
}

struct span world_certificate(struct core_world *w, const char *name, const char *role,
                              uint64_t serial, const char *const *pools)
{
    struct buf items = {0};
    uint32_t n = 0;
    struct buf *body = world_scratch(w);
    for (; pools && pools[n]; n++)
        wire_add_str(&items, span_str(pools[n]));
    d_certificate_encode(&(struct d_certificate){.cluster = span_str("test"),
                                                 .name = span_str(name),
                                                 .role = span_str(role),
                                                 .serial = serial,
                                                 .pools = wire_list_from(&items, n)},
                         body);
    buf_free(&items);
    return world_wrapped(w, buf_span(body), "admin");
}

uint64_t world_serial(const char *name)
{
    uint64_t h = 7;
    for (; *name; name++)
        h = h * 31 + (uint8_t)*name;
    return h;
}

struct id world_id(uint8_t b)
{
    struct id id;
    memset(id.b, b, sizeof id.b);
    return id;
}

struct hash world_hash(uint8_t b)
{
    struct hash h;
    memset(h.b, b, sizeof h.b);
    return h;
}

uint64_t world_up(struct core_world *w, const char *name, const char *role,
                  const char *const *pools, struct m_hello hello)
{
    struct bcore_peer who = {.name = name, .role = role, .address = "10.0.0.1"};
    struct buf *m = world_scratch(w);
    uint64_t peer = ++w->peers;
    who.certificate = world_certificate(w, name, role, world_serial(name), pools);
    hello.major = hello.major ? hello.major : PROTO_MAJOR;
    hello.software = span_str("test 1");
    m_hello_encode(&hello, m);
    world_step(w, (struct bcore_event){
                      .kind = BCORE_PEER_UP, .peer = peer, .who = &who, .message = buf_span(m)});
    return peer;
}

uint64_t world_caller_up(struct core_world *w, const char *name)
{
    return world_up(w, name, "caller", NULL, (struct m_hello){0});
}

void world_down(struct core_world *w, uint64_t peer)
{
    world_step(w, (struct bcore_event){.kind = BCORE_PEER_DOWN, .peer = peer});
}

/* The store's answer to BCORE_FX_LOOKUP_HANDED. */
static bool was_handed(const struct core_world *w, const struct bcore_effect *e, const char *name)
{
    for (size_t at = 0; at < w->journal.n;) {
        uint64_t head[2];
        struct r_assigned r;
        memcpy(head, w->journal.p + at, sizeof head);
        at += sizeof head;
        if (r_assigned_decode(span_of(w->journal.p + at, head[1]), &r, NULL) == 0 &&
            id_eq(r.run, e->run) && r.attempt == e->attempt && span_eq_str(r.server, name))
            return true;
        at += head[1];
    }
    return false;
}

static void answer_lookups(struct core_world *w, struct bcore_event ev)
{
    const struct world_logged *l;
    struct bcore_known known = {.run = ID_ZERO};
    while ((l = world_find_lookup(w, BCORE_FX_LOOKUP_HANDED))) {
        ev.looked_up = true;
        ev.known = was_handed(w, &l->effect, ev.who->name) ? &known : NULL;
        world_step(w, ev);
    }
}

void world_say_bytes(struct core_world *w, uint64_t peer, const char *name, struct span message)
{
    static const char *const none[1];
    struct bcore_peer who = {.name = name, .role = "", .pools = none, .address = ""};
    who.certificate = world_certificate(w, name, "caller", world_serial(name), NULL);
    struct bcore_event ev = {.kind = BCORE_MESSAGE,
                             .peer = peer,
                             .who = &who,
                             .message = message,
                             .looked_up = w->looked_up,
                             .lsn = w->asked_at ? w->asked_at : w->lsn,
                             .known = w->known,
                             .size = w->deploy_size};
    world_step(w, ev);
    answer_lookups(w, ev);
}

void world_say(struct core_world *w, uint64_t peer, const char *name, const struct wire_schema *s,
               const void *m)
{
    struct buf b = {0};
    wire_encode(s, m, &b);
    world_say_bytes(w, peer, name, buf_span(&b));
    buf_free(&b);
}

void world_window(struct core_world *w, uint64_t peer, bool open)
{
    world_step(w, (struct bcore_event){.kind = BCORE_WINDOW, .peer = peer, .window_open = open});
}

void world_attest(struct core_world *w, uint64_t peer, const char *name, uint64_t slots,
                  const struct world_attested *jobs, const char *need, bool holds)
{
    struct buf items = {0}, needs = {0}, one = {0}, of_job = {0};
    uint32_t n = 0, n_needs = 0;
    for (; jobs[n].job; n++) {
        buf_clear(&one);
        buf_clear(&of_job);
        if (jobs[n].need)
            wire_add_str(&of_job, span_str(jobs[n].need));
        d_attested_job_encode(
            &(struct d_attested_job){.name = span_str(jobs[n].job),
                                     .job_hash = world_hash(jobs[n].hash),
                                     .version = span_str("1"),
                                     .concurrency = jobs[n].concurrency,
                                     .idempotent = jobs[n].idempotent,
                                     .needs = wire_list_from(&of_job, jobs[n].need != NULL),
                                     .older = jobs[n].older},
            &one);
        wire_add_bin(&items, buf_span(&one));
    }
    if (need) {
        buf_clear(&one);
        d_need_encode(&(struct d_need){.need = span_str(need),
                                       .holds = holds,
                                       .trouble = span_str(holds ? "" : "absent")},
                      &one);
        wire_add_bin(&needs, buf_span(&one));
        n_needs = 1;
    }
    SAY(w, peer, name, attest, .slots = slots, .jobs = wire_list_from(&items, n),
        .needs = wire_list_from(&needs, n_needs));
    buf_free(&items);
    buf_free(&needs);
    buf_free(&one);
    buf_free(&of_job);
}

uint64_t world_worker_hello(struct core_world *w, const char *name, uint8_t spool)
{
    static const char *const pools[] = {"etl", NULL};
    return world_up(w, name, "server", pools,
                    (struct m_hello){.spool = world_id(spool),
                                     .boot = world_id(1),
                                     .incarnation = world_id(2),
                                     .slots = WORLD_SLOTS});
}

uint64_t world_worker_up(struct core_world *w, const char *name, uint8_t spool)
{
    uint64_t peer = world_worker_hello(w, name, spool);
    SAY(w, peer, name, have_end, .count = 0);
    world_attest(w, peer, name, WORLD_SLOTS,
                 (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL, false);
    return peer;
}

struct d_call world_call_of(const char *key)
{
    return (struct d_call){.cluster = span_str("test"),
                           .caller = span_str("anna"),
                           .key = span_str(key),
                           .job = span_str("load"),
                           .job_hash = world_hash(1),
                           .address = span_str("etl"),
                           .issued_at = WORLD_WALL,
                           .expires = WORLD_WALL + 100 * 86400000ll};
}

struct id world_parent(struct core_world *w, uint64_t peer, const char *caller, const char *key)
{
    struct buf *body = world_scratch(w);
    struct m_accepted a;
    struct m_driving g;
    d_parent_encode(&(struct d_parent){.cluster = span_str("test"),
                                       .caller = span_str(caller),
                                       .key = span_str(key),
                                       .name = span_str("nightly"),
                                       .plan = world_hash(3),
                                       .tasks = 8,
                                       .issued_at = WORLD_WALL},
                    body);
    SAY(w, peer, caller, parent_begin, .req = 1, .parent = world_wrapped(w, buf_span(body), caller),
        .drive = true);
    SENT(w, peer, ACCEPTED, accepted, &a);
    SENT(w, peer, DRIVING, driving, &g);
    return a.run;
}

void world_call_with(struct core_world *w, uint64_t peer, uint64_t req, const struct d_call *d,
                     uint64_t follow)
{
    struct buf *body = world_scratch(w);
    d_call_encode(d, body);
    char name[LIMIT_NAME + 1];
    span_copy_str(d->caller, name, sizeof name);
    SAY(w, peer, name, call, .req = req, .call = world_wrapped(w, buf_span(body), name),
        .follow = follow);
}

struct id world_call_d(struct core_world *w, uint64_t peer, struct d_call d)
{
    struct m_accepted a;
    world_call_with(w, peer, 1, &d, 0);
    SENT(w, peer, ACCEPTED, accepted, &a);
    return a.run;
}

struct id world_call(struct core_world *w, uint64_t peer, const char *key)
{
    return world_call_d(w, peer, world_call_of(key));
}

enum run_state world_state_of(struct core_world *w, struct id run)
{
    struct view_run v;
    return view_run(w->core, &run, &v) ? v.state : RUN_ENDED;
}

struct span world_outcome(struct core_world *w, enum job_outcome job, enum package_outcome package,
                          int64_t ms)
{
    struct buf *b = world_scratch(w);
    d_outcome_encode(&(struct d_outcome){.delivery = DELIVERY_CALLED,
                                         .job = job,
                                         .package = package,
                                         .status = outcome_status(DELIVERY_CALLED, job, package),
                                         .started_at = 1000,
                                         .ended_at = 1000 + ms},
                     b);
    return buf_span(b);
}

void world_succeed(struct core_world *w, uint64_t peer, const char *name, struct id run,
                   uint64_t attempt, int64_t ms)
{
    SAY(w, peer, name, result, .run = run, .attempt = attempt,
        .outcome = world_outcome(w, JOB_SUCCEEDED, PACKAGE_SUCCEEDED, ms));
}

struct d_outcome world_told_end(struct core_world *w, uint64_t peer, struct id run)
{
    struct m_run_ended e;
    struct d_outcome o = {0};
    struct error err;
    SENT(w, peer, RUN_ENDED, run_ended, &e);
    assert_true(id_eq(e.run, run));
    assert_int_equal(d_outcome_decode(e.outcome, &o, &err), 0);
    return o;
}

enum refusal world_told_error(struct core_world *w, uint64_t peer, const char *part)
{
    struct m_error e;
    char text[LIMIT_TEXT];
    SENT(w, peer, ERROR, error, &e);
    span_copy_str(e.text, text, sizeof text);
    assert_contains(text, part);
    return (enum refusal)e.code;
}
