/* hostilecaller.c - see hostilecaller.h. */
#include "tests/sim/hostilecaller.h"

#include "common/mem.h"
#include "tests/sim/peerline.h"

#define FOR_EVER_MS (30 * INT64_C(86400000)) /* longer than any simulated time */
#define AS_OF       "2026-11-21T09:13:55.000Z"

struct hostilecaller {
    struct world *w;
    const struct catalog *catalog;
    const char *const *servers;
    unsigned n_servers;
    struct clock_sim clock;
    struct process process;
    struct cable cable;
    struct peerline *line;
    uint64_t req;
    unsigned calls, parents;
    struct buf body, signed_body, scratch;
};

#define SAY(h, low, ...) \
    do { \
        struct m_##low m_ = {__VA_ARGS__}; \
        buf_clear(&(h)->scratch); \
        m_##low##_encode(&m_, &(h)->scratch); \
        peerline_send((h)->line, buf_span(&(h)->scratch)); \
    } while (0)

/* ---- What is not its own */
static bool some_run(const struct hostilecaller *h, const struct bcore *core, struct view_run *ret)
{
    struct id at = ID_ZERO;
    bool is = false;
    for (uint64_t n = 1 + rng_below(&h->w->rng, 40); n && view_run_after(core, &at, ret); n--) {
        at = ret->id;
        is = true;
    }
    return is && view_run(core, &at, ret);
}

static bool some_parent(const struct hostilecaller *h, const struct bcore *core,
                        struct view_parent *ret)
{
    struct id at = ID_ZERO;
    bool is = false;
    for (uint64_t n = 1 + rng_below(&h->w->rng, 6); n && view_parent_after(core, &at, ret); n--) {
        at = ret->id;
        is = true;
    }
    return is && view_parent(core, &at, ret);
}

/* ---- Calls */
static struct d_call some_call(struct hostilecaller *h, const char *key)
{
    struct world *w = h->w;
    const struct sim_job *job =
        &h->catalog->jobs[world_chance(w, 700) ? 0 : rng_below(&w->rng, CATALOG_JOBS)];
    struct d_call d = {.cluster = span_str(SIM_CLUSTER),
                       .caller = span_str(HOSTILE),
                       .key = span_str(key),
                       .job = span_str(job->name),
                       .job_hash = job->hash,
                       .pin_latest = world_chance(w, 300),
                       .address = span_str("all"),
                       .on_lost = ON_LOST_FAIL,
                       .priority = world_chance(w, 300) ? 9 : rng_below(&w->rng, 10),
                       .issued_at = world_wall_ms(w, &h->process)};
    if (d.pin_latest)
        d.job_hash = (struct hash){{0}};
    if (world_chance(w, 500))
        d.address = span_str("nowhere");
    else if (world_chance(w, 300))
        d.address = span_str(h->servers[rng_below(&w->rng, h->n_servers)]);
    d.expires = d.issued_at + FOR_EVER_MS;
    return d;
}

static void say_call(struct hostilecaller *h, const struct d_call *d)
{
    catalog_write_call(d, &h->body, &h->signed_body);
    SAY(h, call, .req = ++h->req, .call = buf_span(&h->signed_body),
        .follow = rng_below(&h->w->rng, 3));
}

static void flood(struct hostilecaller *h, const struct bcore *core)
{
    char key[48];
    (void)core;
    for (int64_t n = world_between(h->w, 4, 40); n > 0; n--) {
        snprintf(key, sizeof key, HOSTILE "/%u", h->calls++);
        struct d_call d = some_call(h, key);
        say_call(h, &d);
    }
}

/* Under a key that it has used, or that another uses. */
static void repeat_key(struct hostilecaller *h, const struct bcore *core)
{
    static const char *const others[] = {"anna", "bert", "carl"};
    char key[48];
    bool own = world_chance(h->w, 500);
    (void)core;
    snprintf(key, sizeof key, "%s/%u", own ? HOSTILE : others[rng_below(&h->w->rng, 3)],
             (unsigned)rng_below(&h->w->rng, own ? h->calls + 1u : 20));
    struct d_call d = some_call(h, key);
    if (world_chance(h->w, 300))
        d.caller = span_str("anna"); /* nor is it the sender's */
    say_call(h, &d);
}

static void call_below(struct hostilecaller *h, const struct bcore *core)
{
    struct view_parent p;
    char key[48];
    if (!some_parent(h, core, &p))
        return;
    snprintf(key, sizeof key, HOSTILE "/%u", h->calls++);
    struct d_call d = some_call(h, key);
    d.parent = p.id;
    d.task = span_str("t0");
    d.try_no = 1;
    say_call(h, &d);
}

