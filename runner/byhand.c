/* byhand.c - the run itself: see byhand.h. What the worker does in earnest, this does for one
 * attempt: it asks for one step after the other, as the step machine says. */
#include "runner/byhandinside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/channelloop.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/spoolfile.h"
#include "runner/ended.h"

enum {
    LOOK_MS = 250,                 /* how often the files are read although no bell has rung */
    UNREAD_MAX = 1 << 20,          /* bytes that a person has not read; then the files wait */
    END_MS = KILL_GRACE_MS + 5000, /* for the last process of a run to be gone */
    END_PAUSE_NS = 5 * 1000000     /* between two looks */
};

static void drive(struct byhand *h);

/* ---- To the person */

static void drop_person(struct byhand *h)
{
    if (!h->person)
        return;
    channelloop_close(&h->person, h->loop);
    if (h->begun)
        byhand_stop(h, false);
    else
        loop_stop(h->loop, 0);
}

void byhand_tell(struct byhand *h, struct span message)
{
    if (h->person && channel_queue(h->person, message, NULL) < 0)
        drop_person(h);
}

static void flush_person(struct byhand *h)
{
    if (h->person && channelloop_flush(h->person, h->loop, NULL) < 0)
        drop_person(h);
}

bool byhand_has_room(const struct byhand *h)
{
    return !h->person || channel_waiting(h->person) < UNREAD_MAX;
}

void byhand_refuse(struct byhand *h, enum refusal code, const char *why)
{
    struct span text = span_str(why);
    if (text.n > LIMIT_TEXT)
        text.n = LIMIT_TEXT;
    buf_clear(&h->end);
    s_by_hand_end_encode(&(struct s_by_hand_end){.code = code, .text = text}, &h->end);
    h->over = true;
    loop_stop(h->loop, 0);
}

/* ---- Tries */

struct byhand_try *byhand_open_try(struct byhand *h)
{
    struct byhand_try *t = h->n_tries ? &h->tries[h->n_tries - 1] : NULL;
    return t && !t->t.ended ? t : NULL;
}

bool byhand_is_try(const struct byhand *h, const struct byhand_try *t, struct span step,
                   uint64_t try_no)
{
    return t && t->t.try_no == try_no && span_eq(h->def.steps[t->t.step].name, step);
}

static void look_next(const struct byhand *h, struct steps_next *ret)
{
    struct steps s;
    steps_begin(&s, &h->def, &h->scope);
    for (unsigned i = 0; i < h->n_tries; i++)
        steps_add(&s, &h->tries[i].t);
    steps_next(&s, ret);
}

/* ---- From slots */

static void on_gone(void *self, const struct s_kept *kept, bool launched)
{
    struct byhand *h = self;
    const struct s_launch l = {.run = kept->run,
                               .attempt = kept->attempt,
                               .step = kept->step,
                               .try_no = kept->try_no,
                               .job_hash = span_of(h->job_hash.b, sizeof h->job_hash.b)};
    verifier_lost(h->verifier, kept, launched, loop_now_wall(h->loop));
    buf_clear(&h->scratch);
    ended_unknown(&l, "the process that kept this step was killed, and the step with it",
                  loop_now_wall(h->loop), &h->scratch);
    report_add(h->report, buf_span(&h->scratch));
}

static void on_outcome(void *self, const struct s_ended *e, bool launched)
{
    struct byhand *h = self;
    verifier_ended(h->verifier, e, launched);
}

static void on_over(void *self, const struct s_kept *kept)
{
    struct byhand *h = self;
    verifier_lost(h->verifier, kept, true, loop_now_wall(h->loop)); /* no effect if it was told */
}

static int on_again(void *self, struct buf *launch, enum refusal *ret_code, struct error *err)
{
    struct byhand *h = self;
    return verifier_again(h->verifier, launch, loop_now_wall(h->loop), ret_code, err);
}

static void on_begun(void *self, const struct s_kept *kept)
{
    struct byhand *h = self;
    verifier_begun(h->verifier, kept, loop_now_wall(h->loop));
}

/* Its working folder cannot be emptied, or the like. */
static void on_trouble(void *self, unsigned slots, const char *why)
{
    struct byhand *h = self;
    if (slots && !h->over)
        byhand_refuse(h, REFUSAL_START_FAILED, why);
}

