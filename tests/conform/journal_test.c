/* journal_test.c - one suite for both journals: the broker's SQLite file and the simulated disk.
 * What the simulator proves on its disk holds for a broker only as far as the two behave alike,
 * so both get the same records and questions and must give the same answers. The records are a
 * random life; the core's replay judges it. */
#include "broker/store/store.h"
#include "common/mem.h"
#include "common/testing.h"
#include "tests/sim/disk.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS = 24, TURNS = 120, SEEDS = 6, KEPT_ENDS = 4, WALL = 1700000000 };

/* ---- A life: records in turns */
struct life {
    struct rng rng;
    struct bcore_record v[8 * TURNS];
    unsigned n, turn_end[TURNS], turns;
    struct life_run {
        struct id id;
        enum { NEW, WAITS, THERE, HELD, OVER } is;
        uint64_t attempt;
        char key[16];
    } run[RUNS];
};

#define ADD(l, low, ...) \
    do { \
        struct buf b_ = {0}; \
        r_##low##_encode(&(struct r_##low){.at = WALL + (int64_t)(l)->n, __VA_ARGS__}, &b_); \
        (l)->v[(l)->n] = (struct bcore_record){(l)->n + 1, buf_span(&b_)}; \
        (l)->n++; \
    } while (0)

static const char *caller_of(unsigned run)
{
    return run % 3 ? "anna" : "otto";
}

static void add_called(struct life *l, struct life_run *r, unsigned number)
{
    struct buf call = {0}, envelope = {0};
    struct span caller = span_str(caller_of(number));
    uint8_t none[64] = {0};
    snprintf(r->key, sizeof r->key, "key-%u", number);
    memset(r->id.b, (int)number + 1, sizeof r->id.b);
    d_call_encode(&(struct d_call){.cluster = span_str("test"),
                                   .caller = caller,
                                   .key = span_str(r->key),
                                   .job = span_str("load"),
                                   .address = span_str("etl")},
                  &call);
    d_signed_encode(&(struct d_signed){.signer = caller,
                                       .body = buf_span(&call),
                                       .signature = span_of(none, 64)},
                    &envelope);
    struct hash digest = {{(uint8_t)number}};
    ADD(l, called, .run = r->id, .principal = caller, .call = buf_span(&envelope),
        .digest = digest);
    buf_free(&call);
    buf_free(&envelope);
    r->is = WAITS;
}

static void add_ended(struct life *l, struct life_run *r)
{
    struct buf outcome = {0};
    d_outcome_encode(
        &(struct d_outcome){.status = STATUS_FAILED, .job = JOB_FAILED, .package = PACKAGE_FAILED},
        &outcome);
    ADD(l, ended, .run = r->id, .attempt = r->attempt, .server = span_str("etl1"),
        .outcome = buf_span(&outcome), .reported = r->is == THERE);
    buf_free(&outcome);
    r->is = OVER;
}

static void wait_goes_on(struct life *l, struct life_run *r, uint64_t dice)
{
    if (dice < 6) {
        ADD(l, assigned, .run = r->id, .attempt = ++r->attempt, .server = span_str("etl1"));
        r->is = THERE;
    } else if (dice < 7) {
        r->attempt += 10;
        ADD(l, held, .run = r->id, .attempt = r->attempt);
        r->is = HELD;
    } else {
        add_ended(l, r);
    }
}

static void attempt_goes_on(struct life *l, struct life_run *r, uint64_t dice)
{
    if (dice < 4) {
        ADD(l, started, .run = r->id, .attempt = r->attempt, .step = span_str("run"));
    } else if (dice < 5) {
        ADD(l, returned, .run = r->id, .attempt = r->attempt);
        r->is = WAITS;
    } else if (dice < 6) {
        ADD(l, lost, .run = r->id, .attempt = r->attempt, .then = ON_LOST_HOLD);
        r->is = HELD;
    } else {
        add_ended(l, r);
    }
}

static void one_more_of(struct life *l, struct life_run *r)
{
    uint64_t dice = rng_below(&l->rng, 10);
    if (r->is == NEW) {
        add_called(l, r, (unsigned)(r - l->run));
    } else if (r->is == WAITS) {
        wait_goes_on(l, r, dice);
    } else if (r->is == THERE) {
        attempt_goes_on(l, r, dice);
    } else if (r->is == HELD && dice < 5) {
        ADD(l, released, .run = r->id, .how = span_str("rerun"));
        r->is = WAITS;
    } else if (r->is == HELD) {
        add_ended(l, r);
    } else {
        ADD(l, evidence, .run = r->id, .attempt = 1, .server = span_str("etl1"),
            .why = span_str("late"));
    }
}

