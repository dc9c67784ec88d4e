/* runner.c - see runner.h. */
#include "runner/runner.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channelloop.h"
#include "common/log.h"
#include "common/mem.h"
#include "runner/aside.h"
#include "runner/ended.h"
#include "runner/install.h"
#include "runner/report.h"
#include "runner/slots.h"
#include "runner/verify.h"

#define RUNNER_SOCKET "runner.sock"

struct runner {
    const struct runner_paths *paths;
    struct loop *loop;
    struct verifier *verifier;
    struct report *report;
    struct slots *slots;
    struct installer *installer;
    int listening;
    struct channel *worker; /* NULL: none */
    bool attached, written;
    struct loop_timer retry; /* of a spool that could not be written */
    struct aside *aside;
    struct buf scratch, launch, early;
};

/* ---- To the worker */

static void drop_worker(struct runner *r)
{
    if (!r->worker)
        return;
    channelloop_close(&r->worker, r->loop);
    aside_clear(r->aside); /* the next worker asks again */
    r->attached = r->written = false;
}

static void tell(struct runner *r, struct span message)
{
    struct error err = {0};
    if (!r->worker)
        return;
    if (channel_queue(r->worker, message, &err) < 0) {
        log_error("%s", err.text);
        drop_worker(r);
    } else
        r->written = true;
}

static void flush_worker(struct runner *r)
{
    r->written = false;
    if (r->worker && channelloop_flush(r->worker, r->loop, NULL) < 0)
        drop_worker(r);
}

static void tell_kept(void *self, const struct s_kept *kept)
{
    struct runner *r = self;
    buf_clear(&r->scratch);
    s_kept_encode(kept, &r->scratch);
    tell(r, buf_span(&r->scratch));
}

static void on_gone(void *self, const struct s_kept *kept, bool launched)
{
    struct runner *r = self;
    verifier_lost(r->verifier, kept, launched, loop_now_wall(r->loop));
    if (r->attached)
        tell_kept(r, kept);
    aside_wake(r->aside, kept->run);
}

static void on_outcome(void *self, const struct s_ended *e, bool launched)
{
    struct runner *r = self;
    verifier_ended(r->verifier, e, launched);
}

static void on_over(void *self, const struct s_kept *kept)
{
    struct runner *r = self;
    verifier_lost(r->verifier, kept, true, loop_now_wall(r->loop)); /* no effect if it was told */
    aside_wake(r->aside, kept->run);
}

static void on_installed(void *self, const struct hash *package, enum refusal code,
                         const char *sentence)
{
    struct runner *r = self;
    struct s_installed i = {.package = *package, .code = code, .text = span_str(sentence)};
    if (code)
        log_warn("cannot install a package: %s", sentence);
    buf_clear(&r->scratch);
    s_installed_encode(&i, &r->scratch);
    tell(r, buf_span(&r->scratch));
}

/* ---- From the worker */

static void take_attach(struct runner *r, const struct s_attach *a)
{
    struct s_attach answer = {.version = RUNNER_PROTOCOL, .spool = a->spool, .slots = a->slots};
    struct s_kept_end end;
    buf_clear(&r->scratch);
    s_attach_encode(&answer, &r->scratch);
    tell(r, buf_span(&r->scratch));
    r->attached = true;
    slots_resize(r->slots, (unsigned)a->slots);
    end.count = slots_list(r->slots, tell_kept, r);
    buf_clear(&r->scratch);
    s_kept_end_encode(&end, &r->scratch);
    tell(r, buf_span(&r->scratch));
    log_info("worker attached: %u slots, %u steps held", (unsigned)a->slots, (unsigned)end.count);
}

/* The step will not run; its outcome says why. job_hash: if this ends the try, else none. */
static void say_refused(struct runner *r, const struct s_step *step, struct span job_hash,
                        enum refusal code, bool cancelled, const char *why)
{
    const struct s_launch l = {.run = step->run,
                               .attempt = step->attempt,
                               .step = step->step,
                               .try_no = step->try_no,
                               .job_hash = job_hash};
    buf_clear(&r->scratch);
    ended_refused(&l, code, cancelled, why, loop_now_wall(r->loop), &r->scratch);
    report_add(r->report, buf_span(&r->scratch));
}

static void take_step(struct runner *r, const struct s_step *step, struct span message)
{
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    const char *check = "";
    char run[ID_TEXT];
    buf_clear(&r->launch);
    switch (
        verify_step(r->verifier, step, loop_now_wall(r->loop), &r->launch, &code, &check, &err)) {
    case VERDICT_RUN:
        slots_take(r->slots, buf_span(&r->launch));
        return;
    case VERDICT_SAME:
        log_debug("run %s: asked for again", id_format(step->run, run));
        return;
    case VERDICT_EARLY:
        if (aside_put(r->aside, step->run, message))
            return;
        code = REFUSAL_BUSY;
        error_set(&err, -EBUSY, "the step before has not ended, and too many steps wait for that");
        break;
    case VERDICT_REFUSED:
        break;
    }
    log_warn("run %s refused (%s): %s", id_format(step->run, run), check, err.text);
    say_refused(r, step, buf_span(&r->launch), code, false, err.text);
}

/* What came too early, and now may come. */
static void take_aside(struct runner *r)
{
    struct s_step step;
    while (aside_take_ready(r->aside, &r->early))
        if (s_step_decode(buf_span(&r->early), &step, NULL) == 0)
            take_step(r, &step, buf_span(&r->early));
}

