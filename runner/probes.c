/* probes.c - see probes.h. */
#include "runner/probes.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "runner/context.h"
#include "runner/installed.h"
#include "runner/prober.h"
#include "runner/sandbox.h"

enum { READ_MAX = LIMIT_SHORT + LIMIT_TEXT + 256 };

struct probes_question {
    uint64_t number;
    struct buf context; /* d_context */
    struct buf needs;   /* strings */
    uint32_t n_needs;
    bool gathered; /* its needs are among those that are being probed */
    struct probes_question *next;
};

/* A need of the questions that are being answered. */
struct probes_need {
    char *text;
    struct buf answer; /* d_need; empty: not probed yet */
};

struct probes {
    const struct runner_paths *paths;
    struct policy *policy;
    struct proxies *proxies;
    struct loop *loop;
    probes_answer_fn *answer;
    void *self;
    struct sandbox *sandbox;
    struct probes_question *first, **last;
    unsigned waiting;
    bool answers, cleared; /* while it answers, it was told to forget */

    /* of those that have the context of the first */
    struct probes_need *need;
    size_t n_needs, at;     /* at: the one that is probed */
    pid_t pid;              /* of the process that probes; 0: none */
    int from;               /* its answers */
    uint8_t said[READ_MAX]; /* by it: one d_need */
    struct loop_timer timer;
    pid_t hung[PROBES_HUNG_MAX]; /* killed, and not gone yet; 0: none */
};

static void start_next(struct probes *p);

/* ---- Questions */

static void question_free(struct probes_question **q)
{
    buf_free(&(*q)->context);
    buf_free(&(*q)->needs);
    mem_free(q);
}

struct probes *probes_new(const struct runner_paths *paths, struct policy *policy,
                          struct proxies *proxies, struct loop *loop, probes_answer_fn *answer,
                          void *self)
{
    struct probes *p = mem_zalloc(1, sizeof *p);
    struct error err = {0};
    p->paths = paths;
    p->policy = policy;
    p->proxies = proxies;
    p->loop = loop;
    p->answer = answer;
    p->self = self;
    p->last = &p->first;
    p->from = -1;
    if (sandbox_open(paths, 0, &p->sandbox, &err) < 0)
        log_warn("needs are probed without walls: %s", err.text);
    return p;
}

static void drop_process(struct probes *p)
{
    loop_timer_stop(p->loop, &p->timer);
    if (p->from >= 0) {
        loop_del(p->loop, p->from);
        close(p->from);
    }
    p->from = -1;
    if (!p->pid)
        return;
    kill(p->pid, SIGKILL);
    for (unsigned i = 0; i < PROBES_HUNG_MAX; i++)
        if (!p->hung[i]) {
            p->hung[i] = p->pid;
            break;
        }
    p->pid = 0;
}

static void drop_needs(struct probes *p)
{
    for (size_t i = 0; i < p->n_needs; i++) {
        mem_free(&p->need[i].text);
        buf_free(&p->need[i].answer);
    }
    mem_free(&p->need);
    p->n_needs = p->at = 0;
}

static struct probes_question *take_out(struct probes *p, struct probes_question **at)
{
    struct probes_question *q = *at;
    *at = q->next;
    if (!q->next)
        p->last = at;
    p->waiting--;
    return q;
}

void probes_clear(struct probes *p)
{
    drop_process(p);
    p->cleared = p->answers; /* all_probed goes on from there */
    if (p->answers)
        return;
    drop_needs(p);
    while (p->first) {
        struct probes_question *q = take_out(p, &p->first);
        question_free(&q);
    }
}

void probes_free(struct probes **pp)
{
    struct probes *p = *pp;
    if (!p)
        return;
    probes_clear(p);
    sandbox_close(&p->sandbox);
    mem_free(pp);
}

static void refuse(struct probes *p, uint64_t number, enum refusal code, const char *why)
{
    struct span text = span_str(why);
    if (text.n > LIMIT_TEXT)
        text.n = LIMIT_TEXT;
    p->answer(p->self, &(struct s_probed){.number = number, .code = code, .text = text});
}

/* ---- Would it be taken? */

static void add_needs(struct probes_question *q, const struct wire_list *needs)
{
    struct wire_iter it = wire_iter(needs);
    struct span item;
    while (q->n_needs < LIMIT_NEEDS && wire_next(&it, &item)) {
        wire_add_str(&q->needs, item);
        q->n_needs++;
    }
}

static int judge_package(struct probes *p, const struct hash *package,
                         const struct proxy_found *found, struct installed *i, int64_t now,
                         enum refusal *ret_code, struct error *err)
{
    *ret_code = REFUSAL_BAD_PACKAGE;
    int rc = installed_load(p->paths, package, i, err);
    const struct builder *signer = NULL;
    if (rc == 0)
        rc = policy_judge_signer(p->policy, &i->runnable.signer_key, i->runnable.name, now, &signer,
                                 err);
    return rc < 0 || !signer ? rc : proxy_judge_signer(&found->proxy, found->file, signer, err);
}

