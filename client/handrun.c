/* handrun.c - see handrun.h. */
#include "client/handrun.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/handinside.h"
#include "common/channelloop.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/termout.h"
#include "package/values.h"
#include "proto/outcome.h"

extern char **environ;

struct handrun_session {
    const struct handrun *run;
    struct loop *loop;
    struct channel *runner;
    pid_t pid; /* of a runner that we have started; 0: none */
    bool plan, json;
    struct loop_timer late; /* a watch's timeout */
    unsigned interrupts;
    bool deaf; /* nobody reads our standard output any more */
    struct hand_ends ends;
    bool over;
    int code; /* the exit code, once it is over */
};

/* ---- Parameters */

static int read_value(const char *from, struct buf *out, struct error *err)
{
    const size_t had = out->n;
    int rc = 0;
    if (strcmp(from, "-") == 0) {
        ssize_t n = file_read_all(0, buf_grow(out, LIMIT_PARAMETERS + 1), LIMIT_PARAMETERS + 1);
        if (n < 0)
            rc = error_errno(err, (int)-n, "cannot read standard input");
        else
            out->n += (size_t)n;
    } else
        rc = file_read(from, LIMIT_PARAMETERS, out, err);
    if (rc == 0 && out->n > had && out->p[out->n - 1] == '\n')
        out->n--; /* as $(...) in a shell */
    return rc;
}

/* "name=@FILE" becomes "name=TEXT", "name=@@x" becomes "name=@x". Yours to free. */
static int expand(const char *text, char **ret, struct error *err)
{
    const char *equals = strchr(text, '=');
    struct buf out = {0};
    int rc = 0;
    if (!equals || equals[1] != '@') {
        *ret = mem_strdup(text);
        return 0;
    }
    buf_add(&out, text, (size_t)(equals + 1 - text));
    if (equals[2] == '@')
        buf_add_str(&out, equals + 2);
    else
        rc = read_value(equals + 2, &out, err);
    if (rc == 0 && memchr(out.p, 0, out.n))
        rc = error_set(err, -EINVAL, "the value of %.*s contains a NUL byte", (int)(equals - text),
                       text);
    *ret = rc == 0 ? span_dup_str(buf_span(&out)) : NULL;
    buf_free(&out);
    return rc;
}

static int take_parameters(const struct handrun *r, struct buf *items, struct wire_list *ret,
                           struct error *err)
{
    size_t n, done = 0;
    const char *const *texts = opt_list(r->values, "parameter", &n);
    char **expanded = n ? mem_zalloc(n, sizeof *expanded) : NULL;
    int rc = 0;
    *ret = (struct wire_list){.count = 0};
    while (rc == 0 && done < n && (rc = expand(texts[done], &expanded[done], err)) == 0)
        done++;
    if (rc == 0 && n)
        rc = values_map_from_texts((const char *const *)expanded, n, NULL, items, ret, err);
    for (size_t i = 0; i < n; i++)
        mem_free(&expanded[i]);
    mem_free(&expanded);
    return rc;
}

/* ---- Finding a runner */

/* A session of its own: a Ctrl-C is for us alone, who tell it. */
static int spawn_runner(struct handrun_session *h, int end, struct error *err)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t files;
    sigset_t none, all;
    const struct handrun *r = h->run;
    const char *home = r->home ? r->home : secure_getenv("LONGBOAT_HOME");
    char *program = file_beside_program("lbrunner");
    const char *argv[12] = {program, "--by-hand", "--log-level", "error"};
    size_t n = 4;
    if (home) {
        argv[n++] = "--home";
        argv[n++] = home;
    }
    if (r->settings) {
        argv[n++] = "--settings";
        argv[n++] = r->settings;
    }
    if (r->undeployed)
        argv[n++] = "--undeployed";
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, end, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    int why = posix_spawn(&h->pid, program, &files, &attr, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    int rc = why ? error_errno(err, why, "cannot start '%s'", program) : 0;
    mem_free(&program);
    return rc;
}

