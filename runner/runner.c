/* runner.c - see runner.h. */
#include "runner/runner.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channelloop.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/attach.h"
#include "proto/kept.h"
#include "runner/byhanddoor.h"
#include "runner/early.h"
#include "runner/ended.h"
#include "runner/install.h"
#include "runner/jobfiles.h"
#include "runner/probes.h"
#include "runner/report.h"
#include "runner/shipped.h"
#include "runner/slots.h"
#include "runner/verify.h"

#define RUNNER_SOCKET "runner.sock"

enum { NOTES_MS = 200 /* a worker removes no file of a keeper so soon after its end */ };

struct runner {
    const struct runner_paths *paths;
    struct loop *loop;
    struct verifier *verifier;
    struct report *report;
    struct slots *slots;
    struct installer *installer;
    struct jobfiles *jobfiles; /* separated mode */
    struct byhanddoor *door;   /* the same */
    struct probes *probes;
    int listening;
    struct channel *worker; /* NULL: none */
    bool attached, written;
    uint64_t speaks;         /* the version that we use with the worker */
    struct loop_timer retry; /* of a spool that could not be written */
    struct early *early;
    struct buf scratch, again;
    struct loop_timer notes; /* what has begun is in the table of calls by then */
    struct buf accepted;     /* the S_LAUNCHes that wait for the table of calls */
};

/* ---- To the worker */