/* ---- Parents */
static void begin_parents(struct hostilecaller *h, const struct bcore *core)
{
    (void)core;
    for (int64_t n = world_between(h->w, 1, 20); n > 0; n--) {
        char key[48];
        snprintf(key, sizeof key, HOSTILE "/plan%u", h->parents++);
        buf_clear(&h->body);
        buf_clear(&h->signed_body);
        d_parent_encode(&(struct d_parent){.cluster = span_str(SIM_CLUSTER),
                                           .caller = span_str(HOSTILE),
                                           .key = span_str(key),
                                           .name = span_str("idle"),
                                           .as_of = span_str(AS_OF),
                                           .tasks = 1,
                                           .issued_at = world_wall_ms(h->w, &h->process)},
                        &h->body);
        d_signed_encode(&(struct d_signed){.signer = span_str(HOSTILE), .body = buf_span(&h->body)},
                        &h->signed_body);
        SAY(h, parent_begin, .req = ++h->req, .parent = buf_span(&h->signed_body));
    }
}

static void take_parent(struct hostilecaller *h, const struct bcore *core)
{
    struct view_parent p;
    if (!some_parent(h, core, &p))
        return;
    SAY(h, parent_drive, .req = ++h->req, .parent = p.id);
    SAY(h, parent_end, .req = ++h->req, .parent = p.id, .epoch = p.epoch,
        .status = STATUS_SUCCEEDED, .report = span_str("{}"));
}

/* ---- Runs */
static void meddle(struct hostilecaller *h, const struct bcore *core)
{
    struct view_run r;
    char text[ID_TEXT];
    for (unsigned i = 0; i < 4 && some_run(h, core, &r); i++) {
        if (world_chance(h->w, 500))
            SAY(h, cancel, .req = ++h->req, .run = r.id, .force = true,
                .reason = span_str("because it can"));
        else if (world_chance(h->w, 700))
            SAY(h, follow, .req = ++h->req, .run = r.id, .level = 2);
        else
            SAY(h, operate, .req = ++h->req, .verb = span_str("release"),
                .target = span_str(id_format(r.id, text)), .reason = span_str("because it can"));
    }
}

void hostilecaller_act(struct hostilecaller *h, const struct bcore *core)
{
    static void (*const tricks[])(struct hostilecaller * h, const struct bcore *core) = {
        flood, flood, repeat_key, call_below, begin_parents, take_parent, meddle};
    if (!core || !peerline_is_up(h->line))
        return;
    tricks[rng_below(&h->w->rng, sizeof tricks / sizeof *tricks)](h, core);
    peerline_flush(h->line);
}

/* ---- Life */
static void on_up(void *self, struct span welcome)
{
    struct hostilecaller *h = self;
    (void)welcome;
    TRACE(h->w, HOSTILE, "session is open");
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct hostilecaller *h = self;
    struct m_error m;
    if (kind == KIND_M_ACCEPTED)
        world_met(h->w, FAULT_HOSTILE_ACCEPTED);
    if (kind != KIND_M_ERROR || m_error_decode(message, &m, NULL) < 0)
        return;
    TRACE(h->w, HOSTILE, "is refused: %s: " SPAN_FMT, refusal_word(m.code), SPAN_ARG(m.text));
    world_met(h->w, m.code == REFUSAL_BUSY ? FAULT_HOSTILE_BUSY : FAULT_HOSTILE_REFUSED);
}

static const struct peerline_calls calls = {.up = on_up, .message = on_message};

struct hostilecaller *hostilecaller_new(struct world *w, struct network *n, const struct catalog *c,
                                        const char *const *servers, unsigned n_servers)
{
    struct hostilecaller *h = mem_zalloc(1, sizeof *h);
    h->w = w;
    h->catalog = c;
    h->servers = servers;
    h->n_servers = n_servers;
    h->cable.name = HOSTILE;
    process_init_machine(w, &h->process, HOSTILE, &h->clock, WALL_OFF_MS);
    h->line = peerline_new(w, n, &h->cable, &h->process, &calls, h);
    return h;
}

void hostilecaller_free(struct hostilecaller **ph)
{
    struct hostilecaller *h = *ph;
    if (!h)
        return;
    peerline_free(&h->line);
    buf_free(&h->body);
    buf_free(&h->signed_body);
    buf_free(&h->scratch);
    mem_free(ph);
}

void hostilecaller_start(struct hostilecaller *h)
{
    h->process.up = true;
    peerline_start(h->line);
}
