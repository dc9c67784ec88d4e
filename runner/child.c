/* child.c - see child.h. */
#include "runner/childinside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "runner/childfiles.h"
#include "runner/context.h"
#include "runner/credentialfiles.h"
#include "runner/ended.h"
#include "runner/execution.h"
#include "runner/fence.h"
#include "runner/intact.h"
#include "runner/output.h"
#include "runner/outputs.h"
#include "runner/owntmp.h"
#include "runner/planned.h"
#include "runner/sandbox.h"
#include "runner/secretopen.h"
#include "runner/secrets.h"
#include "runner/spawn.h"
#include "runner/tree.h"
#include "runner/workfolder.h"

static void on_timer(struct loop *l, struct loop_timer *t, void *arg);
static void look(struct child *c, int64_t now);

/* ---- Making one */

int child_new(const struct runner_paths *paths, unsigned slot, bool shielded, struct loop *loop,
              struct report *report, child_ended_fn *ended, void *self, struct child **ret,
              struct error *err)
{
    struct child *c = mem_zalloc(1, sizeof *c);
    c->paths = paths;
    c->loop = loop;
    c->report = report;
    c->ended = ended;
    c->self = self;
    c->slot = slot;
    c->shielded = shielded;
    c->null = -1;
    c->output.stream[0].fd = c->output.stream[1].fd = -1;
    c->intact = intact_new();
    c->credentials = credentialfiles_folder(paths, slot);
    char *memory = mem_printf("%s/%u", paths->memory, slot),
         *work = mem_printf("%s/%u", paths->work, slot);
    execution_know_self(&c->own);
    int rc = childfiles_open(memory, paths->separated, &c->files, err);
    if (rc == 0)
        rc = workfolder_open(work, paths->separated, &c->work, err);
    if (rc == 0)
        rc = credentialfiles_remove(c->credentials, err); /* of a keeper that was killed */
    if (rc == 0)
        rc = sandbox_open(paths, slot, &c->sandbox, err);
    mem_free(&memory);
    mem_free(&work);
    if (rc == 0 && (c->null = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0)
        rc = error_errno(err, errno, "cannot open /dev/null");
    if (rc < 0)
        child_free(&c);
    else
        *ret = c;
    return rc;
}

void child_free(struct child **pc)
{
    struct child *c = *pc;
    if (!c)
        return;
    loop_timer_stop(c->loop, &c->timer);
    childfiles_close(&c->files);
    workfolder_close(&c->work);
    intact_free(&c->intact);
    sandbox_close(&c->sandbox);
    if (c->null >= 0)
        close(c->null);
    command_free(&c->command);
    mask_free(&c->secrets);
    buf_free(&c->bytes);
    buf_free(&c->entry);
    mem_free(&c->credentials);
    mem_free(pc);
}

const struct s_launch *child_launch(const struct child *c)
{
    return c->phase == PHASE_NONE ? NULL : &c->launch;
}

const struct error *child_trouble(const struct child *c)
{
    return &c->trouble;
}

/* ---- The end */

/* Sealed values are plain in this process only while the step runs. */
static void forget_opened(struct child *c)
{
    if (c->opened.p)
        explicit_bzero(c->opened.p, c->opened.cap);
    buf_free(&c->opened);
    c->launch.parameters = (struct wire_list){SPAN_NONE, 0};
}

static void over(struct child *c)
{
    loop_timer_stop(c->loop, &c->timer);
    childfiles_empty(c->files);
    if (workfolder_clean(c->work, &c->trouble) < 0)
        log_error("slot %u: %s", c->slot, c->trouble.text);
    c->context = (struct d_context){0};
    c->phase = PHASE_NONE;
    command_free(&c->command);
    mask_free(&c->secrets);
    forget_opened(c);
    c->ended(c->self, buf_span(&c->entry), c->launched);
}

/* Before its end is said: who hears of it may rely on them being gone. */
static void drop_credentials(struct child *c)
{
    struct error err = {0};
    if (c->context.credentials.count && credentialfiles_remove(c->credentials, &err) < 0)
        log_error("slot %u: %s", c->slot, err.text);
}

/* No process of it is left. The slot is free once the spool has the outcome. */
static void finish(struct child *c, int64_t now)
{
    struct error err = {0};
    const int watched[2] = {c->output.stream[0].fd, c->output.stream[1].fd};
    output_end(&c->output, now);
    for (int i = 0; i < 2; i++)
        loop_closed(c->loop, watched[i]);
    drop_credentials(c);
    c->excess = sandbox_end(c->sandbox, c->status, &c->usage);
    child_say_progress(c);
    child_say_ended(c);
    c->phase = PHASE_SAYING;
    if (report_flush(c->report, &err) == 0) {
        over(c);
        return;
    }
    log_error("slot %u: cannot write an outcome yet: %s", c->slot, err.text);
    loop_timer_set(c->loop, &c->timer, "spool", now + REPORT_RETRY_MS, on_timer, c);
}

static void kill_all(struct child *c, int64_t now)
{
    c->phase = PHASE_KILLING;
    sandbox_kill(c->sandbox);
    tree_signal(SIGKILL, 0);
    c->kill_at = now + KILL_AGAIN_MS;
}

static void begin_end(struct child *c, int64_t now, int64_t grace_ms)
{
    int64_t at = now + (grace_ms > 0 ? grace_ms : 0);
    if (c->phase == PHASE_KILLING)
        return;
    /* a deadline may move closer, never away */
    if (c->phase == PHASE_ENDING && at >= c->kill_at)
        return;
    c->kill_at = at;
    if (grace_ms <= 0) {
        kill_all(c, now);
        return;
    }
    if (c->phase != PHASE_ENDING)
        tree_signal(SIGTERM, 0);
    c->phase = PHASE_ENDING;
}

void child_reap(struct child *c)
{
    bool main_ended = false, left;
    int64_t now = loop_now(c->loop);
    left = tree_reap(c->phase == PHASE_NONE ? 0 : c->pid, &main_ended, &c->status, &c->usage);
    if (c->phase == PHASE_NONE || c->phase == PHASE_SAYING)
        return;
    if (main_ended) {
        c->exited = true;
        c->ended_at = loop_now_wall(c->loop);
        if (left)
            execution_look_left(&c->left);
    }
    if (!c->exited)
        return;
    if (!left)
        finish(c, now);
    else {
        if (c->phase == PHASE_RUNS)
            begin_end(c, now, LEFTOVER_GRACE_MS);
        look(c, now);
    }
}

void child_halt(struct child *c, int64_t grace_ms, bool timed_out)
{
    int64_t now = loop_now(c->loop);
    if (c->phase == PHASE_NONE || c->phase == PHASE_SAYING)
        return;
    if (c->stop == STOP_NONE && !c->exited)
        c->stop = timed_out ? STOP_TIMEOUT : STOP_CANCEL;
    begin_end(c, now, grace_ms);
    look(c, now);
}

/* ---- Time */

static void look_at_fence(struct child *c, int64_t now)
{
    if (c->launch.on_lost != ON_LOST_RERUN)
        return;
    fence_of(&c->launch, fence_read(c->paths->fence), &c->fence_term, &c->fence_kill);
    c->fence_again =
        loop_earlier(now + FENCE_LOOK_MS, c->fence_term > now ? c->fence_term : c->fence_kill);
    if (c->fence_again <= now)
        c->fence_again = now + FENCE_LOOK_MS;
    if (now < c->fence_term)
        return;
    if (c->stop == STOP_NONE && !c->exited)
        c->stop = STOP_FENCE;
    begin_end(c, now, c->fence_kill - now);
}

/* Once, to all of its process group, so that it can save what it has. */
static void warn_if_due(struct child *c, int64_t now)
{
    if (now < c->warn_at || c->phase != PHASE_RUNS)
        return;
    c->warn_at = INT64_MAX;
    c->warned = !c->exited && kill(-c->pid, (int)c->context.warn_signal) == 0;
}

/* Does what is due, and sets the timer for what comes next. */
static void look(struct child *c, int64_t now)
{
    struct error err = {0};
    warn_if_due(c, now);
    if (now >= c->timeout_at && c->phase == PHASE_RUNS) {
        c->timeout_at = INT64_MAX;
        if (!c->exited)
            c->stop = STOP_TIMEOUT;
        begin_end(c, now, KILL_GRACE_MS);
    }
    if (now >= c->fence_again)
        look_at_fence(c, now);
    if ((c->phase == PHASE_ENDING || c->phase == PHASE_KILLING) && now >= c->kill_at)
        kill_all(c, now);
    if (now >= c->progress_at) {
        c->progress_at = now + PROGRESS_MS;
        child_say_progress(c);
    }
    output_flush(&c->output, now);
    if (report_waits(c->report) && report_flush(c->report, &err) < 0)
        log_error("slot %u: %s", c->slot, err.text);
    int64_t due =
        loop_earlier(loop_earlier(c->fence_again, c->progress_at), output_due(&c->output));
    if (c->phase == PHASE_RUNS)
        due = loop_earlier(due, loop_earlier(c->warn_at, c->timeout_at));
    if (c->phase == PHASE_ENDING || c->phase == PHASE_KILLING)
        due = loop_earlier(due, c->kill_at);
    loop_timer_set(c->loop, &c->timer, "child", due, on_timer, c);
}

static void on_timer(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)t;
    struct child *c = arg;
    struct error err = {0};
    if (c->phase == PHASE_SAYING) {
        if (report_flush(c->report, &err) == 0)
            over(c);
        else
            loop_timer_set(l, &c->timer, "spool", loop_now(l) + REPORT_RETRY_MS, on_timer, c);
    } else if (c->phase != PHASE_NONE)
        look(c, loop_now(l));
}