static int judge_walls(struct probes *p, struct span context, enum refusal *ret_code,
                       struct error *err)
{
    struct d_context c;
    struct privilege_user user;
    struct sandbox_step step;
    bool switched;
    *ret_code = REFUSAL_NO_PROXY;
    int rc = d_context_decode(context, &c, err);
    if (rc == 0)
        rc = context_take(p->paths, &c, &user, &switched, err);
    if (rc < 0 || !p->sandbox)
        return rc;
    prober_step(p->paths, &c, switched ? &user : NULL, &step);
    *ret_code = REFUSAL_START_FAILED;
    return sandbox_judge(p->sandbox, &step, err);
}

/* What sql runs is said by its database, as far as package, proxy and subsystem say which. */
static void add_sql_need(struct probes_question *q, const struct proxy_found *found,
                         const struct d_runnable *runnable)
{
    struct d_parameter p = {.name = SPAN_NONE};
    struct span said;
    struct value v = {.bytes = SPAN_NONE};
    struct buf items = {0};
    if (subsystem_parameters_parse(found->subsystem.parameters) != SUBSYSTEM_SQL)
        return;
    if (runnable)
        d_parameter_find(&runnable->parameters, span_str(SUBSYSTEM_SQL_PARAMETER), &p);
    said = p.fallback;
    if (!value_read(&said, &v) &&
        !wire_map_get(&found->proxy.environment, SUBSYSTEM_SQL_VARIABLE, &v))
        wire_map_get(&found->subsystem.environment, SUBSYSTEM_SQL_VARIABLE, &v);
    const char *need = subsystem_sql_need(v.bytes);
    if (*need) {
        wire_add_str(&items, span_str(need));
        const struct wire_list one = wire_list_from(&items, 1);
        add_needs(q, &one);
    }
    buf_free(&items);
}

static int judge(struct probes *p, const struct s_probe *m, int64_t now, struct probes_question *q,
                 enum refusal *ret_code, struct error *err)
{
    const struct proxy_question asked = {.subsystem = m->subsystem};
    const bool is_text = hash_is_zero(&m->package);
    struct proxy_found found;
    struct installed i = {0};
    struct proxies_step step = {.is_text = is_text};
    int rc = p->paths->undeployed ? 0 : policy_refresh(p->policy, now, ret_code, err);
    if (rc < 0)
        return rc;
    *ret_code = REFUSAL_NO_PROXY;
    if ((rc = proxies_judge(p->proxies, m->proxy, &asked, now, &found, err)) < 0)
        return rc;
    if (!is_text)
        rc = judge_package(p, &m->package, &found, &i, now, ret_code, err);
    if (rc == 0 && !is_text) {
        step.memory = i.runnable.memory;
        step.processes = i.runnable.processes;
    }
    if (rc == 0) {
        *ret_code = REFUSAL_NO_PROXY;
        rc = proxies_context(&found, &step, p->paths->separated, &q->context, err);
    }
    if (rc == 0)
        rc = judge_walls(p, buf_span(&q->context), ret_code, err);
    if (rc == 0) {
        add_needs(q, &found.subsystem.needs);
        add_sql_need(q, &found, is_text ? NULL : &i.runnable);
    }
    if (rc == 0 && !is_text)
        add_needs(q, &i.runnable.needs);
    installed_free(&i);
    return rc;
}

void probes_take(struct probes *p, const struct s_probe *m, int64_t now)
{
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    if (p->waiting >= PROBES_WAITING_MAX) {
        refuse(p, m->number, REFUSAL_BUSY, "too many questions wait for their probes");
        return;
    }
    struct probes_question *q = mem_zalloc(1, sizeof *q);
    q->number = m->number;
    int rc = judge(p, m, now, q, &code, &err);
    if (rc == 0 && q->n_needs) {
        *p->last = q;
        p->last = &q->next;
        p->waiting++;
        start_next(p);
        return;
    }
    if (rc < 0)
        refuse(p, m->number, code, err.text);
    else
        p->answer(p->self, &(struct s_probed){.number = m->number});
    question_free(&q);
}

/* ---- Probing */

static bool is_of_context(const struct probes_question *q, const struct probes_question *first)
{
    return span_eq(buf_span(&q->context), buf_span(&first->context));
}

static struct probes_need *find_need(struct probes *p, struct span text)
{
    for (size_t i = 0; i < p->n_needs; i++)
        if (span_eq_str(text, p->need[i].text))
            return &p->need[i];
    return NULL;
}

