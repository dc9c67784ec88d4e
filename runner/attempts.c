/* attempts.c - see attempts.h. */
#include "runner/attempts.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/hashtable.h"
#include "common/mem.h"
#include "common/spoolfile.h"
#include "proto/packagejob.h"

struct attempts_try {
    char *step;         /* its name */
    struct steps_try t; /* t.step counts once the tries are in order */
    struct buf outputs; /* items of a map */
    uint32_t n_outputs;
    int64_t told_at; /* boot ms: when its end was heard of */
};

struct attempts_one {
    struct id run;
    uint64_t attempt;
    struct hash identity, job_hash; /* job_hash zero: not known */
    struct attempts_try *tries;
    unsigned n;
    bool ordered;
    bool broken; /* its tries do not fit to its job: entries are missing */
    bool stopped, force, timed_out;
    size_t bytes; /* as counted in the table */
    UT_hash_handle hh;
};

struct attempts {
    const char *folder;
    attempts_holds_fn *holds;
    void *self;
    struct attempts_one *all; /* by run; the one used last is the last */
    size_t bytes;
};

struct attempts *attempts_new(const char *spool_folder, attempts_holds_fn *holds, void *self)
{
    struct attempts *a = mem_zalloc(1, sizeof *a);
    a->folder = spool_folder;
    a->holds = holds;
    a->self = self;
    return a;
}

/* ---- The table */

static void try_free(struct attempts_try *t)
{
    mem_free(&t->step);
    buf_free(&t->outputs);
}

static void forget(struct attempts *a, struct attempts_one *o)
{
    HASH_DEL(a->all, o);
    a->bytes -= o->bytes;
    for (unsigned i = 0; i < o->n; i++)
        try_free(&o->tries[i]);
    mem_free(&o->tries);
    mem_free(&o);
}

void attempts_free(struct attempts **a)
{
    struct attempts_one *o, *next;
    if (!*a)
        return;
    HASH_ITER (hh, (*a)->all, o, next)
        forget(*a, o);
    mem_free(a);
}

static struct attempts_one *find(const struct attempts *a, struct id run)
{
    struct attempts_one *o;
    HASH_FIND(hh, a->all, &run, sizeof run, o);
    return o;
}

static struct attempts_one *add(struct attempts *a, const struct attempts_step *s)
{
    struct attempts_one *o = mem_zalloc(1, sizeof *o);
    o->run = s->run;
    o->attempt = s->attempt;
    o->identity = s->identity;
    HASH_ADD(hh, a->all, run, sizeof o->run, o);
    return o;
}

/* Counts what *o takes, makes it the one used last, and makes room for it. */
static void use(struct attempts *a, struct attempts_one *o)
{
    size_t bytes = sizeof *o + o->n * (sizeof *o->tries + LIMIT_NAME);
    for (unsigned i = 0; i < o->n; i++)
        bytes += o->tries[i].outputs.cap;
    a->bytes += bytes - o->bytes;
    o->bytes = bytes;
    HASH_DEL(a->all, o);
    HASH_ADD(hh, a->all, run, sizeof o->run, o);
    while (a->all != o && (HASH_COUNT(a->all) > ATTEMPTS_MAX || a->bytes > ATTEMPTS_BYTES_MAX))
        forget(a, a->all);
}

static struct attempts_try *find_try(struct attempts_one *o, struct span step, uint64_t try_no)
{
    for (unsigned i = o->n; i-- > 0;)
        if (o->tries[i].t.try_no == try_no && span_eq_str(step, o->tries[i].step))
            return &o->tries[i];
    return NULL;
}

static struct attempts_try *add_try(struct attempts_one *o, struct span step, uint64_t try_no)
{
    o->tries = mem_realloc(o->tries, o->n + 1, sizeof *o->tries);
    struct attempts_try *t = &o->tries[o->n++];
    *t = (struct attempts_try){.step = span_dup_str(step), .t = {.try_no = try_no}};
    return t;
}

static void take_end(struct attempts_try *t, const struct d_step_outcome *o, bool launched)
{
    steps_take_end(&t->t, o);
    t->t.launched |= launched;
    t->told_at = clock_boot_ms();
    buf_clear(&t->outputs);
    buf_add(&t->outputs, o->outputs.items.p, o->outputs.items.n);
    t->n_outputs = o->outputs.count;
}

/* ---- Reading an attempt from the spool */