static void on_output(struct loop *l, int fd, uint32_t events, void *arg)
{
    (void)events;
    struct child *c = arg;
    unsigned stream = fd == c->output.stream[0].fd ? 1 : 2;
    if (output_read(&c->output, stream, loop_now(l)))
        loop_closed(l, fd);
    if (report_waits(c->report))
        look(c, loop_now(l));
    else if (output_due(&c->output) < c->timer.node.key)
        loop_timer_set(l, &c->timer, "child", output_due(&c->output), on_timer, c);
}

/* ---- The beginning */

/* The step did not start. LAUNCHED may be in the spool already, so its end must follow. */
static void not_started(struct child *c, enum refusal code, const struct error *why)
{
    struct error err = {0};
    drop_credentials(c);
    buf_clear(&c->entry);
    ended_refused(&c->launch, code, false, why->text, clock_wall_ms(), &c->entry);
    report_form_of(c->report, &c->launch);
    report_add(c->report, buf_span(&c->entry));
    c->phase = PHASE_SAYING;
    if (report_flush(c->report, &err) == 0)
        over(c);
    else
        loop_timer_set(c->loop, &c->timer, "spool", clock_boot_ms() + REPORT_RETRY_MS, on_timer, c);
}

static int prepare_sandbox(struct child *c, struct error *err)
{
    const char *work = workfolder_path(c->work);
    char *memory = mem_printf("%s/%u", c->paths->memory, c->slot);
    const struct sandbox_step step = {.context = &c->context,
                                      .package = c->launch.package,
                                      .user = c->switched ? &c->user : NULL,
                                      .work = work,
                                      .memory = memory,
                                      .credentials =
                                          c->context.credentials.count ? c->credentials : NULL,
                                      .off = child_otherwise_off(c)};
    int rc = sandbox_begin(c->sandbox, &step, err);
    mem_free(&memory);
    return rc;
}