/* Those of all questions with the context of the first, each once. */
static void gather(struct probes *p)
{
    struct span item;
    for (struct probes_question *q = p->first; q; q = q->next) {
        const struct wire_list needs = wire_list_from(&q->needs, q->n_needs);
        if (!is_of_context(q, p->first))
            continue;
        q->gathered = true;
        for (struct wire_iter it = wire_iter(&needs); wire_next(&it, &item);) {
            if (find_need(p, item))
                continue;
            p->need = mem_realloc(p->need, p->n_needs + 1, sizeof *p->need);
            p->need[p->n_needs++] = (struct probes_need){.text = span_dup_str(item)};
        }
    }
}

static void give_answer(struct probes *p, const struct probes_question *q)
{
    struct buf items = {0};
    const struct wire_list needs = wire_list_from(&q->needs, q->n_needs);
    struct span item;
    for (struct wire_iter it = wire_iter(&needs); wire_next(&it, &item);)
        wire_add_bin(&items, buf_span(&find_need(p, item)->answer));
    p->answer(p->self,
              &(struct s_probed){.number = q->number, .needs = wire_list_from(&items, q->n_needs)});
    buf_free(&items);
}

static void all_probed(struct probes *p)
{
    drop_process(p);
    p->answers = true;
    for (struct probes_question **at = &p->first; *at && !p->cleared;) {
        if (!(*at)->gathered) {
            at = &(*at)->next;
            continue;
        }
        struct probes_question *q = take_out(p, at);
        give_answer(p, q);
        question_free(&q);
    }
    p->answers = false;
    drop_needs(p);
    if (p->cleared) {
        p->cleared = false;
        probes_clear(p);
    }
}

/* ---- The process */

static void run(struct probes *p);

/* Of the need that is probed now. */
static void say_failed(struct probes *p, const char *why)
{
    struct probes_need *n = &p->need[p->at++];
    d_need_encode(&(struct d_need){.need = span_str(n->text),
                                   .trouble = span_str(why),
                                   .probed_at = loop_now_wall(p->loop)},
                  &n->answer);
}

static void on_stuck(struct loop *l, struct loop_timer *t, void *arg)
{
    struct probes *p = arg;
    (void)l;
    (void)t;
    say_failed(p, "the probe has not answered within 10 s");
    drop_process(p);
    run(p);
}

static void wait_for_next(struct probes *p)
{
    loop_timer_set(p->loop, &p->timer, "probes", loop_now(p->loop) + PROBES_STUCK_MS, on_stuck, p);
}

static bool take_answer(struct probes *p, struct span said)
{
    struct d_need d;
    if (d_need_decode(said, &d, NULL) < 0 || !span_eq_str(d.need, p->need[p->at].text))
        return false;
    buf_add(&p->need[p->at++].answer, said.p, said.n);
    return true;
}

static void on_answer(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct probes *p = arg;
    (void)l;
    (void)events;
    while (p->at < p->n_needs) {
        ssize_t n = recv(fd, p->said, sizeof p->said, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            wait_for_next(p);
            return;
        }
        if (n > 0 && take_answer(p, span_of(p->said, (size_t)n)))
            continue;
        say_failed(p, "the process that probes it has ended early");
        break;
    }
    drop_process(p);
    run(p);
}

static int start_process(struct probes *p, struct error *err)
{
    struct d_context c;
    const char **needs = mem_zalloc(p->n_needs - p->at, sizeof *needs);
    struct prober with = {.paths = p->paths, .sandbox = p->sandbox, .context = &c, .needs = needs};
    int rc = d_context_decode(buf_span(&p->first->context), &c, err);
    for (size_t i = p->at; i < p->n_needs; i++)
        needs[with.n_needs++] = p->need[i].text;
    if (rc == 0)
        rc = prober_start(&with, &p->pid, &p->from, err);
    if (rc == 0)
        rc = loop_add(p->loop, p->from, EPOLLIN, on_answer, p, err);
    mem_free(&needs);
    return rc;
}

static bool too_many_hang(const struct probes *p)
{
    for (unsigned i = 0; i < PROBES_HUNG_MAX; i++)
        if (!p->hung[i])
            return false;
    return true;
}

/* Probes what has no answer yet. */
static void run(struct probes *p)
{
    struct error err = {0};
    while (p->at < p->n_needs) {
        int rc = too_many_hang(p) ? error_set(&err, -EBUSY, "the probes of earlier needs hang")
                                  : start_process(p, &err);
        if (rc == 0) {
            wait_for_next(p);
            return;
        }
        drop_process(p);
        while (p->at < p->n_needs)
            say_failed(p, err.text);
    }
    all_probed(p);
    start_next(p);
}

static void start_next(struct probes *p)
{
    if (!p->first || p->n_needs)
        return;
    gather(p);
    run(p);
}

bool probes_reaped(struct probes *p, pid_t pid)
{
    for (unsigned i = 0; i < PROBES_HUNG_MAX; i++)
        if (p->hung[i] == pid) {
            p->hung[i] = 0;
            return true;
        }
    if (pid != p->pid)
        return false;
    p->pid = 0; /* its answers are still to be read */
    return true;
}