static bool holds(void *self, struct id run)
{
    const struct byhand *h = self;
    return slots_hold_any(h->slots, run);
}

/* ---- Steps */

struct s_step byhand_request(const struct byhand *h, unsigned step, uint64_t try_no)
{
    return (struct s_step){.run = h->run,
                           .attempt = 1,
                           .call = buf_span(&h->call),
                           .job = buf_span(&h->job),
                           .step = h->def.steps[step].name,
                           .try_no = try_no,
                           .on_lost = ON_LOST_FAIL,
                           .local = true};
}

static void refuse_try(struct byhand *h, const struct s_step *r, enum refusal code, const char *why)
{
    const struct s_launch l = {.run = r->run,
                               .attempt = r->attempt,
                               .step = r->step,
                               .try_no = r->try_no,
                               .job_hash = verifier_ends(h->verifier)};
    buf_clear(&h->scratch);
    ended_refused(&l, code, false, why, loop_now_wall(h->loop), &h->scratch);
    report_add(h->report, buf_span(&h->scratch));
}

static void ask(struct byhand *h, struct byhand_try *t)
{
    struct error err = {0};
    enum refusal code = REFUSAL_INTERNAL;
    const char *check = "";
    const int64_t now = loop_now_wall(h->loop);
    const struct s_step r = byhand_request(h, t->t.step, t->t.try_no);
    buf_clear(&h->launch);
    enum verify_verdict verdict =
        verify_step(h->verifier, &r, now, &h->launch, &code, &check, &err);
    t->early = verdict == VERDICT_EARLY;
    if (verdict == VERDICT_RUN && verifier_commit(h->verifier, now, &err) == 0)
        slots_take(h->slots, buf_span(&h->launch));
    else if (!t->early)
        refuse_try(h, &r, code, err.text);
}

static struct byhand_try *add_try(struct byhand *h, unsigned step, uint64_t try_no)
{
    h->tries = mem_realloc(h->tries, h->n_tries + 1, sizeof *h->tries);
    struct byhand_try *t = &h->tries[h->n_tries++];
    *t = (struct byhand_try){.t = {.step = step, .try_no = try_no}};
    return t;
}

static void on_retry(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    drive(arg);
}

/* A retry that is not due yet. */
static bool waits(struct byhand *h, const struct steps_next *n)
{
    if (!n->wait_ms)
        return false;
    if (!h->retry_due)
        h->retry_due = loop_now(h->loop) + (int64_t)n->wait_ms;
    if (loop_now(h->loop) >= h->retry_due)
        return false;
    loop_timer_set(h->loop, &h->retry, "retry", h->retry_due, on_retry, h);
    return true;
}

static void drive(struct byhand *h)
{
    struct steps_next n;
    struct byhand_try *t;
    if (!h->begun || h->over)
        return;
    if ((t = byhand_open_try(h))) {
        if (t->early)
            ask(h, t);
        return;
    }
    look_next(h, &n);
    if (n.what == STEPS_OVER) {
        byhand_outcome(h, &n, &h->end);
        h->over = true;
        loop_stop(h->loop, 0);
    } else if (n.what == STEPS_RUN && !waits(h, &n)) {
        h->retry_due = 0;
        ask(h, add_try(h, n.step, n.try_no));
    }
}

/* What was asked for too early was not accepted, so it was never tried. */
static void drop_early(struct byhand *h)
{
    struct byhand_try *t = byhand_open_try(h);
    if (t && t->early)
        h->n_tries--;
}

void byhand_stop(struct byhand *h, bool force)
{
    struct steps_next n;
    if (h->asked && !h->over)
        byhand_refuse(h, REFUSAL_STATE, "stopped before anything was started");
    if (!h->begun || h->over || (h->scope.stopped && (!force || h->scope.force)))
        return;
    look_next(h, &n);
    if (n.always && !force)
        return; /* the outcome is decided; `always` steps have their own time */
    drop_early(h);
    h->scope.stopped = true;
    h->scope.force = force;
    h->scope.stopped_as = n.always ? n.verdict : JOB_CANCELLED;
    const struct s_halt halt = {.run = h->run, .attempt = 1, .force = force};
    verifier_halted(h->verifier, &halt);
    if (byhand_open_try(h))
        slots_halt(h->slots, &halt);
    loop_timer_stop(h->loop, &h->retry);
    h->retry_due = 0;
}

