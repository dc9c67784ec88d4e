/* testworld.h - a runner in a process of its own, its worker's end of the socket, and the spool,
 * for the tests of this room. Included by *_test.c only. */
#ifndef LB_RUNNER_TESTWORLD_H
#define LB_RUNNER_TESTWORLD_H

#include "runner/testrig.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/channel.h"
#include "common/spoolfile.h"
#include "runner/server.h"
#include "runner/tree.h"

enum { PATIENCE_MS = 20000 };

struct world {
    struct rig rig;
    pid_t runner;
    struct channel *c;
    int bell;
    struct buf call, bytes, outcome_bytes;
    uint8_t runs;
};

/* ---- The runner */

__attribute__((unused)) static void on_signal(struct loop *l, const struct signalfd_siginfo *info,
                                              void *arg)
{
    struct server **s = arg;
    if (info->ssi_signo == SIGCHLD && *s)
        server_reap(*s);
    else if (info->ssi_signo == SIGTERM)
        loop_stop(l, 0);
}

static _Noreturn void be_runner(struct world *w)
{
    static struct server *s;
    struct error err = {0};
    struct loop *l = loop_new(&err);
    if (!l || loop_signals(l, on_signal, &s, &err) < 0 ||
        server_new(&w->rig.house, l, &s, &err) < 0 || loop_run(l, &err) < 0) {
        fprintf(stderr, "runner: %s\n", err.text);
        _exit(1);
    }
    _exit(0);
}

__attribute__((unused)) static void start_runner(struct world *w, unsigned slots)
{
    struct error err = {0};
    char *path = mem_printf("%s/runner.sock", w->rig.house.run);
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    w->runner = fork();
    assert_true(w->runner >= 0);
    if (w->runner == 0)
        be_runner(w);
    while (channel_connect(path, &w->c, &err) < 0) {
        if (clock_boot_ms() > until)
            fail_msg("%s", err.text);
        poll(NULL, 0, 5); /* it listens when it has heard its keepers */
    }
    struct s_attach a = {.version = RUNNER_PROTOCOL, .slots = slots};
    buf_clear(&w->bytes);
    s_attach_encode(&a, &w->bytes);
    assert_int_equal(channel_send(w->c, buf_span(&w->bytes), &err), 0);
    mem_free(&path);
}

__attribute__((unused)) static void stop_runner(struct world *w, int sig)
{
    int status;
    channel_close(&w->c);
    if (w->runner > 0) {
        kill(w->runner, sig);
        assert_int_equal(waitpid(w->runner, &status, 0), w->runner);
    }
    w->runner = 0;
}

/* The next message of the runner; waits for it. */
__attribute__((unused)) static uint64_t hear(struct world *w, struct span *ret)
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

