/* testworld.c - see testworld.h. */
#include "runner/testworld.h"

static void on_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    struct runner **s = arg;
    if (info->ssi_signo == SIGCHLD && *s)
        runner_reap(*s);
    else if (info->ssi_signo == SIGTERM)
        loop_stop(l, 0);
}

static _Noreturn void be_runner(struct testworld *w)
{
    static struct runner *s;
    struct error err = {0};
    struct loop *l = loop_new(&err);
    if (!l || loop_signals(l, on_signal, &s, &err) < 0 ||
        runner_new(&w->rig.paths, l, &s, &err) < 0 || loop_run(l, &err) < 0) {
        fprintf(stderr, "runner: %s\n", err.text);
        _exit(1);
    }
    _exit(0);
}

void world_start_runner(struct testworld *w, unsigned slots)
{
    struct error err = {0};
    char *path = mem_printf("%s/runner.sock", w->rig.paths.run);
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    w->runner = fork();
    assert_true(w->runner >= 0);
    if (w->runner == 0)
        be_runner(w);
    while (channel_connect(path, &w->c, &err) < 0) {
        if (clock_boot_ms() > until)
            fail_msg("%s", err.text);
        poll(NULL, 0, 5); /* it listens once it has heard from its keepers */
    }
    struct s_attach a = {.version = RUNNER_PROTOCOL, .slots = slots};
    buf_clear(&w->bytes);
    s_attach_encode(&a, &w->bytes);
    assert_int_equal(channel_send(w->c, buf_span(&w->bytes), &err), 0);
    mem_free(&path);
}

void world_stop_runner(struct testworld *w, int sig)
{
    int status;
    channel_close(&w->c);
    if (w->runner > 0) {
        kill(w->runner, sig);
        assert_int_equal(waitpid(w->runner, &status, 0), w->runner);
    }
    w->runner = 0;
}

uint64_t world_hear(struct testworld *w, struct span *ret)
{
    struct error err = {0};
    uint64_t kind;
    size_t size;
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    for (;;) {
        int rc = channel_receive(w->c, ret, &err);
        if (rc < 0)
            fail_msg("%s", err.text);
        if (rc == 1)
            break;
        struct pollfd p = {.fd = channel_fd(w->c), .events = POLLIN};
        if (clock_boot_ms() > until)
            fail_msg("the runner says nothing");
        poll(&p, 1, 100);
    }
    assert_int_equal(wire_peek(*ret, &kind, &size, &err), 0);
    return kind;
}

unsigned world_hear_kept(struct testworld *w, enum kept_state state, struct s_kept *ret_last)
{
    struct span m;
    unsigned n = 0;
    for (;;) {
        uint64_t kind = world_hear(w, &m);
        struct s_kept k;
        if (kind == KIND_S_KEPT_END)
            return n;
        if (kind != KIND_S_KEPT)
            continue;
        assert_int_equal(s_kept_decode(m, &k, NULL), 0);
        if (k.state == state) {
            n++;
            if (ret_last)
                *ret_last = k;
        }
    }
}

void world_say(struct testworld *w, struct buf *message)
{
    struct error err = {0};
    if (channel_send(w->c, buf_span(message), &err) < 0)
        fail_msg("%s", err.text);
    while (channel_wants_write(w->c)) { /* the runner has not read everything sent before */
        struct pollfd p = {.fd = channel_fd(w->c), .events = POLLOUT};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        if (channel_flush(w->c, &err) < 0)
            fail_msg("%s", err.text);
    }
    buf_clear(message);
}

bool world_scan(struct testworld *w, testworld_entry_fn *fn, void *arg)
{
    DIR *d = opendir(w->rig.paths.spool);
    bool found = false;
    assert_non_null(d);
    for (struct dirent *e; !found && (e = readdir(d));) {
        struct spoolfile_reader *r;
        struct span entry;
        char *path = mem_printf("%s/%s", w->rig.paths.spool, e->d_name);
        if (strstr(e->d_name, ".log") &&
            spoolfile_reader_open(path, SPOOLFILE_START, &r, NULL) == 0) {
            while (!found && spoolfile_reader_next(r, &entry, NULL) == 1) {
                uint64_t kind;
                size_t size;
                assert_int_equal(wire_peek(entry, &kind, &size, NULL), 0);
                found = fn(w, kind, entry, arg);
            }
            spoolfile_reader_close(&r);
        }
        mem_free(&path);
    }
    closedir(d);
    return found;
}

void world_wait_for(struct testworld *w, testworld_entry_fn *fn, void *arg, const char *what)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    while (!world_scan(w, fn, arg)) {
        struct pollfd p = {.fd = w->bell, .events = POLLIN};
        char byte[16];
        if (clock_boot_ms() > until)
            fail_msg("waited in vain for %s", what);
        if (poll(&p, 1, 500) > 0)
            while (recv(w->bell, byte, sizeof byte, MSG_DONTWAIT) >= 0)
                ;
    }
}

bool world_is_ended(struct testworld *w, uint64_t kind, struct span entry, void *arg)
{
    struct testworld_wanted *want = arg;
    struct s_ended e;
    if (kind != KIND_S_ENDED || s_ended_decode(entry, &e, NULL) < 0 || !id_eq(e.run, want->run))
        return false;
    buf_clear(&w->outcome_bytes);
    buf_add(&w->outcome_bytes, e.outcome.p, e.outcome.n);
    assert_int_equal(d_step_outcome_decode(buf_span(&w->outcome_bytes), &want->outcome, NULL), 0);
    return true;
}