static int prepare_files(struct child *c, struct error *err)
{
    struct buf json = {0};
    c->secrets = secrets_of(&c->launch, &c->context);
    buf_grow(&json, c->launch.parameters.items.n * 2 + 64);
    command_parameters(&c->launch, &json);
    /* if it was removed, it is made and checked again */
    int rc = runner_paths_claim_memory(c->paths, err);
    if (rc == 0)
        rc = childfiles_prepare(c->files, c->switched ? &c->user : NULL, buf_span(&json), err);
    if (rc == 0)
        rc = workfolder_give(c->work, c->switched ? &c->user : NULL, err);
    explicit_bzero(json.p, json.cap);
    buf_free(&json);
    if (rc == 0 && c->context.credentials.count)
        rc = credentialfiles_put(c->paths, c->credentials, &c->context, c->secrets, err);
    return rc < 0 || !c->secrets ? rc : mask_ready(c->secrets, err);
}

static int prepare(struct child *c, struct error *err)
{
    int rc = prepare_files(c, err); /* decides about the folder */
    const struct command_source from = {.paths = c->paths,
                                        .files = c->files,
                                        .work = workfolder_path(c->work),
                                        .credentials =
                                            c->context.credentials.count ? c->credentials : NULL,
                                        .launch = &c->launch,
                                        .context = &c->context};
    if (rc == 0)
        rc = prepare_sandbox(c, err);
    return rc < 0 ? rc : command_make(&from, &c->command, err);
}