static void take_halt(struct runner *r, const struct s_halt *h)
{
    struct s_step step;
    verifier_halted(r->verifier, h);
    while (aside_take(r->aside, h->run, &r->early))
        if (s_step_decode(buf_span(&r->early), &step, NULL) == 0)
            say_refused(r, &step, SPAN_NONE, REFUSAL_NONE, true, "cancelled before it could start");
    slots_halt(r->slots, h);
}

#define DECODE(row, into) ((rc = s_##row##_decode(message, &(into), &err)) == 0)

static void take_message(struct runner *r, struct span message)
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
    if (kind == KIND_S_ATTACH && !r->attached) {
        if (DECODE(attach, a))
            take_attach(r, &a);
    } else if (!r->attached)
        rc = error_set(&err, -EPROTO, "expected S_ATTACH as the first message");
    else if (kind == KIND_S_STEP) {
        if (DECODE(step, step))
            take_step(r, &step, message);
    } else if (kind == KIND_S_HALT) {
        if (DECODE(halt, halt))
            take_halt(r, &halt);
    } else if (kind == KIND_S_INSTALL) {
        if (DECODE(install, install))
            installer_take(r->installer, &install, loop_now_wall(r->loop));
    } else
        rc = error_set(&err, -EPROTO, "unexpected message of kind %llu", (unsigned long long)kind);
bad:
    if (rc < 0) {
        log_error("from the worker: %s", err.text);
        drop_worker(r);
    }
}

static void on_worker(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)fd;
    struct runner *r = arg;
    struct span message;
    if (events & EPOLLOUT)
        flush_worker(r);
    while (r->worker) {
        int rc = channel_receive(r->worker, &message, NULL);
        if (rc == 1)
            take_message(r, message);
        else if (rc < 0)
            drop_worker(r);
        else
            return;
    }
}

static void on_listening(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)events;
    struct runner *r = arg;
    struct channel *c;
    struct error err = {0};
    while (channel_accept(fd, &c, NULL) == 0) {
        if (channel_peer_uid(c) != geteuid()) {
            log_warn("connection rejected: process %d belongs to user %u", (int)channel_peer_pid(c),
                     (unsigned)channel_peer_uid(c));
            channel_close(&c);
            continue;
        }
        drop_worker(r);
        r->worker = c;
        if (loop_add(r->loop, channel_fd(c), EPOLLIN, on_worker, r, &err) < 0) {
            log_error("%s", err.text);
            channel_close(&r->worker);
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
    struct runner *r = arg;
    struct error err = {0};
    take_aside(r);
    if (report_waits(r->report) && !loop_timer_is_set(&r->retry)) {
        if (report_flush(r->report, &err) < 0) {
            log_error("cannot write refusals yet: %s", err.text);
            loop_timer_set(l, &r->retry, "spool", loop_now(l) + REPORT_RETRY_MS, on_retry, r);
        } else
            report_roll(r->report);
    }
    slots_flush(r->slots);
    if (r->written)
        flush_worker(r);
}

static void take_from_keepers(void *self, const struct s_kept *kept)
{
    struct runner *r = self;
    verifier_taken(r->verifier, kept, loop_now_wall(r->loop));
}

static bool holds(void *self, struct id run)
{
    const struct runner *r = self;
    return slots_hold(r->slots, run);
}

int runner_new(const struct runner_paths *paths, struct loop *loop, struct runner **ret,
               struct error *err)
{
    struct runner *r = mem_zalloc(1, sizeof *r);
    char *path = mem_printf("%s/" RUNNER_SOCKET, paths->run);
    r->paths = paths;
    r->loop = loop;
    r->listening = -1;
    r->aside = aside_new();
    const struct slots_events events = {
        .gone = on_gone, .outcome = on_outcome, .over = on_over, .self = r};
    int rc = report_open(paths->spool, "runner", paths->run, &r->report, err);
    if (rc == 0)
        rc = verifier_new(paths, &r->verifier, err);
    if (rc == 0) {
        r->slots = slots_new(paths, loop, r->report, &events);
        verifier_ask_of_slots(r->verifier, holds, r);
        r->installer = installer_new(paths, verifier_policy(r->verifier), loop, on_installed, r);
        rc = slots_adopt(r->slots, err);
    }
    if (rc == 0) {
        slots_list(r->slots, take_from_keepers, r);
        rc = channel_listen(path, &r->listening, err);
    }
    if (rc == 0)
        rc = loop_add(loop, r->listening, EPOLLIN, on_listening, r, err);
    mem_free(&path);
    if (rc < 0) {
        runner_free(&r);
        return rc;
    }
    loop_on_turn_end(loop, on_turn_end, r);
    *ret = r;
    return 0;
}

void runner_free(struct runner **ps)
{
    struct runner *r = *ps;
    if (!r)
        return;
    drop_worker(r);
    if (r->listening >= 0) {
        loop_del(r->loop, r->listening);
        close(r->listening);
    }
    installer_free(&r->installer);
    slots_free(&r->slots);
    verifier_free(&r->verifier);
    report_close(&r->report);
    buf_free(&r->scratch);
    buf_free(&r->launch);
    buf_free(&r->early);
    aside_free(&r->aside);
    mem_free(ps);
}

void runner_reap(struct runner *r)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        /* the others are guards; their channels have told us */
        installer_reaped(r->installer, pid, status);
}