static int start_runner(struct handrun_session *h, struct error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, errno, "cannot make a socket");
    int rc = spawn_runner(h, ends[1], err);
    close(ends[1]);
    if (rc == 0)
        rc = channel_from_fd(ends[0], &h->runner, err);
    if (rc < 0)
        close(ends[0]);
    return rc;
}

static int find_runner(struct handrun_session *h, struct error *err)
{
    struct error why = {0};
    if (!h->run->door)
        return start_runner(h, err);
    int rc = channel_connect(h->run->door, &h->runner, &why);
    if (rc == -EACCES)
        return error_set(err, rc,
                         "you may not run by hand on this server: '%s' is for root and for the "
                         "group that lbrunner's --by-hand-group names",
                         h->run->door);
    if (rc < 0)
        return error_set(err, rc,
                         "no lbrunner runs here that could do it (%s); start it, or run this as "
                         "root",
                         why.text);
    return 0;
}

/* ---- To the runner */

static void send_halt(struct handrun_session *h, bool force)
{
    struct buf b = {0};
    s_halt_encode(&(struct s_halt){.force = force}, &b);
    if (h->runner && (channel_queue(h->runner, buf_span(&b), NULL) < 0 ||
                      channelloop_flush(h->runner, h->loop, NULL) < 0))
        channelloop_close(&h->runner, h->loop);
    buf_free(&b);
}

static int send_request(struct handrun_session *h, const struct wire_list *parameters,
                        struct error *err)
{
    const struct handrun_watch *watch = h->run->watch;
    const char *as_of = watch ? watch->as_of : opt_str(h->run->values, "as-of");
    const struct s_by_hand asked = {.job = span_str(h->run->job ? h->run->job : ""),
                                    .package = h->run->package,
                                    .parameters = *parameters,
                                    .as_of = span_str(as_of ? as_of : ""),
                                    .plan = h->plan};
    struct buf b = {0};
    s_by_hand_encode(&asked, &b);
    int rc = channel_queue(h->runner, buf_span(&b), err);
    if (rc == 0)
        channelloop_flush(h->runner, h->loop, NULL); /* one that has gone may have said why */
    buf_free(&b);
    return rc;
}

/* ---- From the runner */

/* Where the reader of our standard output has gone away, nobody waits for the rest. */
static void check_readers(struct handrun_session *h, bool written)
{
    if ((written && fflush(stdout) == 0) || h->deaf)
        return;
    h->deaf = true;
    send_halt(h, false);
}

static void put(struct handrun_session *h, FILE *to, struct buf *page)
{
    bool written = term_put(to, buf_span(page));
    if (to == stdout)
        check_readers(h, written);
    buf_free(page);
}

static void put_json(struct handrun_session *h, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    if (text)
        check_readers(h, term_say(stdout, "%s\n", text) >= 0);
    free(text);
    json_decref(value);
}

static void take_output(struct handrun_session *h, const struct s_output *o)
{
    FILE *to = o->stream == 1 && !h->json ? stdout : stderr;
    if (h->run->watch) {
        h->run->watch->on_output(h->run->watch->arg, (unsigned)o->stream, o->data);
        return;
    }
    if (to == stdout && h->deaf)
        return;
    bool written = term_bytes(to, o->data);
    if (to == stdout)
        check_readers(h, written);
    if (o->cut)
        term_say(stderr, "--- %llu bytes left out: the step's limit of output\n",
                 (unsigned long long)o->cut);
}

static void take_ended(struct handrun_session *h, struct span message, const struct s_ended *e)
{
    struct d_step_outcome o;
    struct buf page = {0};
    if (h->ends.n < HAND_EXECUTIONS_MAX) {
        h->ends.v = mem_realloc(h->ends.v, h->ends.n + 1, sizeof *h->ends.v);
        h->ends.v[h->ends.n++] = buf_dup(message);
    }
    if (wire_decode(&d_step_outcome_schema, e->outcome, true, &o, NULL) < 0)
        return;
    handshow_end(&o, &page);
    put(h, stderr, &page);
}