static int begin(struct child *c, struct error *err)
{
    int ends[2];
    struct command wrapped = {0};
    const bool has_tmp = sandbox_has_tmp(c->sandbox);
    struct spawn s = {.command = has_tmp ? &wrapped : &c->command,
                      .folder = workfolder_fd(c->work),
                      .null = c->null,
                      .user = c->switched ? &c->user : NULL,
                      .sandbox = c->sandbox,
                      .lower = c->shielded};
    int rc =
        output_begin(&c->output, c->launch.output_cap, c->secrets, child_say_output, c, ends, err);
    if (rc < 0)
        return rc;
    s.out = ends[0];
    s.err = ends[1];
    if (has_tmp)
        sandbox_wrap(c->sandbox, &c->command, &wrapped);
    rc = spawn_child(&s, &c->pid, err);
    owntmp_free(&wrapped);
    close(ends[0]);
    close(ends[1]);
    bool started = rc == 0;
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = loop_add(c->loop, c->output.stream[i].fd, EPOLLIN, on_output, c, err);
    if (rc < 0 && started) {
        /* the kernel cannot watch it: its output and its end would go unnoticed */
        tree_signal(SIGKILL, 0);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            ;
        loop_del(c->loop, c->output.stream[0].fd);
    }
    if (rc < 0)
        output_end(&c->output, clock_boot_ms());
    return rc;
}

static void set_times(struct child *c, int64_t now)
{
    c->timeout_at = c->launch.deadline > 0 ? c->launch.deadline : INT64_MAX;
    if (c->launch.timeout_ms && c->launch.timeout_ms < (uint64_t)(INT64_MAX - now))
        c->timeout_at = loop_earlier(c->timeout_at, now + (int64_t)c->launch.timeout_ms);
    /* a step that has less time than that gets no warning */
    c->warn_at = c->context.warn_ms && c->context.warn_signal && c->timeout_at < INT64_MAX &&
                         (int64_t)c->context.warn_ms < c->timeout_at - now
                     ? c->timeout_at - (int64_t)c->context.warn_ms
                     : INT64_MAX;
    c->warned = false;
    c->excess = (struct excess){0};
    c->kill_at = c->fence_term = c->fence_kill = INT64_MAX;
    c->fence_again = c->launch.on_lost == ON_LOST_RERUN ? now : INT64_MAX;
    c->progress_at = now + PROGRESS_MS;
    c->percent = 0;
}