static void read_launched(struct attempts_one *o, const struct s_launched *l)
{
    if (!id_eq(l->run, o->run) || l->attempt != o->attempt || !hash_eq(&l->identity, &o->identity))
        return;
    struct attempts_try *t = find_try(o, l->step, l->try_no);
    if (!t)
        t = add_try(o, l->step, l->try_no);
    t->t.launched = true;
    if (l->job_hash.n == sizeof o->job_hash.b)
        memcpy(o->job_hash.b, l->job_hash.p, sizeof o->job_hash.b);
}

/* Of a try that was not launched only an entry with job_hash counts: the others are answers to
 * requests that should not have come. */
static void read_ended(struct attempts_one *o, const struct s_ended *e, bool by_keeper)
{
    struct d_step_outcome out;
    if (!id_eq(e->run, o->run) || e->attempt != o->attempt ||
        wire_decode(&d_step_outcome_schema, e->outcome, true, &out, NULL) < 0)
        return;
    struct attempts_try *t = find_try(o, out.name, out.try_no);
    if (!t && e->job_hash.n)
        t = add_try(o, out.name, out.try_no);
    else if (t && t->t.launched && !by_keeper)
        return;
    if (t && !t->t.ended)
        take_end(t, &out, false);
}

static void read_file(struct attempts_one *o, const char *path, bool by_keeper)
{
    struct spoolfile_reader *r = NULL;
    struct span entry;
    struct s_launched l;
    struct s_ended e;
    uint64_t kind;
    size_t size;
    if (spoolfile_reader_open(path, SPOOLFILE_START, &r, NULL) < 0)
        return;
    while (spoolfile_reader_next(r, &entry, NULL) == 1) {
        if (wire_peek(entry, &kind, &size, NULL) < 0)
            continue;
        if (kind == KIND_S_LAUNCHED && wire_decode(&s_launched_schema, entry, true, &l, NULL) == 0)
            read_launched(o, &l);
        else if (kind == KIND_S_ENDED && wire_decode(&s_ended_schema, entry, true, &e, NULL) == 0)
            read_ended(o, &e, by_keeper);
    }
    spoolfile_reader_close(&r);
}

/* All files of keepers, or the runner's own. */
static void read_files(struct attempts *a, struct attempts_one *o, const char *stem)
{
    DIR *d = opendir(a->folder);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (strncmp(e->d_name, stem, strlen(stem)) != 0 || n < 4 ||
            strcmp(e->d_name + n - 4, ".log") != 0)
            continue;
        char *path = mem_printf("%s/%s", a->folder, e->d_name);
        read_file(o, path, strcmp(stem, "keeper-") == 0);
        mem_free(&path);
    }
    closedir(d);
}

/* Nobody will ever say how it ended. */
static void end_unknown(struct attempts_try *t, int64_t now)
{
    const struct d_step_outcome o = {.package = PACKAGE_UNKNOWN, .ended_at = now};
    take_end(t, &o, true);
}

static struct attempts_one *read_back(struct attempts *a, const struct attempts_step *s,
                                      int64_t now)
{
    struct attempts_one *o = add(a, s);
    read_files(a, o, "keeper-");
    read_files(a, o, "runner.");
    for (unsigned i = 0; i < o->n; i++)
        if (!o->tries[i].t.ended && !a->holds(a->self, o->run))
            end_unknown(&o->tries[i], now);
    return o;
}

/* ---- Where an attempt is */

static struct steps_scope scope_of(const struct attempts_one *o)
{
    return (struct steps_scope){.stopped = o && o->stopped,
                                .force = o && o->force,
                                .stopped_as = o && o->timed_out ? JOB_TIMED_OUT : JOB_CANCELLED};
}

static struct attempts_try *place(struct attempts_one *o, const struct steps_job *job, unsigned at,
                                  const struct steps_next *n)
{
    for (unsigned i = at; n->what == STEPS_RUN && i < o->n; i++)
        if (o->tries[i].t.try_no == n->try_no &&
            span_eq_str(job->steps[n->step].name, o->tries[i].step)) {
            struct attempts_try t = o->tries[at];
            o->tries[at] = o->tries[i];
            o->tries[i] = t;
            o->tries[at].t.step = n->step;
            return &o->tries[at];
        }
    return NULL;
}

/* Files have no order among each other; the machine says in which order the tries must have
 * come. */
static void put_in_order(struct attempts_one *o, const struct steps_job *job)
{
    struct steps s, probe;
    struct steps_next n;
    const struct steps_scope none = {.stopped = false};
    steps_begin(&s, job, &none);
    for (unsigned i = 0; i < o->n && !o->broken; i++) {
        probe = s;
        steps_next(&probe, &n);
        struct attempts_try *t = place(o, job, i, &n);
        if (!t) { /* it was stopped here, if an `always` step shows that */
            probe = s;
            steps_stop(&probe, JOB_CANCELLED);
            steps_next(&probe, &n);
            t = place(o, job, i, &n);
        }
        if (t)
            steps_add(&s, &t->t);
        else
            o->broken = true;
    }
    o->ordered = true;
}