static void take_launched(const struct s_launched *l)
{
    if (l->try_no > 1)
        term_say(stderr, "==> " SPAN_FMT ", try %llu\n", SPAN_ARG(l->step),
                 (unsigned long long)l->try_no);
    else
        term_say(stderr, "==> " SPAN_FMT "\n", SPAN_ARG(l->step));
}

static void take_progress(const struct s_progress *p)
{
    term_say(stderr, "--- %llu%% " SPAN_FMT "\n", (unsigned long long)p->percent,
             SPAN_ARG(p->text));
}

static void take_plan(struct handrun_session *h, const struct s_planned *p)
{
    struct buf page = {0};
    if (h->json) {
        put_json(h, handjson_plan(p));
        return;
    }
    handshow_plan(p, &page);
    put(h, stdout, &page);
}

static int code_of(const struct handrun_session *h, const struct d_outcome *o)
{
    if (o->delivery == DELIVERY_REFUSED)
        return HANDRUN_REFUSED;
    if (o->status == STATUS_SUCCEEDED)
        return HANDRUN_SUCCEEDED;
    return h->interrupts && o->status == STATUS_CANCELLED ? HANDRUN_INTERRUPTED : HANDRUN_FAILED;
}

static void take_outcome(struct handrun_session *h, const struct d_outcome *o)
{
    char took[DURATION_TEXT];
    h->code = code_of(h, o);
    if (h->run->watch) {
        h->run->watch->on_outcome(h->run->watch->arg, o);
        return;
    }
    term_say(stderr, "%s: job " SPAN_FMT " %s in %s%s" SPAN_FMT "\n", h->run->program,
             SPAN_ARG(o->job_name),
             o->delivery == DELIVERY_REFUSED ? "refused" : status_text(o->status),
             duration_format(o->ended_at - o->called_at, took), o->message.n ? ": " : "",
             SPAN_ARG(o->message));
    if (h->json)
        put_json(h, handjson_outcome(o, &h->ends));
}

static void take_end(struct handrun_session *h, const struct s_by_hand_end *e)
{
    struct d_outcome o;
    h->over = true;
    if (e->outcome.n && wire_decode(&d_outcome_schema, e->outcome, true, &o, NULL) == 0) {
        take_outcome(h, &o);
        return;
    }
    h->code = e->code ? HANDRUN_REFUSED : HANDRUN_SUCCEEDED;
    if (h->run->watch)
        h->run->watch->on_refused(h->run->watch->arg, e->code, e->text);
    else if (e->code)
        term_say(stderr, "%s: %s: " SPAN_FMT "\n", h->run->program, refusal_word(e->code),
                 SPAN_ARG(e->text));
}

#define TAKE(row) (kind == KIND_S_##row)
static void take_message(struct handrun_session *h, struct span message)
{
    struct s_output output;
    struct s_launched launched;
    struct s_ended ended;
    struct s_progress progress;
    struct s_planned planned;
    struct s_by_hand_end end;
    uint64_t kind;
    size_t size;
    if (wire_peek(message, &kind, &size, NULL) < 0)
        return;
    if (TAKE(OUTPUT) && s_output_decode(message, &output, NULL) == 0)
        take_output(h, &output);
    else if (TAKE(BY_HAND_END) && s_by_hand_end_decode(message, &end, NULL) == 0)
        take_end(h, &end);
    else if (h->run->watch) /* the rest is for people */
        return;
    else if (TAKE(LAUNCHED) && s_launched_decode(message, &launched, NULL) == 0)
        take_launched(&launched);
    else if (TAKE(ENDED) && s_ended_decode(message, &ended, NULL) == 0)
        take_ended(h, message, &ended);
    else if (TAKE(PROGRESS) && s_progress_decode(message, &progress, NULL) == 0)
        take_progress(&progress);
    else if (TAKE(PLANNED) && s_planned_decode(message, &planned, NULL) == 0)
        take_plan(h, &planned);
}
#undef TAKE