static void live(struct life *l, uint64_t seed)
{
    static const char *const verb[] = {"drain", "undrain"};
    memset(l, 0, sizeof *l);
    rng_seed(&l->rng, seed);
    for (unsigned t = 0; t < TURNS; t++) {
        unsigned most = 1 + (unsigned)rng_below(&l->rng, 4);
        if (t % 40 == 0)
            ADD(l, epoch, .epoch = 1 + t / 40);
        for (unsigned i = 0; i < most; i++)
            one_more_of(l, &l->run[rng_below(&l->rng, RUNS)]);
        if (rng_below(&l->rng, 5) == 0)
            ADD(l, operated, .by = span_str("root"), .verb = span_str(verb[rng_below(&l->rng, 2)]),
                .target = span_str(rng_below(&l->rng, 2) ? "etl1" : "etl2"));
        if (rng_below(&l->rng, 5) == 0)
            ADD(l, server, .server = span_str("etl1"), .state = span_str("up"));
        l->turn_end[l->turns++] = l->n;
    }
}

static void live_no_more(struct life *l)
{
    for (unsigned i = 0; i < l->n; i++)
        free((void *)(uintptr_t)l->v[i].body.p);
}

/* ---- What is loaded: as text, and as a state */
struct loaded {
    struct buf text;
    struct bcore *core;
};

static int take(void *self, uint64_t lsn, struct span body, struct error *err)
{
    struct loaded *l = self;
    buf_add(&l->text, &lsn, sizeof lsn);
    buf_add(&l->text, body.p, body.n);
    return bcore_replay(l->core, lsn, body, err);
}

static struct bcore *new_core(void)
{
    struct bcore_config config = {
        .memory_budget = 1 << 30, .max_runs = 1000, .kept_max = KEPT_ENDS};
    return bcore_new(&config);
}

static struct hash state_after(const struct life *l, uint64_t n)
{
    struct bcore *c = new_core();
    struct error err = {0};
    struct hash h;
    for (uint64_t i = 0; i < n; i++)
        if (bcore_replay(c, l->v[i].lsn, l->v[i].body, &err) < 0)
            fail_msg("%s", err.text);
    bcore_digest(c, &h);
    bcore_free(&c);
    return h;
}

/* ---- Both journals behind one interface */
struct journal_here {
    const struct face *face;
    uint64_t told; /* the last record reported to it as committed */
    bool full;
    /* a file */
    char *path;
    struct store *store;
    struct store_answer answer; /* its spans are lent: use only its numbers */
    bool answered, found;
    struct id found_run;
    struct hash found_digest;
    uint64_t found_attempt;
    /* a simulated disk */
    struct world w;
    struct clock_sim clock;
    struct process broker;
    struct journal *journal;
};

struct face {
    const char *name;
    void (*make)(struct journal_here *j, const char *path, uint64_t seed);
    void (*destroy)(struct journal_here *j);
    void (*begin)(struct journal_here *j, struct loaded *ret); /* a process starts and loads */
    /* it ends cleanly: commits and folds everything */
    void (*end)(struct journal_here *j);
    void (*append)(struct journal_here *j, const struct bcore_record *v, unsigned n); /* a turn */
    void (*wait)(struct journal_here *j);                                             /* for news */
    void (*set_full)(struct journal_here *j, bool full);
    bool (*key)(struct journal_here *j, const char *principal, const char *key, struct id *run,
                struct hash *digest);
    bool (*ended)(struct journal_here *j, struct id run, uint64_t *ret_attempt);
    /* A process appends turns, hears that some are committed, and dies. Returns the last record
     * it heard of. */
    uint64_t (*live_and_die)(struct journal_here *j, const struct life *l, uint64_t seed);
};

static void on_committed(void *self, uint64_t lsn)
{
    struct journal_here *j = self;
    assert_true(lsn >= j->told);
    j->told = lsn;
}

static void on_full(void *self, bool full)
{
    ((struct journal_here *)self)->full = full;
}

/* ---- The file */
static void file_make(struct journal_here *j, const char *path, uint64_t seed)
{
    (void)seed;
    j->path = mem_strdup(path);
}

static void file_destroy(struct journal_here *j)
{
    mem_free(&j->path);
}