static void fold(struct attempts_one *o, const struct steps_job *job, struct steps *ret)
{
    const struct steps_scope scope = scope_of(o);
    steps_begin(ret, job, &scope);
    for (unsigned i = 0; o && i < o->n; i++)
        steps_add(ret, &o->tries[i].t);
}

/* Outputs that no step binds are dropped. */
static bool is_bound(const struct steps_job *job, const char *step)
{
    for (unsigned i = 0; i < job->n; i++) {
        struct wire_iter it = wire_iter(&job->steps[i].bindings);
        struct span item;
        struct d_binding b;
        while (wire_next(&it, &item))
            if (d_binding_decode(item, &b, NULL) == 0 && b.from == BINDING_OUTPUT &&
                span_eq_str(b.step, step))
                return true;
    }
    return false;
}

static void drop_outputs(struct attempts_one *o, const struct steps_job *job)
{
    for (unsigned i = 0; i < o->n; i++)
        if (o->tries[i].n_outputs && !is_bound(job, o->tries[i].step)) {
            buf_free(&o->tries[i].outputs);
            o->tries[i].n_outputs = 0;
        }
}

/* The entry of an attempt, in order; NULL: none of its steps was accepted. -EAGAIN: the attempt
 * before it has not ended. */
static int look_up(struct attempts *a, const struct attempts_step *s, int64_t now,
                   struct attempts_one **ret, struct error *err)
{
    struct attempts_one *o = find(a, s->run);
    *ret = NULL;
    if (o && (!hash_eq(&o->identity, &s->identity) || o->attempt > s->attempt))
        return error_set(err, -EPERM,
                         "the run is another call's, or a newer attempt of it is here");
    if (o && o->attempt < s->attempt) {
        forget(a, o);
        o = NULL;
    }
    if (!o && !s->begun)
        return a->holds(a->self, s->run) ? -EAGAIN : 0;
    if (!o)
        o = read_back(a, s, now);
    if (!o->ordered)
        put_in_order(o, s->job);
    drop_outputs(o, s->job);
    use(a, o);
    *ret = o;
    return 0;
}

/* A wall clock that jumps must not make a retry early, so either clock may say that it is time. */
static bool is_early(const struct attempts_one *o, const struct steps_next *n, int64_t now,
                     int64_t *ret_left)
{
    int64_t wait = (int64_t)n->wait_ms - ATTEMPTS_EARLY_MAX_MS;
    if (!o || !o->n || wait <= 0)
        return false;
    const struct attempts_try *last = &o->tries[o->n - 1];
    int64_t by_wall = last->t.ended_at + wait - now,
            by_boot = last->told_at + wait - clock_boot_ms();
    *ret_left = (by_wall < by_boot ? by_wall : by_boot) + ATTEMPTS_EARLY_MAX_MS;
    return by_wall > 0 && by_boot > 0;
}

static enum attempts_answer judge(const struct attempts_one *o, const struct attempts_step *s,
                                  const struct steps_next *n, int64_t now, struct error *err)
{
    int64_t left;
    struct span step = s->job->steps[s->step].name;
    if (n->what == STEPS_BUSY)
        return ATTEMPTS_BUSY;
    if (n->what == STEPS_OVER)
        error_set(err, -EPERM, "step '" SPAN_FMT "' may not run: the attempt is over",
                  SPAN_ARG(step));
    else if (n->step != s->step || n->try_no != s->try_no)
        error_set(err, -EPERM,
                  "step '" SPAN_FMT "', try %llu, may not run now: next is step '" SPAN_FMT
                  "', try %llu",
                  SPAN_ARG(step), (unsigned long long)s->try_no,
                  SPAN_ARG(s->job->steps[n->step].name), (unsigned long long)n->try_no);
    else if (is_early(o, n, now, &left))
        error_set(err, -EPERM, "step '" SPAN_FMT "', try %llu, may run in %lld ms, not now",
                  SPAN_ARG(step), (unsigned long long)s->try_no, (long long)left);
    else
        return ATTEMPTS_NOW;
    return ATTEMPTS_REFUSED;
}

