/* testscript.c - see testscript.h. */
#include "broker/store/testscript.h"

unsigned script_stride(unsigned sample)
{
    return getenv("LB_EVERY") ? 1 : sample;
}

void script_begin(struct script *s, struct core_world *w, unsigned acts)
{
    struct store_life l = {.w = w, .chance = {88172645463325252u}};
    struct bcore *c = bcore_new(&w->config);
    void *folder;
    assert_int_equal(testing_folder(&folder), 0);
    *s = (struct script){
        .w = w, .folder = folder, .path = mem_printf("%s/broker.db", (char *)folder)};
    life_begin_sessions(&l);
    for (unsigned i = 0; i < acts; i++)
        life_act(&l);
    s->state = mem_zalloc(1, sizeof *s->state);
    bcore_digest(c, &s->state[0]);
    for (size_t at = 0; at < w->journal.n; s->n++) {
        uint64_t head[2];
        struct error err = {0};
        memcpy(head, w->journal.p + at, sizeof head);
        s->records = mem_realloc(s->records, s->n + 1, sizeof *s->records);
        s->records[s->n] =
            (struct bcore_record){head[0], span_of(w->journal.p + at + sizeof head, head[1])};
        assert_int_equal(bcore_replay(c, head[0], s->records[s->n].body, &err), 0);
        s->state = mem_realloc(s->state, s->n + 2, sizeof *s->state);
        bcore_digest(c, &s->state[s->n + 1]);
        at += sizeof head + head[1];
    }
    bcore_free(&c);
    disk_install();
}

void script_end(struct script *s)
{
    disk_remove();
    mem_free(&s->records);
    mem_free(&s->state);
    mem_free(&s->path);
    void *folder = s->folder;
    testing_folder_end(&folder);
}

void script_clear(struct script *s)
{
    static const char *const suffix[] = {"", "-journal", "-wal", "-shm", ".lock"};
    for (unsigned i = 0; i < 5; i++) {
        char *name = mem_printf("%s%s", s->path, suffix[i]);
        unlink(name);
        mem_free(&name);
    }
}

struct store_options script_options(const struct script *s)
{
    return (struct store_options){
        .path = s->path, .no_pregrow = !s->pregrow, .reserve_bytes = 1, .now = s->w->wall};
}

static void script_committed(void *self, uint64_t lsn)
{
    (void)self;
    disk_report(lsn);
}

/* Does not wait for the store's own next check of the disk. */
static void script_full(void *self, bool full)
{
    struct script *s = self;
    if (full)
        store_limit(s->store, 0);
}

static void script_answered(void *self, const struct store_answer *a)
{
    (void)a;
    ((struct script *)self)->answers++;
}

static void script_hear(struct script *s)
{
    struct pollfd p = {.fd = store_fd(s->store), .events = POLLIN};
    if (poll(&p, 1, 20000) != 1)
        _exit(99);
    store_dispatch(s->store);
}

void script_ask(struct script *s)
{
    unsigned want = s->answers + 5;
    struct id run = {{0}};
    store_ask(s->store, &(struct store_question){.what = STORE_HISTORY, .most = 5}, script_answered,
              s);
    store_ask(s->store, &(struct store_question){.what = STORE_PARENTS, .most = 5}, script_answered,
              s);
    store_ask(s->store,
              &(struct store_question){
                  .what = STORE_KEY, .most = 1, .key = "key-1", .filter = {.principal = "anna"}},
              script_answered, s);
    store_ask(s->store, &(struct store_question){.what = STORE_RECORDS, .run = run, .most = 50},
              script_answered, s);
    store_ask(
        s->store,
        &(struct store_question){.what = STORE_EVENTS, .upto = disk_now->reported, .most = 50},
        script_answered, s);
    while (s->answers < want)
        script_hear(s);
}

static int script_loaded(void *self, uint64_t lsn, struct span body, struct error *err)
{
    (void)self, (void)lsn, (void)body, (void)err;
    return 0;
}

void script_open(struct script *s)
{
    struct error err = {0};
    struct store_options o = script_options(s);
    if (store_open(&s->store, &o, &err) < 0 || store_load(s->store, script_loaded, NULL, &err) < 0)
        _exit(err.text[0] ? SCRIPT_REFUSED : 98);
    if (store_committed(s->store) < disk_now->reported)
        _exit(97);
    if (store_start(s->store, &(struct store_calls){s, script_committed, script_full}, &err) < 0)
        _exit(err.text[0] ? SCRIPT_REFUSED : 96);
}