/* ---- From the person */

/* What the broker would have known: a server that lacks a need of the job gets no call of it. */
static void go_on(struct byhand *h)
{
    if (h->over)
        return; /* stopped meanwhile */
    if (h->plan)
        byhand_plan(h);
    else if (h->lacks.n)
        byhand_refuse(h, REFUSAL_STATE, buf_str(&h->lacks));
    else
        h->begun = true;
}

static void on_probed(void *self, const struct s_probed *answer)
{
    struct byhand *h = self;
    struct wire_iter it = wire_iter(&answer->needs);
    struct span item;
    struct d_need need;
    while (wire_next(&it, &item)) {
        if (d_need_decode(item, &need, NULL) < 0 || need.holds)
            continue;
        char *text =
            mem_printf(SPAN_FMT " (" SPAN_FMT ")", SPAN_ARG(need.need), SPAN_ARG(need.trouble));
        if (!strstr(buf_str(&h->lacks), text))
            buf_printf(&h->lacks, "%s%s",
                       h->lacks.n ? "; " : "this server lacks what the job needs: ", text);
        mem_free(&text);
    }
    if (--h->asked == 0)
        go_on(h);
}

static void probe_all(struct byhand *h)
{
    h->asked = h->def.n + 1; /* some are answered at once */
    for (unsigned i = 0; i < h->def.n; i++) {
        const struct d_step *s = &h->def.steps[i];
        const struct s_probe question = {
            .number = i, .proxy = s->proxy, .subsystem = s->subsystem, .package = s->package};
        probes_take(h->probes, &question, loop_now_wall(h->loop));
    }
    if (--h->asked == 0)
        go_on(h);
}

static void begin(struct byhand *h, const struct s_by_hand *asked)
{
    struct error err = {0};
    enum refusal code = REFUSAL_INTERNAL;
    if (byhand_call(h, asked, &code, &err) < 0) {
        byhand_refuse(h, code, err.text);
        return;
    }
    h->plan = asked->plan;
    if (h->plan)
        verifier_plan(h->verifier);
    probe_all(h);
}

static void take_message(struct byhand *h, struct span message)
{
    struct s_by_hand asked;
    struct s_halt halt;
    uint64_t kind;
    size_t size;
    if (wire_peek(message, &kind, &size, NULL) < 0)
        drop_person(h);
    else if (kind == KIND_S_BY_HAND && !h->job.n && !h->over &&
             s_by_hand_decode(message, &asked, NULL) == 0)
        begin(h, &asked);
    else if (kind == KIND_S_HALT && s_halt_decode(message, &halt, NULL) == 0)
        byhand_stop(h, halt.force);
    else
        drop_person(h);
}

static void on_person(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct byhand *h = arg;
    struct span message;
    (void)l;
    (void)fd;
    if (events & EPOLLOUT)
        flush_person(h);
    while (h->person) {
        int rc = channel_receive(h->person, &message, NULL);
        if (rc == 1)
            take_message(h, message);
        else if (rc < 0)
            drop_person(h);
        else
            break;
    }
}

/* ---- Turns */

static void on_bell(struct loop *l, int fd, uint32_t events, void *arg)
{
    char ignored[16];
    (void)l;
    (void)events;
    (void)arg;
    while (recv(fd, ignored, sizeof ignored, 0) >= 0)
        ;
}

static void on_look(struct loop *l, struct loop_timer *t, void *arg)
{
    loop_timer_set(l, t, "look", loop_now(l) + LOOK_MS, on_look, arg);
}

static void on_turn_end(struct loop *l, void *arg)
{
    struct byhand *h = arg;
    struct error err = {0};
    unsigned tries;
    (void)l;
    do { /* a try that is refused ends at once */
        tries = h->n_tries;
        drive(h);
        if (report_waits(h->report) && report_flush(h->report, &err) < 0)
            log_error("%s", err.text);
        byhand_follow(h);
    } while (h->n_tries != tries || (h->begun && !h->over && h->n_tries && !byhand_open_try(h) &&
                                     !loop_timer_is_set(&h->retry)));
    slots_flush(h->slots);
    flush_person(h);
}

/* ---- Opening and closing */

