/* server.c - see server.h. */
#include "runner/server.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/log.h"
#include "common/mem.h"
#include "runner/ended.h"
#include "runner/install.h"
#include "runner/report.h"
#include "runner/slots.h"
#include "runner/verify.h"

#define RUNNER_SOCKET "runner.sock"

struct server {
    const struct house *house;
    struct loop *loop;
    struct verifier *verifier;
    struct report *report;
    struct slots *slots;
    struct installer *installer;
    int listening;
    struct channel *worker; /* NULL: none */
    bool attached, written;
    struct loop_timer retry; /* of a spool that could not be written */
    struct buf scratch, launch;
};

/* ---- To the worker */

static void drop_worker(struct server *s)
{
    if (!s->worker)
        return;
    loop_del(s->loop, channel_fd(s->worker));
    channel_close(&s->worker);
    s->attached = s->written = false;
}

static void tell(struct server *s, struct span message)
{
    struct error err = {0};
    if (!s->worker)
        return;
    if (channel_queue(s->worker, message, &err) < 0) {
        log_error("%s", err.text);
        drop_worker(s);
    } else
        s->written = true;
}

static void flush_worker(struct server *s)
{
    s->written = false;
    if (!s->worker)
        return;
    if (channel_flush(s->worker, NULL) < 0)
        drop_worker(s);
    else
        loop_mod(s->loop, channel_fd(s->worker),
                 channel_wants_write(s->worker) ? EPOLLIN | EPOLLOUT : EPOLLIN, NULL);
}

static void tell_kept(void *self, const struct s_kept *kept)
{
    struct server *s = self;
    buf_clear(&s->scratch);
    s_kept_encode(kept, &s->scratch);
    tell(s, buf_span(&s->scratch));
}

static void on_gone(void *self, const struct s_kept *kept, bool launched)
{
    struct server *s = self;
    if (!launched)
        verifier_forget(s->verifier, kept);
    if (s->attached)
        tell_kept(s, kept);
}

static void on_installed(void *self, const struct hash *package, enum refusal code,
                         const char *sentence)
{
    struct server *s = self;
    struct s_installed i = {.package = *package, .code = code, .text = span_str(sentence)};
    if (code)
        log_warn("a package was not installed: %s", sentence);
    buf_clear(&s->scratch);
    s_installed_encode(&i, &s->scratch);
    tell(s, buf_span(&s->scratch));
}

/* ---- From the worker */

static void take_attach(struct server *s, const struct s_attach *a)
{
    struct s_attach answer = {.version = RUNNER_PROTOCOL, .spool = a->spool, .slots = a->slots};
    struct s_kept_end end;
    buf_clear(&s->scratch);
    s_attach_encode(&answer, &s->scratch);
    tell(s, buf_span(&s->scratch));
    s->attached = true;
    slots_resize(s->slots, (unsigned)a->slots);
    end.count = slots_list(s->slots, tell_kept, s);
    buf_clear(&s->scratch);
    s_kept_end_encode(&end, &s->scratch);
    tell(s, buf_span(&s->scratch));
    log_info("worker attached: %u slots, %u steps held", (unsigned)a->slots, (unsigned)end.count);
}

static void take_step(struct server *s, const struct s_step *step)
{
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    const char *check = "";
    char run[ID_TEXT];
    buf_clear(&s->launch);
    switch (
        verify_step(s->verifier, step, loop_now_wall(s->loop), &s->launch, &code, &check, &err)) {
    case VERDICT_RUN:
        slots_take(s->slots, buf_span(&s->launch));
        return;
    case VERDICT_SAME:
        log_debug("run %s was asked for again", id_format(step->run, run));
        return;
    case VERDICT_REFUSED:
        break;
    }
    log_warn("run %s refused (%s): %s", id_format(step->run, run), check, err.text);
    buf_clear(&s->scratch);
    ended_refused(step->run, step->attempt, step->step, step->try_no, code, false, err.text,
                  loop_now_wall(s->loop), &s->scratch);
    report_add(s->report, buf_span(&s->scratch));
}

#define DECODE(row, into) ((rc = s_##row##_decode(message, &(into), &err)) == 0)