/* What it holds, as told after S_ATTACH: counts those of the state. */
__attribute__((unused)) static unsigned hear_kept(struct world *w, uint64_t state,
                                                  struct s_kept *ret_last)
{
    struct span m;
    unsigned n = 0;
    for (;;) {
        uint64_t kind = hear(w, &m);
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

__attribute__((unused)) static void say(struct world *w, struct buf *message)
{
    struct error err = {0};
    if (channel_send(w->c, buf_span(message), &err) < 0)
        fail_msg("%s", err.text);
    while (channel_wants_write(w->c)) { /* the runner has not read all that was said before */
        struct pollfd p = {.fd = channel_fd(w->c), .events = POLLOUT};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        if (channel_flush(w->c, &err) < 0)
            fail_msg("%s", err.text);
    }
    buf_clear(message);
}

/* ---- The spool */

typedef bool entry_fn(struct world *w, uint64_t kind, struct span entry, void *arg);

/* Hands every entry of every file to fn until it says that it has seen enough. */
__attribute__((unused)) static bool scan(struct world *w, entry_fn *fn, void *arg)
{
    DIR *d = opendir(w->rig.house.spool);
    bool found = false;
    assert_non_null(d);
    for (struct dirent *e; !found && (e = readdir(d));) {
        struct spoolfile_reader *r;
        struct span entry;
        char *path = mem_printf("%s/%s", w->rig.house.spool, e->d_name);
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

__attribute__((unused)) static void wait_for(struct world *w, entry_fn *fn, void *arg,
                                             const char *what)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    while (!scan(w, fn, arg)) {
        struct pollfd p = {.fd = w->bell, .events = POLLIN};
        char byte[16];
        if (clock_boot_ms() > until)
            fail_msg("waited in vain for %s", what);
        if (poll(&p, 1, 500) > 0)
            while (recv(w->bell, byte, sizeof byte, MSG_DONTWAIT) >= 0)
                ;
    }
}

struct wanted {
    struct id run;
    struct d_step_outcome outcome;
    struct buf text[2]; /* collected output */
    uint64_t cut, percent;
    unsigned count;
    char progress[100];
};

__attribute__((unused)) static bool is_ended(struct world *w, uint64_t kind, struct span entry,
                                             void *arg)
{
    struct wanted *want = arg;
    struct s_ended e;
    if (kind != KIND_S_ENDED || s_ended_decode(entry, &e, NULL) < 0 || !id_eq(e.run, want->run))
        return false;
    buf_clear(&w->outcome_bytes);
    buf_add(&w->outcome_bytes, e.outcome.p, e.outcome.n);
    assert_int_equal(d_step_outcome_decode(buf_span(&w->outcome_bytes), &want->outcome, NULL), 0);
    return true;
}

__attribute__((unused)) static bool is_launched(struct world *w, uint64_t kind, struct span entry,
                                                void *arg)
{
    (void)w;
    struct s_launched l;
    return kind == KIND_S_LAUNCHED && s_launched_decode(entry, &l, NULL) == 0 &&
           id_eq(l.run, ((struct wanted *)arg)->run);
}

__attribute__((unused)) static bool collect_output(struct world *w, uint64_t kind,
                                                   struct span entry, void *arg)
{
    (void)w;
    struct wanted *want = arg;
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

__attribute__((unused)) static bool has_progress(struct world *w, uint64_t kind, struct span entry,
                                                 void *arg)
{
    (void)w;
    struct wanted *want = arg;
    struct s_progress p;
    if (kind != KIND_S_PROGRESS || s_progress_decode(entry, &p, NULL) < 0 ||
        !id_eq(p.run, want->run))
        return false;
    want->percent = p.percent;
    span_copy_str(p.text, want->progress, sizeof want->progress);
    return true;
}

/* ---- Steps */

/* deadline: boot ms; 0: none. */
__attribute__((unused)) static void ask_as(struct world *w, const struct rig_call *c, struct id run,
                                           int64_t deadline)
{
    struct buf m = {0};
    struct s_step s = rig_step(&w->rig, c, run, &w->call);
    s.on_lost = c->on_lost;
    s.lost_after_ms = c->lost_after_ms;
    s.deadline = deadline;
    s_step_encode(&s, &m);
    say(w, &m);
    buf_free(&m);
}

__attribute__((unused)) static struct id ask(struct world *w, const struct rig_call *c)
{
    struct id run = rig_run(++w->runs);
    ask_as(w, c, run, 0);
    return run;
}

__attribute__((unused)) static struct id ask_script(struct world *w, const char *script)
{
    struct rig_call c = rig_call();
    char key[20];
    rig_package(&w->rig, "extract", "shell", script, NULL, 0, NULL, 0);
    snprintf(key, sizeof key, "k%d", w->runs);
    c.key = key;
    return ask(w, &c);
}

__attribute__((unused)) static struct wanted outcome_of(struct world *w, struct id run)
{
    struct wanted want = {.run = run};
    wait_for(w, is_ended, &want, "an outcome");
    return want;
}

__attribute__((unused)) static void halt(struct world *w, struct id run, bool force, uint64_t grace,
                                         bool timed_out)
{
    struct buf m = {0};
    struct s_halt h = {
        .run = run, .attempt = 1, .force = force, .grace_ms = grace, .timed_out = timed_out};
    s_halt_encode(&h, &m);
    say(w, &m);
    buf_free(&m);
}

/* A file that a child writes its pid to; waits until it is whole. */
__attribute__((unused)) static pid_t pid_in(struct world *w, const char *name)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    char *path = mem_printf("%s/%s", w->rig.home, name);
    for (;;) {
        struct buf b = {0};
        int pid = 0, end = 0;
        if (file_read(path, 100, &b, NULL) == 0 && sscanf(buf_str(&b), "%d\n%n", &pid, &end) == 1 &&
            end) {
            buf_free(&b);
            mem_free(&path);
            return pid;
        }
        buf_free(&b);
        if (clock_boot_ms() > until)
            fail_msg("no pid in %s", path);
        poll(NULL, 0, 5);
    }
}

__attribute__((unused)) static bool is_alive(pid_t pid)
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

__attribute__((unused)) static void gone(pid_t pid)
{
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    while (is_alive(pid)) {
        if (clock_boot_ms() > until)
            fail_msg("process %d is still alive", (int)pid);
        poll(NULL, 0, 5);
    }
}

__attribute__((unused)) static int world_setup(void **state)
{
    struct error err = {0};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    testing_folder(state);
    struct world *w = mem_zalloc(1, sizeof *w);
    /* keepers of killed runners become ours, so that we can wait for them */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    rig_open(&w->rig, *state);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/worker.bell", w->rig.house.run);
    w->bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(w->bell, (struct sockaddr *)&a, sizeof a) < 0)
        fail_msg("bell: %s %s", a.sun_path, err.text);
    mem_free(state);
    *state = w;
    start_runner(w, 2);
    hear_kept(w, 2, NULL);
    return 0;
}

/* Every keeper is to end: guards by their death, which kills what they keep. */
__attribute__((unused)) static int world_teardown(void **state)
{
    struct world *w = *state;
    stop_runner(w, SIGKILL);
    for (int i = 1; i <= 8; i++) {
        struct channel *c;
        char *path = house_slot_path(w->rig.house.run, "keeper", (unsigned)i, ".sock");
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
        if (clock_boot_ms() > until) /* a guard has failed: what it left must not stay */
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

#define in_world(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

#endif