static int open_bell(struct byhand *h, struct error *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char *path = mem_printf("%s/" WORKER_BELL, h->paths->bell);
    int rc = 0;
    h->bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (strlen(path) >= sizeof at.sun_path)
        ; /* without a bell the files are read all the same */
    else {
        memcpy(at.sun_path, path, strlen(path) + 1);
        if (h->bell < 0 || bind(h->bell, (struct sockaddr *)&at, sizeof at) < 0)
            rc = error_errno(err, errno, "cannot open the bell '%s'", path);
        else
            rc = loop_add(h->loop, h->bell, EPOLLIN, on_bell, h, err);
    }
    mem_free(&path);
    return rc;
}

static int open_parts(struct byhand *h, struct error *err)
{
    const struct slots_events events = {.gone = on_gone,
                                        .again = on_again,
                                        .outcome = on_outcome,
                                        .over = on_over,
                                        .begun = on_begun,
                                        .trouble = on_trouble,
                                        .self = h};
    int rc = report_open(h->paths, h->files[0].stem, &h->report, err);
    if (rc == 0)
        rc = verifier_new(h->paths, &h->verifier, err);
    if (rc < 0)
        return rc;
    h->slots = slots_new(h->paths, h->loop, h->report, &events);
    slots_resize(h->slots, 1);
    verifier_ask_of_slots(h->verifier, holds, h);
    h->probes = probes_new(h->paths, verifier_policy(h->verifier), verifier_proxies(h->verifier),
                           h->loop, on_probed, h);
    return verifier_settle(h->verifier, loop_now_wall(h->loop), err);
}

int byhand_open(const struct runner_paths *paths, struct loop *loop, int person,
                struct byhand **ret, struct error *err)
{
    struct byhand *h = mem_zalloc(1, sizeof *h);
    h->paths = paths;
    h->loop = loop;
    h->bell = -1;
    h->files[0].stem = "runner";
    h->files[1].stem = "keeper-1";
    int rc = open_parts(h, err);
    if (rc == 0)
        rc = open_bell(h, err);
    if (rc == 0)
        rc = channel_from_fd(person, &h->person, err);
    if (rc == 0)
        rc = loop_add(loop, channel_fd(h->person), EPOLLIN, on_person, h, err);
    *ret = h;
    if (rc < 0) {
        byhand_close(ret);
        return rc;
    }
    loop_on_turn_end(loop, on_turn_end, h);
    loop_timer_set(loop, &h->look, "look", loop_now(loop), on_look, h);
    return 0;
}

void byhand_reap(struct byhand *h)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        probes_reaped(h->probes, pid); /* else a guard: its channel has told us */
}

/* With us the keeper ends what it runs, and itself. */
static void await_children(void)
{
    const struct timespec pause = {0, END_PAUSE_NS};
    const int64_t until = clock_boot_ms() + END_MS;
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && clock_boot_ms() < until)
        if (pid == 0)
            nanosleep(&pause, NULL);
}

/* What a person has not read yet may be a megabyte. */
static void say_end(struct byhand *h)
{
    const int64_t until = clock_boot_ms() + END_MS;
    loop_off(h->loop, h);
    byhand_tell(h, buf_span(&h->end));
    flush_person(h);
    while (h->person && channel_wants_write(h->person) && clock_boot_ms() < until)
        if (loop_turn(h->loop, until, NULL) < 0)
            break;
}

void byhand_close(struct byhand **ph)
{
    struct byhand *h = *ph;
    if (!h)
        return;
    slots_free(&h->slots);
    probes_free(&h->probes);
    await_children();
    h->begun = false;
    if (h->end.n)
        say_end(h);
    channelloop_close(&h->person, h->loop);
    loop_timer_stop(h->loop, &h->retry);
    loop_timer_stop(h->loop, &h->look);
    loop_off(h->loop, h);
    if (h->bell >= 0) {
        loop_del(h->loop, h->bell);
        close(h->bell);
    }
    for (unsigned i = 0; i < BYHAND_FILES; i++)
        spoolfile_reader_close(&h->files[i].reader);
    verifier_free(&h->verifier);
    report_close(&h->report);
    for (unsigned i = 0; i < h->n_tries; i++)
        buf_free(&h->tries[i].outcome);
    mem_free(&h->tries);
    steps_job_free(&h->def);
    struct buf *const all[] = {&h->call, &h->job, &h->launch, &h->scratch, &h->end, &h->lacks};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
    mem_free(ph);
}
