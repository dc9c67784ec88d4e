/* childreport.c - see childinside.h: what the spool hears of a step. */
#include "runner/childinside.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "proto/protect.h"
#include "runner/childfiles.h"
#include "runner/ended.h"
#include "runner/outputs.h"
#include "runner/sqlerror.h"
#include "runner/workfolder.h"
#include "trust/subsystem.h"

void child_say_output(void *self, unsigned stream, uint64_t offset, struct span data, uint64_t cut)
{
    struct child *c = self;
    struct s_output o = {.run = c->launch.run,
                         .attempt = c->launch.attempt,
                         .step = c->launch.step,
                         .try_no = c->launch.try_no,
                         .stream = stream,
                         .offset = offset,
                         .at = clock_wall_ms(),
                         .data = data,
                         .cut = cut};
    buf_clear(&c->entry);
    s_output_encode(&o, &c->entry);
    report_add_output(c->report, buf_span(&c->entry));
}

int child_say_launched(struct child *c, struct error *err)
{
    struct s_launched l = {.run = c->launch.run,
                           .attempt = c->launch.attempt,
                           .step = c->launch.step,
                           .try_no = c->launch.try_no,
                           .at = c->started_at,
                           .pid = (uint64_t)getpid(),
                           .identity = c->launch.identity,
                           .expires = c->launch.expires,
                           .job_hash = c->launch.job_hash};
    buf_clear(&c->entry);
    s_launched_encode(&l, &c->entry);
    report_form_of(c->report, &c->launch);
    report_add(c->report, buf_span(&c->entry));
    c->launched = true;
    return report_flush(c->report, err);
}

void child_say_progress(struct child *c)
{
    struct buf text = {0}, message = {0};
    if (childfiles_progress(c->files, LIMIT_TEXT + 16, &text) &&
        outputs_read_progress(buf_span(&text), &c->percent, &message)) {
        mask_whole(c->secrets, buf_span(&message));
        struct s_progress p = {.run = c->launch.run,
                               .attempt = c->launch.attempt,
                               .percent = c->percent,
                               .text = buf_span(&message)};
        buf_clear(&c->entry);
        s_progress_encode(&p, &c->entry);
        report_add_output(c->report, buf_span(&c->entry));
    }
    buf_free(&text);
    buf_free(&message);
}

uint64_t child_otherwise_off(const struct child *c)
{
    const bool may_be_altered = !hash_is_zero(&c->launch.package) && !c->launch.fingerprint.n;
    return (c->switched ? 0 : PROTECT_USER) | (c->paths->memory_backed ? 0 : PROTECT_MEMORY_FILES) |
           (may_be_altered ? PROTECT_PACKAGE_FILES : 0);
}

const char *child_user(const struct child *c, char out[LIMIT_SHORT + 1])
{
    if (!c->context.user.n)
        return c->paths->user;
    span_copy_str(c->context.user, out, LIMIT_SHORT + 1);
    return out;
}

static void add_execution(const struct child *c, struct buf *out)
{
    const struct execution x = {.own = &c->own,
                                .launch = &c->launch,
                                .context = &c->context,
                                .command = &c->command,
                                .folder = workfolder_path(c->work),
                                .on = ~sandbox_off(c->sandbox),
                                .usage = &c->usage,
                                .left = &c->left,
                                .handed_at = c->handed_at};
    execution_encode(&x, out);
}

static struct span tail_of(const struct child *c)
{
    const struct span tail = output_tail(&c->output);
    const int parameters = subsystem_parameters_parse(c->context.parameters);
    const bool sql = parameters == SUBSYSTEM_SQL || parameters == SUBSYSTEM_SQLITE3 ||
                     parameters == SUBSYSTEM_PSQL;
    return sql ? sqlerror_tail(tail) : tail;
}

void child_say_ended(struct child *c)
{
    struct buf outputs = {0}, result = {0}, message = {0}, items = {0}, execution = {0};
    struct error trouble = {0};
    char user[LIMIT_SHORT + 1];
    const char *off[PROTECT_COUNT];
    uint32_t n = 0;
    struct ending e = {.launch = &c->launch,
                       .status = c->status,
                       .usage = c->usage,
                       .stop = c->stop,
                       .excess = c->excess,
                       .warned = c->warned ? (int)c->context.warn_signal : 0,
                       .started_at = c->started_at,
                       .ended_at = c->ended_at,
                       .out_bytes = c->output.stream[0].read,
                       .err_bytes = c->output.stream[1].read,
                       .cut_bytes = output_cut_bytes(&c->output),
                       .tail = tail_of(c),
                       .user = child_user(c, user),
                       .argv = c->command.argv,
                       .n_argv = c->command.n_argv,
                       .off = off,
                       .n_off = sandbox_list_off(c->sandbox, off)};
    if (childfiles_read(c->files, CHILDFILE_OUTPUTS, LIMIT_OUTPUTS, &outputs, &trouble) < 0 ||
        outputs_read(buf_span(&outputs), &c->launch.outputs, &items, &n, &trouble) < 0)
        e.trouble = trouble.text;
    if (childfiles_read_start(c->files, CHILDFILE_RESULT, LIMIT_TEXT, &result,
                              e.trouble ? NULL : &trouble) == 0)
        e.said = outputs_read_verdict(buf_span(&result), &e.verdict, &message);
    else
        e.trouble = trouble.text; /* an unreadable verdict may have been a bad one */
    e.outputs = wire_list_from(&items, n);
    mask_whole(c->secrets, buf_span(&message));
    e.message = buf_span(&message);
    add_execution(c, &execution);
    e.execution = buf_span(&execution);
    buf_clear(&c->entry);
    ended_encode(&e, &c->entry);
    report_form_of(c->report, &c->launch);
    report_add(c->report, buf_span(&c->entry));
    buf_free(&outputs);
    buf_free(&result);
    buf_free(&message);
    buf_free(&items);
    buf_free(&execution);
}