static void drop_worker(struct runner *r)
{
    if (!r->worker)
        return;
    channelloop_close(&r->worker, r->loop);
    early_clear(r->early); /* the next worker asks again */
    probes_clear(r->probes);
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

static void refuse(struct runner *r, const struct s_launch *l, enum refusal code, const char *check,
                   const char *why)
{
    char run[ID_TEXT];
    log_warn("run %s refused (%s): %s", id_format(l->run, run), check, why);
    buf_clear(&r->scratch);
    ended_refused(l, code, false, why, loop_now_wall(r->loop), &r->scratch);
    report_add(r->report, buf_span(&r->scratch));
}

/* To a worker of the earlier version, which does not know KEPT_NOWHERE, it is a refusal. */
static void refuse_nowhere(struct runner *r, const struct s_kept *kept)
{
    const struct s_launch l = {
        .run = kept->run, .attempt = kept->attempt, .step = kept->step, .try_no = kept->try_no};
    refuse(r, &l, REFUSAL_BUSY, "slots", "no slot of this server can be used");
}

static void on_gone(void *self, const struct s_kept *kept, bool launched)
{
    struct runner *r = self;
    verifier_lost(r->verifier, kept, launched, loop_now_wall(r->loop));
    if (r->attached && kept->state == KEPT_NOWHERE && r->speaks < RUNNER_PROTOCOL)
        refuse_nowhere(r, kept);
    else if (r->attached)
        tell_kept(r, kept);
    early_wake(r->early, kept->run);
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
    early_wake(r->early, kept->run);
}

static int on_again(void *self, struct buf *launch, enum refusal *ret_code, struct error *err)
{
    struct runner *r = self;
    return verifier_again(r->verifier, launch, loop_now_wall(r->loop), ret_code, err);
}

static void on_trouble(void *self, unsigned slots, const char *why)
{
    struct runner *r = self;
    if (!r->attached)
        return;
    buf_clear(&r->scratch);
    s_trouble_encode(&(struct s_trouble){.slots = slots, .text = span_str(why)}, &r->scratch);
    tell(r, buf_span(&r->scratch));
}

static void on_notes(struct loop *l, struct loop_timer *t, void *arg)
{
    struct runner *r = arg;
    struct error err = {0};
    (void)l;
    (void)t;
    if (verifier_commit(r->verifier, loop_now_wall(r->loop), &err) < 0)
        log_error("%s", err.text);
}

/* Usually the next step's entry takes the note along, so that it costs no write of its own. */
static void on_begun(void *self, const struct s_kept *kept)
{
    struct runner *r = self;
    verifier_begun(r->verifier, kept, loop_now_wall(r->loop));
    if (!loop_timer_is_set(&r->notes))
        loop_timer_set(r->loop, &r->notes, "notes", loop_now(r->loop) + NOTES_MS, on_notes, r);
}

static void on_installed(void *self, const struct hash *package, enum refusal code,
                         const char *sentence)
{
    struct runner *r = self;
    struct s_installed i = {.package = *package, .code = code, .text = span_str(sentence)};
    if (code)
        log_warn("cannot install a package: %s", sentence);
    else
        verifier_installed(r->verifier, package);
    buf_clear(&r->scratch);
    s_installed_encode(&i, &r->scratch);
    tell(r, buf_span(&r->scratch));
}

static void on_probed(void *self, const struct s_probed *answer)
{
    struct runner *r = self;
    buf_clear(&r->scratch);
    s_probed_encode(answer, &r->scratch);
    tell(r, buf_span(&r->scratch));
}

/* ---- From the worker */

static void take_attach(struct runner *r, const struct s_attach *a)
{
    r->speaks = attach_common(RUNNER_PROTOCOL, a->version);
    struct s_attach answer = {.version = r->speaks, .spool = a->spool, .slots = a->slots};
    struct s_kept_end end;
    buf_clear(&r->scratch);
    s_attach_encode(&answer, &r->scratch);
    tell(r, buf_span(&r->scratch));
    r->attached = true;
    verifier_form(r->verifier, answer.version < RUNNER_PROTOCOL_ADDED);
    report_form(r->report, answer.version < RUNNER_PROTOCOL_ADDED);
    slots_resize(r->slots, (unsigned)a->slots);
    end.count = slots_list(r->slots, tell_kept, r);
    buf_clear(&r->scratch);
    s_kept_end_encode(&end, &r->scratch);
    tell(r, buf_span(&r->scratch));
    slots_tell_trouble(r->slots);
    log_info("worker attached: %u slots, %u steps held", (unsigned)a->slots, (unsigned)end.count);
}

/* The names of a step that will not run. job_hash: if this ends the try, else none. */
static struct s_launch named(const struct s_step *step, struct span job_hash)
{
    return (struct s_launch){.run = step->run,
                             .attempt = step->attempt,
                             .step = step->step,
                             .try_no = step->try_no,
                             .job_hash = job_hash};
}

/* It was accepted, and the table of calls cannot be written. */
static void refuse_accepted(struct runner *r, const struct s_launch *l, const char *why)
{
    struct s_ended e;
    refuse(r, l, REFUSAL_BUSY, "table", why);
    if (l->job_hash.n && s_ended_decode(buf_span(&r->scratch), &e, NULL) == 0)
        verifier_ended(r->verifier, &e, false);
}

/* Before a step is launched, the table of calls has it. One write does for all that have come
 * together. */
static void launch_accepted(struct runner *r)
{
    struct error err = {0};
    struct span rest = buf_span(&r->accepted);
    struct s_launch l;
    uint64_t kind;
    size_t size;
    if (rest.n == 0)
        return;
    int rc = verifier_commit(r->verifier, loop_now_wall(r->loop), &err);
    while (rest.n && wire_peek(rest, &kind, &size, NULL) == 0) {
        struct span launch = span_of(rest.p, size);
        rest = span_of(rest.p + size, rest.n - size);
        if (rc == 0)
            slots_take(r->slots, launch);
        else if (s_launch_decode(launch, &l, NULL) == 0)
            refuse_accepted(r, &l, err.text);
    }
    buf_clear(&r->accepted);
}

/* It was accepted before. If it is not here any more, it has begun and is over. A worker that asks
 * all the same has found no end of it in the spool. */
static void asked_again(struct runner *r, const struct s_step *step)
{
    char run[ID_TEXT];
    log_debug("run %s: asked for again", id_format(step->run, run));
    launch_accepted(r); /* it may be among them */
    if (slots_hold(r->slots, step))
        return;
    buf_clear(&r->scratch);
    const struct s_launch l = named(step, verifier_ends(r->verifier));
    ended_unknown(&l, "this step began here before; how it ended is not known",
                  loop_now_wall(r->loop), &r->scratch);
    report_add(r->report, buf_span(&r->scratch));
    verifier_lost(
        r->verifier,
        &(struct s_kept){
            .run = step->run, .attempt = step->attempt, .step = step->step, .try_no = step->try_no},
        true, loop_now_wall(r->loop));
}

static void take_step(struct runner *r, const struct s_step *step, struct span message)
{
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    const char *check = "";
    switch (
        verify_step(r->verifier, step, loop_now_wall(r->loop), &r->accepted, &code, &check, &err)) {
    case VERDICT_RUN:
        return; /* launch_accepted goes on */
    case VERDICT_SAME:
        asked_again(r, step);
        return;
    case VERDICT_EARLY:
        if (early_put(r->early, step->run, message))
            return;
        code = REFUSAL_BUSY;
        error_set(&err, -EBUSY, "the step before has not ended, and too many steps wait for that");
        break;
    case VERDICT_REFUSED:
        break;
    }
    const struct s_launch l = named(step, verifier_ends(r->verifier));
    refuse(r, &l, code, check, err.text);
}

/* What came too early, and now may come. */
static void take_early(struct runner *r)
{
    struct s_step step;
    while (early_take_ready(r->early, &r->again))
        if (s_step_decode(buf_span(&r->again), &step, NULL) == 0)
            take_step(r, &step, buf_span(&r->again));
    launch_accepted(r);
}

static void take_halt(struct runner *r, const struct s_halt *h)
{
    struct s_step step;
    verifier_halted(r->verifier, h);
    while (early_take(r->early, h->run, &r->again))
        if (s_step_decode(buf_span(&r->again), &step, NULL) == 0) {
            const struct s_launch l = named(&step, SPAN_NONE);
            buf_clear(&r->scratch);
            ended_refused(&l, REFUSAL_NONE, true, "cancelled before it could start",
                          loop_now_wall(r->loop), &r->scratch);
            report_add(r->report, buf_span(&r->scratch));
        }
    slots_halt(r->slots, h);
}

/* The worker says it again until the file is gone. What has begun stays known without it. */
static void take_shipped(struct runner *r, const struct s_shipped *s)
{
    struct error err = {0};
    if (verifier_commit(r->verifier, loop_now_wall(r->loop), &err) < 0 ||
        shipped_remove(r->paths->spool, s->name, &err) < 0)
        log_warn("a file of the spool stays: %s", err.text);
}

#define DECODE(row, into) ((rc = s_##row##_decode(message, &(into), &err)) == 0)

static void take_message(struct runner *r, struct span message)
{
    struct error err = {0};
    struct s_attach a;
    struct s_step step;
    struct s_halt halt;
    struct s_install install;
    struct s_shipped shipped;
    struct s_probe probe;
    uint64_t kind = 0;
    size_t size;
    int rc = wire_peek(message, &kind, &size, &err);
    if (rc < 0)
        goto bad;
    if (kind != KIND_S_STEP)
        launch_accepted(r);
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
    } else if (kind == KIND_S_SHIPPED && r->paths->separated) {
        if (DECODE(shipped, shipped))
            take_shipped(r, &shipped);
    } else if (kind == KIND_S_PROBE) {
        if (DECODE(probe, probe))
            probes_take(r->probes, &probe, loop_now_wall(r->loop));
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
        if (rc == 0 || (r->worker && channel_is_drained(r->worker)))
            break;
    }
    launch_accepted(r);
}