/* With its connection the runner has ended, and everything of the run is gone. */
static void on_runner(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct handrun_session *h = arg;
    struct span message;
    int rc = 1;
    (void)fd;
    if (events & EPOLLOUT)
        rc = channelloop_flush(h->runner, l, NULL) < 0 ? -1 : 1;
    while (rc > 0 && h->runner)
        if ((rc = channel_receive(h->runner, &message, NULL)) == 1)
            take_message(h, message);
    if (rc < 0 || !h->runner) {
        channelloop_close(&h->runner, l);
        loop_stop(l, 0);
    }
}

static void on_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    struct handrun_session *h = arg;
    (void)l;
    if (info->ssi_signo == SIGCHLD || info->ssi_signo == SIGHUP)
        return;
    h->interrupts++;
    if (h->interrupts == 1)
        term_say(stderr, "%s: stopping (TERM now, KILL after %d s); once more kills at once\n",
                 h->run->program, (int)KILL_GRACE_MS / 1000);
    send_halt(h, h->interrupts > 1);
}

static void on_late(struct loop *l, struct loop_timer *timer, void *arg)
{
    struct handrun_session *h = arg;
    (void)l;
    (void)timer;
    h->run->watch->late = true;
    send_halt(h, false);
}

/* ---- */

static int begin(struct handrun_session *h, struct error *err)
{
    struct buf items = {0};
    struct wire_list parameters;
    struct handrun_watch *watch = h->run->watch;
    int rc = 0;
    if (watch)
        parameters = *watch->parameters;
    else
        rc = take_parameters(h->run, &items, &parameters, err);
    h->code = rc < 0 ? HANDRUN_ASKED_WRONGLY : HANDRUN_REFUSED;
    if (rc == 0 && !(h->loop = loop_new(err)))
        rc = -ENOMEM;
    if (rc == 0)
        rc = loop_signals(h->loop, on_signal, h, err);
    if (rc == 0)
        rc = find_runner(h, err);
    if (rc == 0)
        rc = loop_add(h->loop, channel_fd(h->runner), EPOLLIN, on_runner, h, err);
    if (rc == 0)
        rc = send_request(h, &parameters, err);
    if (rc == 0 && watch && watch->timeout_ms)
        loop_timer_set(h->loop, &h->late, "hand late", clock_boot_ms() + watch->timeout_ms, on_late,
                       h);
    buf_free(&items);
    return rc;
}

int handrun(const struct handrun *r)
{
    struct handrun_session h = {.run = r,
                                .plan = !r->watch && opt_flag(r->values, "dry-run"),
                                .json = !r->watch && opt_flag(r->values, "json")};
    struct error err = {0};
    int rc = begin(&h, &err);
    if (rc == 0)
        rc = loop_run(h.loop, &err);
    if (rc == 0 && !h.over) {
        h.code = HANDRUN_FAILED;
        rc = error_set(&err, -EPIPE, "the runner has gone, and with it what ran");
    }
    if (rc < 0)
        term_say(stderr, "%s: %s\n", r->program, err.text);
    if (loop_timer_is_set(&h.late))
        loop_timer_stop(h.loop, &h.late);
    channelloop_close(&h.runner, h.loop);
    if (h.pid)
        while (waitpid(h.pid, NULL, 0) < 0 && errno == EINTR)
            ;
    loop_destroy(&h.loop);
    for (unsigned i = 0; i < h.ends.n; i++)
        buf_free(&h.ends.v[i]);
    mem_free(&h.ends.v);
    return h.code;
}