static void file_begin(struct journal_here *j, struct loaded *ret)
{
    struct error err = {0};
    struct store_options o = {.path = j->path,
                              .no_pregrow = true,
                              .reserve_bytes = 1,
                              .kept_max = KEPT_ENDS,
                              .now = WALL};
    if (store_open(&j->store, &o, &err) < 0 || store_load(j->store, take, ret, &err) < 0 ||
        store_start(j->store, &(struct store_calls){j, on_committed, on_full}, &err) < 0)
        fail_msg("%s", err.text);
    j->told = store_committed(j->store);
}

static void file_end(struct journal_here *j)
{
    store_close(&j->store);
}

static void file_append(struct journal_here *j, const struct bcore_record *v, unsigned n)
{
    store_append(j->store, v, n);
}

static void file_wait(struct journal_here *j)
{
    struct pollfd p = {.fd = store_fd(j->store), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    store_dispatch(j->store);
}

static void file_set_full(struct journal_here *j, bool full)
{
    store_limit(j->store, full ? 4096 : 0); /* one page: it cannot grow any further */
}

static void take_answer(void *self, const struct store_answer *a)
{
    struct journal_here *j = self;
    struct r_ended e;
    uint64_t kind;
    size_t size;
    assert_int_equal(a->rc, 0);
    j->answered = true;
    j->found = a->n_rows == 1;
    if (j->found)
        j->found_run = a->rows[0].run, j->found_digest = a->rows[0].digest;
    for (unsigned i = 0; i < a->n_records; i++)
        if (wire_peek(a->records[i].body, &kind, &size, NULL) == 0 && kind == KIND_R_ENDED &&
            r_ended_decode(a->records[i].body, &e, NULL) == 0)
            j->found = true, j->found_attempt = e.attempt;
}

static bool file_ask(struct journal_here *j, const struct store_question *q)
{
    j->answered = false;
    store_ask(j->store, q, take_answer, j);
    while (!j->answered)
        file_wait(j);
    return j->found;
}

static bool file_key(struct journal_here *j, const char *principal, const char *key, struct id *run,
                     struct hash *digest)
{
    struct store_question q = {
        .what = STORE_KEY, .most = 1, .key = key, .filter = {.principal = principal}};
    bool found = file_ask(j, &q);
    *run = j->found_run;
    *digest = j->found_digest;
    return found;
}

static bool file_ended(struct journal_here *j, struct id run, uint64_t *ret_attempt)
{
    bool found =
        file_ask(j, &(struct store_question){.what = STORE_RECORDS, .run = run, .most = 100});
    *ret_attempt = j->found_attempt;
    return found;
}

static uint64_t file_live_and_die(struct journal_here *j, const struct life *l, uint64_t seed)
{
    uint64_t *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                          -1, 0),
             was;
    int status;
    assert_true(told != MAP_FAILED);
    pid_t pid = fork();
    if (pid == 0) {
        struct loaded none = {.core = new_core()};
        unsigned last = 1 + (unsigned)(seed * 7 % (l->turns - 1)), done = 0;
        file_begin(j, &none);
        for (unsigned t = 0; t < last; t++) {
            file_append(j, l->v + done, l->turn_end[t] - done);
            done = l->turn_end[t];
            while (t % 5 == 4 && j->told < done)
                file_wait(j);
            *told = j->told;
        }
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    was = *told;
    munmap(told, sizeof *told);
    return was;
}

/* ---- The simulated disk */
static void sim_durable(void *self, const struct journal_record *r)
{
    (void)self, (void)r;
}

static const struct journal_calls sim_calls = {sim_durable, on_committed, on_full};

static void sim_make(struct journal_here *j, const char *path, uint64_t seed)
{
    (void)path;
    world_init(&j->w, seed, NULL);
    process_init(&j->broker, "broker", &j->clock);
    j->journal = journal_new(&j->w, &j->broker, &sim_calls, j);
}

static void sim_destroy(struct journal_here *j)
{
    journal_free(&j->journal);
    world_end(&j->w);
}

static void sim_begin(struct journal_here *j, struct loaded *ret)
{
    struct error err = {0};
    j->broker.up = true;
    if (journal_load(j->journal, true, KEPT_ENDS, take, ret, &err) < 0)
        fail_msg("%s", err.text);
    j->told = journal_durable(j->journal);
}

static void sim_wait(struct journal_here *j)
{
    assert_true(world_step(&j->w));
}

static void sim_end(struct journal_here *j)
{
    while (world_step(&j->w))
        ;
    j->broker.up = false;
    journal_crash(j->journal);
}

static void sim_append(struct journal_here *j, const struct bcore_record *v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        journal_append(j->journal, v[i].lsn, v[i].body);
    journal_turn_end(j->journal);
}

static void sim_set_full(struct journal_here *j, bool full)
{
    journal_set_full(j->journal, full);
}

static bool sim_key(struct journal_here *j, const char *principal, const char *key, struct id *run,
                    struct hash *digest)
{
    return journal_key_of(j->journal, span_str(principal), span_str(key), false, run, digest);
}

static bool sim_ended(struct journal_here *j, struct id run, uint64_t *ret_attempt)
{
    struct r_ended e;
    bool found = journal_end_of(j->journal, run, &e);
    *ret_attempt = found ? e.attempt : 0;
    return found;
}

static uint64_t sim_live_and_die(struct journal_here *j, const struct life *l, uint64_t seed)
{
    struct loaded none = {.core = new_core()};
    unsigned last = 1 + (unsigned)(seed * 7 % (l->turns - 1)), done = 0;
    sim_begin(j, &none);
    for (unsigned t = 0; t < last; t++) {
        sim_append(j, l->v + done, l->turn_end[t] - done);
        done = l->turn_end[t];
        for (uint64_t steps = rng_below(&j->w.rng, 3); steps && world_step(&j->w); steps--)
            ;
    }
    journal_crash(j->journal);
    j->broker.up = false;
    bcore_free(&none.core);
    buf_free(&none.text);
    return j->told;
}

static const struct face faces[] = {
    {"a SQLite file", file_make, file_destroy, file_begin, file_end, file_append, file_wait,
     file_set_full, file_key, file_ended, file_live_and_die},
    {"the simulated disk", sim_make, sim_destroy, sim_begin, sim_end, sim_append, sim_wait,
     sim_set_full, sim_key, sim_ended, sim_live_and_die},
};
enum { FACES = sizeof faces / sizeof *faces };

/* ---- The suite */
struct case_ {
    struct life life;
    struct journal_here here;
    uint64_t seed;
};

/* Runs one law over every journal and seed. */
static void in_every_journal(void **state, void law(struct case_ *c))
{
    for (unsigned f = 0; f < FACES; f++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct case_ *c = mem_zalloc(1, sizeof *c);
            char name[40];
            snprintf(name, sizeof name, "%u-%llu.db", f, (unsigned long long)seed);
            live(&c->life, seed);
            c->seed = seed;
            c->here.face = &faces[f];
            c->here.face->make(&c->here, testing_path(state, name), seed);
            law(c);
            c->here.face->destroy(&c->here);
            live_no_more(&c->life);
            mem_free(&c);
        }
}

static void begin(struct case_ *c, struct loaded *ret)
{
    ret->core = new_core();
    buf_clear(&ret->text);
    c->here.face->begin(&c->here, ret);
}

static void loaded_free(struct loaded *l)
{
    bcore_free(&l->core);
    buf_free(&l->text);
}

static void assert_state(struct case_ *c, const struct loaded *l, uint64_t n)
{
    struct hash expected = state_after(&c->life, n), is;
    bcore_digest(l->core, &is);
    if (memcmp(is.b, expected.b, sizeof is.b) != 0)
        fail_msg("%s, seed %llu: the loaded state is not the one after %llu records",
                 c->here.face->name, (unsigned long long)c->seed, (unsigned long long)n);
}

static void append_turns(struct case_ *c, unsigned from, unsigned to)
{
    for (unsigned t = from, done = from ? c->life.turn_end[from - 1] : 0; t < to; t++) {
        c->here.face->append(&c->here, c->life.v + done, c->life.turn_end[t] - done);
        done = c->life.turn_end[t];
    }
}

static void await_told(struct case_ *c, uint64_t lsn)
{
    while (c->here.told < lsn)
        c->here.face->wait(&c->here);
    assert_int_equal(c->here.told, lsn);
}

static void loads(struct case_ *c)
{
    struct loaded l = {0};
    for (unsigned t = 0; t <= TURNS; t += TURNS / 4) {
        begin(c, &l);
        uint64_t n = t ? c->life.turn_end[t - 1] : 0;
        assert_int_equal(c->here.told, n);
        assert_state(c, &l, n);
        if (t < TURNS) {
            append_turns(c, t, t + TURNS / 4);
            await_told(c, c->life.turn_end[t + TURNS / 4 - 1]);
        }
        c->here.face->end(&c->here);
        loaded_free(&l);
    }
}

static void committed_records_load_into_the_same_state(void **state)
{
    in_every_journal(state, loads);
}

static void dies(struct case_ *c)
{
    struct loaded l = {0};
    uint64_t told = c->here.face->live_and_die(&c->here, &c->life, c->seed);
    begin(c, &l);
    uint64_t n = c->here.told;
    bool whole = n == 0;
    assert_true(n >= told);
    for (unsigned t = 0; t < c->life.turns; t++)
        whole |= c->life.turn_end[t] == n;
    if (!whole)
        fail_msg("%s, seed %llu: it has %llu records, which ends in the middle of a turn",
                 c->here.face->name, (unsigned long long)c->seed, (unsigned long long)n);
    assert_state(c, &l, n);
    c->here.face->end(&c->here);
    loaded_free(&l);
}

static void a_crash_loses_no_reported_record_and_leaves_whole_turns(void **state)
{
    in_every_journal(state, dies);
}

static void answers(struct case_ *c)
{
    struct loaded l = {0};
    begin(c, &l);
    append_turns(c, 0, TURNS);
    await_told(c, c->life.n);
    for (unsigned i = 0; i < RUNS; i++) {
        const struct life_run *r = &c->life.run[i];
        struct id run = {{0}};
        struct hash digest = {{0}};
        uint64_t attempt = 0;
        assert_int_equal(c->here.face->ended(&c->here, r->id, &attempt), r->is == OVER);
        bool found = c->here.face->key(&c->here, caller_of(i), r->key, &run, &digest);
        assert_int_equal(found, r->is == OVER);
        assert_false(c->here.face->key(&c->here, caller_of(i % 3 == 0), r->key, &run, &digest));
        if (r->is == OVER) {
            assert_int_equal(attempt, r->attempt);
            c->here.face->key(&c->here, caller_of(i), r->key, &run, &digest);
            assert_true(id_eq(run, r->id));
            assert_int_equal(digest.b[0], i);
        }
    }
    c->here.face->end(&c->here);
    loaded_free(&l);
}

static void history_answers_about_ended_runs_and_their_keys(void **state)
{
    in_every_journal(state, answers);
}

static void fills(struct case_ *c)
{
    struct loaded l = {0};
    if (c->seed > 2) /* the file looks for free space only twice a second */
        return;
    begin(c, &l);
    append_turns(c, 0, 10);
    await_told(c, c->life.turn_end[9]);
    c->here.face->set_full(&c->here, true);
    while (!c->here.full)
        c->here.face->wait(&c->here);
    append_turns(c, 10, TURNS);
    assert_true(c->here.told < c->life.n);
    c->here.face->set_full(&c->here, false);
    await_told(c, c->life.n);
    while (c->here.full)
        c->here.face->wait(&c->here);
    c->here.face->end(&c->here);
    loaded_free(&l);
    begin(c, &l);
    assert_state(c, &l, c->life.n);
    c->here.face->end(&c->here);
    loaded_free(&l);
}

static void a_full_disk_is_reported_and_appends_resume_when_there_is_room(void **state)
{
    in_every_journal(state, fills);
}

/* What one journal leaves out of a replay, the other leaves out too: the simulator replays what
 * a broker replays. */
static void a_folded_journal_loads_the_same_records_in_every_journal(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct buf text[FACES] = {{0}};
        for (unsigned f = 0; f < FACES; f++) {
            struct case_ *c = mem_zalloc(1, sizeof *c);
            struct loaded l = {0};
            char name[40];
            snprintf(name, sizeof name, "same-%llu.db", (unsigned long long)seed);
            live(&c->life, seed);
            c->here.face = &faces[f];
            c->here.face->make(&c->here, testing_path(state, name), seed);
            begin(c, &l);
            append_turns(c, 0, TURNS);
            c->here.face->end(&c->here);
            loaded_free(&l);
            begin(c, &l);
            c->here.face->end(&c->here);
            text[f] = l.text;
            bcore_free(&l.core);
            c->here.face->destroy(&c->here);
            assert_true(text[f].n > 0);
            live_no_more(&c->life);
            mem_free(&c);
        }
        for (unsigned f = 1; f < FACES; f++) {
            assert_int_equal(text[f].n, text[0].n);
            assert_memory_equal(text[f].p, text[0].p, text[0].n);
        }
        for (unsigned f = 0; f < FACES; f++)
            buf_free(&text[f]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(committed_records_load_into_the_same_state),
        in_folder(a_crash_loses_no_reported_record_and_leaves_whole_turns),
        in_folder(history_answers_about_ended_runs_and_their_keys),
        in_folder(a_full_disk_is_reported_and_appends_resume_when_there_is_room),
        in_folder(a_folded_journal_loads_the_same_records_in_every_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
