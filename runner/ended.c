/* ended.c - see ended.h. */
#include "runner/ended.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "runner/lastline.h"
#include "runner/outputs.h"

enum { ARGUMENTS = 64, TAIL_SHOWN = 300 };

/* What is said of an exit code. False: nothing is. */
static bool find_exit_code(const struct s_launch *l, int code, struct d_exit_code *ret)
{
    struct wire_iter it = wire_iter(&l->exit_codes);
    struct span item;
    while (wire_next(&it, &item))
        if (d_exit_code_decode(item, ret, NULL) == 0 && ret->code == (uint64_t)code &&
            ret->package < PACKAGE_COUNT)
            return true;
    return false;
}

static enum package_outcome of_exit_code(const struct s_launch *l, int code)
{
    struct d_exit_code e;
    if (find_exit_code(l, code, &e))
        return (enum package_outcome)e.package;
    return l->exit_codes.count == 0 && code == 0 ? PACKAGE_SUCCEEDED : PACKAGE_FAILED;
}

struct judgement {
    enum package_outcome state;
    bool stopped; /* by us */
    bool spoiled; /* it would be a success but for e->trouble */
};

static struct judgement judge(const struct ending *e)
{
    enum package_outcome state =
        WIFEXITED(e->status) ? of_exit_code(e->launch, WEXITSTATUS(e->status)) : PACKAGE_FAILED;
    bool finished = state == PACKAGE_SUCCEEDED && e->said && e->verdict == PACKAGE_SUCCEEDED;
    if (e->stop != STOP_NONE && !finished)
        return (struct judgement){
            .state = e->stop == STOP_TIMEOUT ? PACKAGE_FAILED : PACKAGE_CANCELLED, .stopped = true};
    if (e->said && e->verdict != PACKAGE_SUCCEEDED && WIFEXITED(e->status))
        state = e->verdict;
    if (state == PACKAGE_SUCCEEDED && e->trouble)
        return (struct judgement){.state = PACKAGE_FAILED, .spoiled = true};
    return (struct judgement){.state = state};
}

static void say_warned(const struct ending *e, struct buf *out)
{
    const char *name = e->warned ? sigabbrev_np(e->warned) : NULL;
    if (name)
        buf_printf(out, ", after the signal %s that its time was running out", name);
}

static void say_exit(const struct ending *e, struct buf *out)
{
    struct d_exit_code code;
    buf_printf(out, "exit %d", WEXITSTATUS(e->status));
    if (find_exit_code(e->launch, WEXITSTATUS(e->status), &code) && code.means.n) {
        buf_add_str(out, " (");
        outputs_clean_text(code.means, LIMIT_SHORT, out);
        buf_add_str(out, ")");
    }
}

static void say_how(const struct ending *e, struct buf *out)
{
    if (*e->excess.text)
        buf_printf(out, "%s; ", e->excess.text);
    if (WIFSIGNALED(e->status)) {
        const char *name = sigabbrev_np(WTERMSIG(e->status));
        buf_printf(out, "ended by signal %d (%s)", WTERMSIG(e->status), name ? name : "?");
    } else
        say_exit(e, out);
    say_warned(e, out);
    struct buf line = {0};
    lastline_add(e->tail, TAIL_SHOWN, &line);
    if (line.n)
        buf_printf(out, ": %s", buf_str(&line));
    buf_free(&line);
}

/* The child's verdict is success, but its exit contradicts that. */
static bool is_contradicted(const struct ending *e)
{
    return e->said && e->verdict == PACKAGE_SUCCEEDED &&
           (!WIFEXITED(e->status) ||
            of_exit_code(e->launch, WEXITSTATUS(e->status)) != PACKAGE_SUCCEEDED);
}

static void make_message(const struct ending *e, const struct judgement *j, struct buf *out)
{
    static const char *const causes[] = {"", "cancelled", "timed out and was ended",
                                         "ended before its server counts as lost (on_lost: rerun)"};
    if (j->stopped) {
        buf_add_str(out, causes[e->stop]);
        say_warned(e, out);
        if (e->message.n)
            buf_printf(out, ": " SPAN_FMT, SPAN_ARG(e->message));
    } else if (j->spoiled) {
        outputs_clean_text(span_str(e->trouble), LIMIT_TEXT, out);
        if (e->message.n)
            buf_printf(out, "; the package says: " SPAN_FMT, SPAN_ARG(e->message));
    } else if (is_contradicted(e)) {
        say_how(e, out);
        buf_add_str(out, ", although the package's own verdict is succeeded");
        if (e->message.n)
            buf_printf(out, ": " SPAN_FMT, SPAN_ARG(e->message));
    } else if (e->message.n) {
        /* the limit that it ran into explains more than what it has managed to say */
        if (*e->excess.text && j->state == PACKAGE_FAILED)
            buf_printf(out, "%s; the package says: ", e->excess.text);
        buf_add(out, e->message.p, e->message.n);
    } else if (j->state != PACKAGE_SUCCEEDED)
        say_how(e, out);
    if (out->n > LIMIT_TEXT) {
        struct buf cut = {0};
        outputs_clean_text(buf_span(out), LIMIT_TEXT, &cut);
        buf_free(out);
        *out = cut;
    }
}