static void take_message(struct server *s, struct span message)
{
    struct error err = {0};
    struct s_attach a;
    struct s_step step;
    struct s_halt halt;
    struct s_install install;
    uint64_t kind = 0;
    size_t size;
    int rc = wire_peek(message, &kind, &size, &err);
    if (rc < 0)
        goto bad;
    if (kind == KIND_S_ATTACH && !s->attached) {
        if (DECODE(attach, a))
            take_attach(s, &a);
    } else if (!s->attached)
        rc = error_set(&err, -EPROTO, "S_ATTACH is to come first");
    else if (kind == KIND_S_STEP) {
        if (DECODE(step, step))
            take_step(s, &step);
    } else if (kind == KIND_S_HALT) {
        if (DECODE(halt, halt))
            slots_halt(s->slots, &halt);
    } else if (kind == KIND_S_INSTALL) {
        if (DECODE(install, install))
            installer_take(s->installer, &install, loop_now_wall(s->loop));
    } else
        rc = error_set(&err, -EPROTO, "a message of kind %llu has no business here",
                       (unsigned long long)kind);
bad:
    if (rc < 0) {
        log_error("from the worker: %s", err.text);
        drop_worker(s);
    }
}

static void on_worker(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)fd;
    struct server *s = arg;
    struct span message;
    if (events & EPOLLOUT)
        flush_worker(s);
    while (s->worker) {
        int rc = channel_receive(s->worker, &message, NULL);
        if (rc == 1)
            take_message(s, message);
        else if (rc < 0)
            drop_worker(s);
        else
            return;
    }
}

static void on_listening(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)events;
    struct server *s = arg;
    struct channel *c;
    struct error err = {0};
    while (channel_accept(fd, &c, NULL) == 0) {
        if (channel_peer_uid(c) != geteuid()) {
            log_warn("process %d of user %u may not speak with this runner",
                     (int)channel_peer_pid(c), (unsigned)channel_peer_uid(c));
            channel_close(&c);
            continue;
        }
        drop_worker(s);
        s->worker = c;
        if (loop_add(s->loop, channel_fd(c), EPOLLIN, on_worker, s, &err) < 0) {
            log_error("%s", err.text);
            channel_close(&s->worker);
        }
    }
}

/* ---- Turns */

static void on_turn_end(struct loop *l, void *arg);

static void on_retry(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)t;
    on_turn_end(l, arg);
}

static void on_turn_end(struct loop *l, void *arg)
{
    struct server *s = arg;
    struct error err = {0};
    if (report_waits(s->report) && !loop_timer_is_set(&s->retry)) {
        if (report_flush(s->report, &err) < 0) {
            log_error("refusals wait to be written: %s", err.text);
            loop_timer_set(l, &s->retry, "spool", loop_now(l) + REPORT_RETRY_MS, on_retry, s);
        } else
            report_roll(s->report);
    }
    slots_flush(s->slots);
    if (s->written)
        flush_worker(s);
}

static void take_from_keepers(void *self, const struct s_kept *kept)
{
    struct server *s = self;
    verifier_taken(s->verifier, kept, loop_now_wall(s->loop));
}

int server_new(const struct house *house, struct loop *loop, struct server **ret, struct error *err)
{
    struct server *s = mem_zalloc(1, sizeof *s);
    char *path = mem_printf("%s/" RUNNER_SOCKET, house->run);
    s->house = house;
    s->loop = loop;
    s->listening = -1;
    const struct slots_events events = {.gone = on_gone, .self = s};
    int rc = report_open(house->spool, "runner", house->run, &s->report, err);
    if (rc == 0)
        rc = verifier_new(house, &s->verifier, err);
    if (rc == 0) {
        s->slots = slots_new(house, loop, s->report, &events);
        s->installer = installer_new(house, verifier_policy(s->verifier), loop, on_installed, s);
        rc = slots_adopt(s->slots, err);
    }
    if (rc == 0) {
        slots_list(s->slots, take_from_keepers, s);
        rc = channel_listen(path, &s->listening, err);
    }
    if (rc == 0)
        rc = loop_add(loop, s->listening, EPOLLIN, on_listening, s, err);
    mem_free(&path);
    if (rc < 0) {
        server_free(&s);
        return rc;
    }
    loop_on_turn_end(loop, on_turn_end, s);
    *ret = s;
    return 0;
}

void server_free(struct server **ps)
{
    struct server *s = *ps;
    if (!s)
        return;
    drop_worker(s);
    if (s->listening >= 0) {
        loop_del(s->loop, s->listening);
        close(s->listening);
    }
    installer_free(&s->installer);
    slots_free(&s->slots);
    verifier_free(&s->verifier);
    report_close(&s->report);
    buf_free(&s->scratch);
    buf_free(&s->launch);
    mem_free(ps);
}

void server_reap(struct server *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        /* others are keepers' guards: their channels have told */
        installer_reaped(s->installer, pid, status);
}