bool world_is_launched(struct testworld *w, uint64_t kind, struct span entry, void *arg)
{
    (void)w;
    struct s_launched l;
    return kind == KIND_S_LAUNCHED && s_launched_decode(entry, &l, NULL) == 0 &&
           id_eq(l.run, ((struct testworld_wanted *)arg)->run);
}

bool world_collect_output(struct testworld *w, uint64_t kind, struct span entry, void *arg)
{
    (void)w;
    struct testworld_wanted *want = arg;
    struct s_output o;
    if (kind != KIND_S_OUTPUT || s_output_decode(entry, &o, NULL) < 0 || !id_eq(o.run, want->run))
        return false;
    if (o.data.n)
        assert_int_equal(o.offset, want->text[o.stream - 1].n);
    buf_add(&want->text[o.stream - 1], o.data.p, o.data.n);
    want->cut = o.cut > want->cut ? o.cut : want->cut;
    want->count++;
    return false;
}

bool world_has_progress(struct testworld *w, uint64_t kind, struct span entry, void *arg)
{
    (void)w;
    struct testworld_wanted *want = arg;
    struct s_progress p;
    if (kind != KIND_S_PROGRESS || s_progress_decode(entry, &p, NULL) < 0 ||
        !id_eq(p.run, want->run))
        return false;
    want->percent = p.percent;
    span_copy_str(p.text, want->progress, sizeof want->progress);
    return true;
}

void world_ask_as(struct testworld *w, const struct rig_call *c, struct id run, int64_t deadline)
{
    struct buf m = {0};
    struct s_step s = rig_step(&w->rig, c, run, &w->call);
    s.on_lost = c->on_lost;
    s.lost_after_ms = c->lost_after_ms;
    s.deadline = deadline;
    s_step_encode(&s, &m);
    world_say(w, &m);
    buf_free(&m);
}

struct id world_ask(struct testworld *w, const struct rig_call *c)
{
    struct id run = rig_run(++w->runs);
    world_ask_as(w, c, run, 0);
    return run;
}

struct id world_ask_script(struct testworld *w, const char *script)
{
    struct rig_call c = rig_call();
    char key[20];
    rig_package(&w->rig, "extract", "shell", script, NULL, 0, NULL, 0);
    snprintf(key, sizeof key, "k%d", w->runs);
    c.key = key;
    return world_ask(w, &c);
}

struct testworld_wanted world_outcome(struct testworld *w, struct id run)
{
    struct testworld_wanted want = {.run = run};
    world_wait_for(w, world_is_ended, &want, "an outcome");
    return want;
}

void world_halt(struct testworld *w, struct id run, bool force, uint64_t grace, bool timed_out)
{
    struct buf m = {0};
    struct s_halt h = {
        .run = run, .attempt = 1, .force = force, .grace_ms = grace, .timed_out = timed_out};
    s_halt_encode(&h, &m);
    world_say(w, &m);
    buf_free(&m);
}

pid_t world_pid_in(struct testworld *w, const char *name)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    char *path = mem_printf("%s/%s", w->rig.home, name);
    for (;;) {
        struct buf b = {0};
        char *end = NULL;
        const long pid = file_read(path, 100, &b, NULL) == 0 ? strtol(buf_str(&b), &end, 10) : 0;
        if (pid > 0 && *end == '\n') {
            buf_free(&b);
            mem_free(&path);
            return (pid_t)pid;
        }
        buf_free(&b);
        if (clock_boot_ms() > until)
            fail_msg("no pid in %s", path);
        poll(NULL, 0, 5);
    }
}

bool world_is_alive(pid_t pid)
{
    char path[40], text[200] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *p = strrchr(text, ')');
    return p && p[2] != 'Z' && p[2] != 'X';
}

void world_wait_gone(pid_t pid)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    while (world_is_alive(pid)) {
        if (clock_boot_ms() > until)
            fail_msg("process %d is still alive", (int)pid);
        poll(NULL, 0, 5);
    }
}

int world_setup(void **state)
{
    struct error err = {0};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    testing_folder(state);
    struct testworld *w = mem_zalloc(1, sizeof *w);
    /* we adopt the keepers of killed runners so that we can wait for them */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    rig_open(&w->rig, *state);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/worker.bell", w->rig.paths.bell);
    w->bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(w->bell, (struct sockaddr *)&a, sizeof a) < 0)
        fail_msg("bell: %s %s", a.sun_path, err.text);
    mem_free(state);
    *state = w;
    world_start_runner(w, 2);
    world_hear_kept(w, KEPT_RUNS, NULL);
    return 0;
}

int world_teardown(void **state)
{
    struct testworld *w = *state;
    world_stop_runner(w, SIGKILL);
    for (int i = 1; i <= 8; i++) {
        struct channel *c;
        char *path = runner_paths_of_slot(w->rig.paths.keepers, "keeper", (unsigned)i, ".sock");
        if (channel_connect(path, &c, NULL) == 0) {
            kill(channel_peer_pid(c), SIGKILL);
            channel_close(&c);
        }
        mem_free(&path);
    }
    bool any;
    int status;
    struct rusage usage;
    for (int64_t until = clock_boot_ms() + PATIENCE_MS; tree_reap(0, &any, &status, &usage);
         poll(NULL, 0, 5))
        if (clock_boot_ms() > until) /* a guard has failed: nothing it left may stay */
            tree_signal(SIGKILL, 0);
    close(w->bell);
    buf_free(&w->call);
    buf_free(&w->bytes);
    buf_free(&w->outcome_bytes);
    char *home = mem_strdup(w->rig.home);
    rig_close(&w->rig);
    file_remove_tree(home, NULL);
    mem_free(&home);
    mem_free(&w);
    return 0;
}