static void on_listening(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)l;
    (void)events;
    struct runner *r = arg;
    struct channel *c;
    struct error err = {0};
    while (channel_accept(fd, &c, NULL) == 0) {
        if (channel_peer_uid(c) != r->paths->worker.uid) {
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
    take_early(r);
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

/* Its group may connect; of those who do, only the worker's own user is heard. The folder is ours:
 * nobody can have put anything else at this path. */
static int let_worker_connect(const struct runner_paths *paths, const char *path, struct error *err)
{
    if (paths->separated &&
        (chmod(path, 0660) < 0 || lchown(path, (uid_t)-1, paths->worker.gid) < 0))
        return error_errno(err, errno, "cannot let the worker connect to '%s'", path);
    return 0;
}

static bool holds(void *self, struct id run)
{
    const struct runner *r = self;
    return slots_hold_any(r->slots, run);
}

int runner_new(const struct runner_paths *paths, struct loop *loop, struct runner **ret,
               struct error *err)
{
    struct runner *r = mem_zalloc(1, sizeof *r);
    char *path = mem_printf("%s/" RUNNER_SOCKET, paths->run);
    r->paths = paths;
    r->loop = loop;
    r->listening = -1;
    r->early = early_new();
    const struct slots_events events = {.gone = on_gone,
                                        .again = on_again,
                                        .outcome = on_outcome,
                                        .over = on_over,
                                        .begun = on_begun,
                                        .trouble = on_trouble,
                                        .self = r};
    int rc = report_open(paths, "runner", &r->report, err);
    if (rc == 0)
        rc = verifier_new(paths, &r->verifier, err);
    if (rc == 0) {
        r->slots = slots_new(paths, loop, r->report, &events);
        verifier_ask_of_slots(r->verifier, holds, r);
        r->installer = installer_new(paths, verifier_policy(r->verifier), loop, on_installed, r);
        r->probes = probes_new(paths, verifier_policy(r->verifier), verifier_proxies(r->verifier),
                               loop, on_probed, r);
        rc = slots_adopt(r->slots, err);
    }
    if (rc == 0) {
        slots_list(r->slots, take_from_keepers, r);
        rc = verifier_settle(r->verifier, loop_now_wall(loop), err);
    }
    if (rc == 0) {
        rc = channel_listen(path, &r->listening, err);
    }
    if (rc == 0)
        rc = let_worker_connect(paths, path, err);
    if (rc == 0)
        rc = loop_add(loop, r->listening, EPOLLIN, on_listening, r, err);
    if (rc == 0 && paths->separated)
        rc = jobfiles_open(paths, loop, &r->jobfiles, err);
    if (rc == 0 && paths->separated)
        rc = byhanddoor_open(paths, loop, &r->door, err);
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
    loop_timer_stop(r->loop, &r->notes);
    if (r->listening >= 0) {
        loop_del(r->loop, r->listening);
        close(r->listening);
    }
    installer_free(&r->installer);
    probes_free(&r->probes);
    jobfiles_close(&r->jobfiles);
    byhanddoor_close(&r->door);
    slots_free(&r->slots);
    verifier_free(&r->verifier);
    report_close(&r->report);
    buf_free(&r->scratch);
    buf_free(&r->accepted);
    buf_free(&r->again);
    early_free(&r->early);
    mem_free(ps);
}

void runner_reap(struct runner *r)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        /* the others are guards; their channels have told us */
        if (!probes_reaped(r->probes, pid))
            installer_reaped(r->installer, pid, status);
        byhanddoor_reaped(r->door, pid);
    }
}