void script_append(struct script *s, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i += SCRIPT_TURN) {
        unsigned n = to - i < SCRIPT_TURN ? to - i : SCRIPT_TURN;
        store_append(s->store, &s->records[i], n);
        while (disk_now->reported < i + n)
            script_hear(s);
        if (i / SCRIPT_TURN % SCRIPT_ASK_EVERY == SCRIPT_ASK_EVERY - 1)
            script_ask(s);
    }
}

void script_close(struct script *s)
{
    disk_now->closing = true;
    store_close(&s->store);
    disk_now->closing = false;
}

/* The WAL has been written back into the database while the store is open, and starts over. */
static void script_await_checkpoint(struct script *s)
{
    struct store_stats stats;
    do {
        poll(NULL, 0, 1);
        store_stats(s->store, &stats);
    } while (!stats.checkpoints);
}

void script_live(struct script *s)
{
    unsigned half = s->n / 2;
    script_open(s);
    script_append(s, 0, half);
    store_note(s->store,
               &(struct r_operated){.at = 5, .by = span_str("otto"), .verb = span_str("denied")});
    script_close(s);
    script_open(s);
    script_append(s, half, s->n);
    script_ask(s);
    script_close(s);
}

void script_live_long(struct script *s)
{
    unsigned most = s->n - s->n / 4;
    script_open(s);
    script_append(s, 0, most);
    script_await_checkpoint(s);
    script_append(s, most, s->n);
}

void script_live_first(struct script *s)
{
    script_open(s);
    script_append(s, 0, s->n / 2);
    script_ask(s);
}

void script_live_second(struct script *s)
{
    script_open(s);
    script_append(s, s->n / 2, s->n);
    script_close(s);
}

/* After a life: all history is dropped, live records stay. */
static void script_rows(void *self, const struct store_answer *a)
{
    struct script *s = self;
    s->answers++;
    s->rows += a->n_rows;
}

void script_live_dropping(struct script *s)
{
    struct error err = {0};
    struct store_options o = script_options(s);
    o.retention_ms = 1;
    if (store_open(&s->store, &o, &err) < 0 || store_load(s->store, script_loaded, NULL, &err) < 0)
        _exit(err.text[0] ? SCRIPT_REFUSED : 98);
    if (store_start(s->store, &(struct store_calls){s, script_committed, script_full}, &err) < 0)
        _exit(96);
    struct buf body = {0}; /* something to fold, after which the housekeeping continues */
    r_server_encode(
        &(struct r_server){.at = 1, .server = span_str("etl1"), .state = span_str("up")}, &body);
    store_append(s->store, &(struct bcore_record){store_committed(s->store) + 1, buf_span(&body)},
                 1);
    buf_free(&body);
    while (!disk_now->reported)
        script_hear(s);
    do {
        s->rows = 0;
        unsigned want = s->answers + 2;
        store_ask(s->store, &(struct store_question){.what = STORE_HISTORY, .most = 5}, script_rows,
                  s);
        store_ask(s->store, &(struct store_question){.what = STORE_PARENTS, .most = 5}, script_rows,
                  s);
        while (s->answers < want)
            script_hear(s);
    } while (s->rows);
    script_close(s);
}

int script_run(struct script *s, void live(struct script *))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        live(s);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status))
        fail_msg("the child ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

uint64_t script_judge(struct script *s, uint64_t reported, const char *where)
{
    struct error err = {0};
    struct hash loaded;
    struct buf text = {0};
    struct bcore *c = bcore_new(&s->w->config);
    struct store_options o = script_options(s);
    struct store *store = NULL;
    o.no_pregrow = true;
    if (store_open(&store, &o, &err) < 0 || store_load(store, life_check_loaded, c, &err) < 0)
        fail_msg("%s: %s", where, err.text);
    uint64_t n = store_committed(store);
    if (n < reported || n > s->n)
        fail_msg("%s: %d records are there, %d were reported", where, (int)n, (int)reported);
    bcore_digest(c, &loaded);
    if (memcmp(loaded.b, s->state[n].b, sizeof loaded.b) != 0)
        fail_msg("%s: the %d records loaded do not give the state that was", where, (int)n);
    bcore_free(&c);
    store_close(&store);
    if (store_check(s->path, &text, &err) < 0)
        fail_msg("%s: %s", where, err.text);
    buf_free(&text);
    return n;
}

uint64_t script_judge_cut(struct script *s, size_t end, enum disk_loss loss, uint64_t seed)
{
    struct disk_image image = {0};
    char where[120];
    static const char *const words[] = {"all kept", "only what was synced", "torn"};
    snprintf(where, sizeof where, "power cut before op %zu of %zu, %s, seed %llu", end,
             disk_now->n_ops, words[loss], (unsigned long long)seed);
    disk_after_cut(end, loss, seed, &image);
    disk_lay(&image, s->path);
    disk_image_free(&image);
    return script_judge(s, disk_reported(end), where);
}