static void encode(const struct s_launch *l, const struct d_step_outcome *o, struct span execution,
                   struct buf *out)
{
    struct buf body = {0};
    d_step_outcome_encode(o, &body);
    struct s_ended ended = {.run = l->run,
                            .attempt = l->attempt,
                            .outcome = buf_span(&body),
                            .execution = execution,
                            .job_hash = l->job_hash};
    s_ended_encode(&ended, out);
    buf_free(&body);
}

static struct wire_list list_of(char *const *texts, size_t n, struct buf *items)
{
    uint32_t count = 0;
    for (; count < n && count < ARGUMENTS; count++) {
        struct buf clean = {0};
        outputs_clean_text(span_str(texts[count]), LIMIT_PATH, &clean);
        wire_add_str(items, buf_span(&clean));
        buf_free(&clean);
    }
    return wire_list_from(items, count);
}

static uint64_t micros(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

void ended_encode(const struct ending *e, struct buf *out)
{
    const struct s_launch *l = e->launch;
    struct buf message = {0}, argv = {0}, off = {0};
    const struct judgement j = judge(e);
    make_message(e, &j, &message);
    uint64_t signal = WIFSIGNALED(e->status) ? (uint64_t)WTERMSIG(e->status) : 0;
    struct d_step_outcome o = {.name = l->step,
                               .try_no = l->try_no,
                               .package = j.state,
                               .package_name = l->package_name,
                               .package_version = l->package_version,
                               .package_hash = l->package,
                               .message = buf_span(&message),
                               .outputs = e->outputs,
                               .exit_code = signal ? 128 + (int64_t)signal : WEXITSTATUS(e->status),
                               .signal = signal,
                               .timed_out = j.stopped && e->stop == STOP_TIMEOUT,
                               .cancelled = j.stopped && e->stop != STOP_TIMEOUT,
                               .out_of_memory = e->excess.out_of_memory && !j.stopped &&
                                                j.state == PACKAGE_FAILED,
                               .started_at = e->started_at,
                               .ended_at = e->ended_at,
                               .user_us = micros(e->usage.ru_utime),
                               .system_us = micros(e->usage.ru_stime),
                               .max_rss_kib = (uint64_t)e->usage.ru_maxrss,
                               .out_bytes = e->out_bytes,
                               .err_bytes = e->err_bytes,
                               .cut_bytes = e->cut_bytes,
                               .user = span_str(e->user),
                               .argv = list_of(e->argv, e->n_argv, &argv),
                               .off = list_of((char *const *)e->off, e->n_off, &off)};
    encode(l, &o, e->execution, out);
    buf_free(&message);
    buf_free(&argv);
    buf_free(&off);
}

/* Our sentence; a path in it may not be text. */
static void encode_ours(const struct s_launch *l, struct d_step_outcome *o, const char *sentence,
                        struct buf *out)
{
    struct buf message = {0};
    outputs_clean_text(span_str(sentence), LIMIT_TEXT, &message);
    o->message = buf_span(&message);
    encode(l, o, SPAN_NONE, out);
    buf_free(&message);
}

void ended_refused(const struct s_launch *l, enum refusal code, bool cancelled,
                   const char *sentence, int64_t now, struct buf *out)
{
    struct d_step_outcome o = {.name = l->step,
                               .try_no = l->try_no,
                               .package = PACKAGE_NOT_EXECUTED,
                               .cancelled = cancelled,
                               .started_at = now,
                               .ended_at = now,
                               .code = code};
    encode_ours(l, &o, sentence, out);
}

void ended_unknown(const struct s_launch *l, const char *sentence, int64_t now, struct buf *out)
{
    struct d_step_outcome o = {
        .name = l->step, .try_no = l->try_no, .package = PACKAGE_UNKNOWN, .ended_at = now};
    encode_ours(l, &o, sentence, out);
}