static int take_launch(struct child *c, struct span launch, struct error *err)
{
    buf_clear(&c->bytes);
    buf_add(&c->bytes, launch.p, launch.n);
    c->launch = (struct s_launch){0};
    c->context = (struct d_context){0};
    int rc = wire_decode(&s_launch_schema, buf_span(&c->bytes), true, &c->launch, err);
    if (rc == 0 && c->launch.context.n)
        rc = wire_decode(&d_context_schema, c->launch.context, true, &c->context, err);
    return rc;
}

static int check_intact(struct child *c, struct error *err)
{
    return intact_check(c->intact, c->paths->packages, &c->launch, err);
}

static int plan(struct child *c, struct span launch, enum refusal *code, struct error *err)
{
    *code = REFUSAL_INTERNAL;
    int rc = take_launch(c, launch, err);
    if (rc < 0)
        return rc;
    *code = REFUSAL_NO_PROXY;
    if ((rc = context_take(c->paths, &c->context, &c->user, &c->switched, err)) < 0)
        return rc;
    *code = REFUSAL_START_FAILED;
    if ((rc = prepare(c, err)) < 0)
        return rc;
    *code = REFUSAL_BAD_PACKAGE;
    return check_intact(c, err);
}

int child_plan(struct child *c, struct span launch, struct buf *out, enum refusal *ret_code,
               struct error *err)
{
    const struct execution_left none = {.count = 0};
    const struct rusage used = {.ru_maxrss = 0};
    char user[LIMIT_SHORT + 1];
    const char *off[PROTECT_COUNT];
    int rc = plan(c, launch, ret_code, err);
    if (rc == 0) {
        const struct execution x = {.own = &c->own,
                                    .launch = &c->launch,
                                    .context = &c->context,
                                    .command = &c->command,
                                    .folder = workfolder_path(c->work),
                                    .on = ~sandbox_off(c->sandbox),
                                    .usage = &used,
                                    .left = &none};
        const struct planned p = {.execution = &x,
                                  .user = child_user(c, user),
                                  .off = off,
                                  .n_off = sandbox_list_off(c->sandbox, off)};
        planned_encode(&p, out);
    }
    drop_credentials(c);
    command_free(&c->command);
    mask_free(&c->secrets);
    return rc;
}

void child_start(struct child *c, struct span launch, int64_t handed_at)
{
    struct error err = {0};
    int64_t now = clock_boot_ms();
    if (take_launch(c, launch, &err) < 0) {
        log_error("slot %u: the runner sent a malformed step: %s", c->slot, err.text);
        c->ended(c->self, SPAN_NONE, false);
        return;
    }
    c->launched = false;
    c->started_at = clock_wall_ms();
    c->handed_at = handed_at;
    c->left.count = 0;
    c->stop = STOP_NONE;
    c->exited = false;
    set_times(c, now);
    if (now >= c->timeout_at) {
        error_set(&err, -ETIME, "its time ran out before it could start");
        not_started(c, REFUSAL_EXPIRED, &err);
    } else if (context_take(c->paths, &c->context, &c->user, &c->switched, &err) < 0)
        not_started(c, REFUSAL_NO_PROXY, &err);
    else if (secretopen_all(c->paths->seal, &c->launch, &c->opened, &err) < 0)
        not_started(c, REFUSAL_NO_SECRET, &err);
    else if (child_say_launched(c, &err) < 0 || prepare(c, &err) < 0)
        not_started(c, REFUSAL_START_FAILED, &err);
    else if (check_intact(c, &err) < 0)
        not_started(c, REFUSAL_BAD_PACKAGE, &err);
    else if (begin(c, &err) < 0)
        not_started(c, REFUSAL_START_FAILED, &err);
    else {
        c->phase = PHASE_RUNS;
        look(c, now);
    }
}