enum attempts_answer attempts_ask(struct attempts *a, const struct attempts_step *s, int64_t now,
                                  struct error *err)
{
    struct attempts_one *o;
    struct steps machine, probe;
    struct steps_next n;
    int rc = look_up(a, s, now, &o, err);
    if (rc < 0)
        return rc == -EAGAIN ? ATTEMPTS_BUSY : ATTEMPTS_REFUSED;
    if (o && !hash_is_zero(&o->job_hash) && !hash_eq(&o->job_hash, &s->job_hash)) {
        error_set(err, -EPERM, "the attempt has started with another version of its job");
        return ATTEMPTS_REFUSED;
    }
    if (o && o->broken) {
        error_set(err, -EPERM, "what the keepers have said of the earlier steps is not all there");
        return ATTEMPTS_REFUSED;
    }
    fold(o, s->job, &machine);
    probe = machine;
    steps_next(&probe, &n);
    if (n.what == STEPS_RUN && !n.always && s->job->steps[s->step].always && machine.launched) {
        /* the worker stops the attempt */
        steps_stop(&machine, JOB_CANCELLED);
        steps_next(&machine, &n);
    }
    return judge(o, s, &n, now, err);
}

void attempts_outputs(struct attempts *a, const struct attempts_step *s, struct buf *items,
                      uint32_t *count)
{
    struct attempts_one *o = find(a, s->run);
    struct buf one = {0};
    for (unsigned step = 0; o && step < s->job->n; step++)
        for (unsigned i = o->n; i-- > 0;) {
            const struct attempts_try *t = &o->tries[i];
            if (t->t.step != step || !t->t.ended || !t->n_outputs)
                continue;
            struct s_outputs out = {.step = s->job->steps[step].name,
                                    .outputs = wire_list_from(&t->outputs, t->n_outputs)};
            buf_clear(&one);
            s_outputs_encode(&out, &one);
            wire_add_bin(items, buf_span(&one));
            ++*count;
            break; /* the newest try of a step counts */
        }
    buf_free(&one);
}

static struct attempts_try *append(struct attempts_one *o, const struct attempts_step *s)
{
    struct attempts_try *t = add_try(o, s->job->steps[s->step].name, s->try_no);
    t->t.step = s->step;
    return t;
}

void attempts_take(struct attempts *a, const struct attempts_step *s)
{
    struct attempts_one *o = find(a, s->run);
    if (!o)
        o = add(a, s);
    o->job_hash = s->job_hash;
    o->ordered = true;
    append(o, s);
    use(a, o);
}

bool attempts_refuse(struct attempts *a, const struct attempts_step *s, enum refusal code,
                     int64_t now)
{
    struct attempts_one *o = find(a, s->run);
    const struct d_step_outcome out = {
        .package = PACKAGE_NOT_EXECUTED, .code = code, .ended_at = now};
    if (!o || !o->n)
        return false;
    take_end(append(o, s), &out, false);
    use(a, o);
    return true;
}

/* ---- What is heard */

static struct attempts_one *find_attempt(const struct attempts *a, struct id run, uint64_t attempt)
{
    struct attempts_one *o = find(a, run);
    return o && o->attempt == attempt ? o : NULL;
}

void attempts_end(struct attempts *a, const struct s_ended *e, bool launched)
{
    struct attempts_one *o = find_attempt(a, e->run, e->attempt);
    struct d_step_outcome out;
    if (!o || wire_decode(&d_step_outcome_schema, e->outcome, true, &out, NULL) < 0)
        return;
    struct attempts_try *t = find_try(o, out.name, out.try_no);
    if (t && !t->t.ended) {
        take_end(t, &out, launched);
        use(a, o);
    }
}

void attempts_lose(struct attempts *a, const struct s_kept *k, bool launched, int64_t now)
{
    struct attempts_one *o = find_attempt(a, k->run, k->attempt);
    struct attempts_try *t = o ? find_try(o, k->step, k->try_no) : NULL;
    if (!t || t->t.ended)
        return;
    if (!launched) {
        try_free(t);
        memmove(t, t + 1, (size_t)(o->tries + --o->n - t) * sizeof *t);
        return;
    }
    t->t.launched = true;
    read_files(a, o, "keeper-");
    t = find_try(o, k->step, k->try_no); /* reading may have moved it */
    if (t && !t->t.ended)
        end_unknown(t, now);
}

void attempts_halt(struct attempts *a, const struct s_halt *h)
{
    struct attempts_one *o = find_attempt(a, h->run, h->attempt);
    if (!o)
        return;
    o->timed_out = o->stopped ? o->timed_out : h->timed_out;
    o->stopped = true;
    o->force |= h->force;
}
