/* many.c - see many.h.
 *
 * Forked processes run the seeds, so that a seed that ends its process (an assertion, an endless
 * loop) does not stop the others. Results are in shared memory. */
#include "tests/sim/many.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "tests/sim/shrink.h"
#include "tests/sim/tries.h"

enum {
    FAILURES_SHOWN = 20, /* further ones are only counted */
    PROGRESS_SECONDS = 60,
    MET_FROM_SEEDS = 500 /* with this many seeds, all states and faults must have been met */
};

struct failure {
    uint64_t seed;
    bool known; /* a regression */
    struct cluster_result r;
};

struct hand { /* one forked process */
    struct counts counts;
    uint64_t passed, failed;
    int64_t virtual_us;
    uint64_t at; /* index + 1 of the seed that it runs; 0: none */
    struct cluster_result r;
};

struct shared {
    uint64_t next;
    uint64_t failures;
    struct failure failure[FAILURES_SHOWN];
    struct hand hand[];
};

struct plan {
    const struct many_order *o;
    uint64_t *regressions;
    size_t n_regressions;
    unsigned hands;
    pid_t *pids; /* of the processes */
    double began;
    struct shared *s;
};

unsigned many_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

static uint64_t seed_at(const struct plan *p, uint64_t index)
{
    return index < p->n_regressions ? p->regressions[index]
                                    : p->o->from + (index - p->n_regressions);
}

/* Each line: a seed and the bug that it found. Lines that start with # are comments. */
static void read_regressions(const char *path, struct plan *p)
{
    FILE *f = fopen(path, "r");
    char line[1000], *end;
    if (!f) {
        fprintf(stderr, "sim: no regressions are run: %s: %s\n", path, strerror(errno));
        return;
    }
    while (fgets(line, sizeof line, f)) {
        uint64_t seed = strtoull(line, &end, 10);
        if (end == line)
            continue;
        p->regressions = mem_realloc(p->regressions, p->n_regressions + 1, sizeof *p->regressions);
        p->regressions[p->n_regressions++] = seed;
    }
    fclose(f);
}

static void note_failure(struct plan *p, const struct hand *h)
{
    uint64_t i = __atomic_fetch_add(&p->s->failures, 1, __ATOMIC_SEQ_CST);
    if (i >= FAILURES_SHOWN)
        return;
    p->s->failure[i] = (struct failure){
        .seed = seed_at(p, h->at - 1), .known = h->at <= p->n_regressions, .r = h->r};
}

static bool is_enough(const struct plan *p, uint64_t index)
{
    if (p->o->until_failure && p->s->failures)
        return true;
    if (p->o->seconds > 0)
        return tries_now() - p->began >= p->o->seconds;
    return index >= p->n_regressions + p->o->seeds;
}

static _Noreturn void work(struct plan *p, struct hand *h)
{
    for (;;) {
        uint64_t i = __atomic_fetch_add(&p->s->next, 1, __ATOMIC_SEQ_CST);
        if (is_enough(p, i))
            break;
        h->at = i + 1;
        alarm(SEED_SECONDS);
        cluster_run(seed_at(p, i), NULL, 0, &h->r);
        counts_add(&h->counts, &h->r.counts);
        h->virtual_us += h->r.virtual_us;
        if (h->r.passed) {
            h->passed++;
        } else {
            h->failed++;
            note_failure(p, h);
        }
        h->at = 0;
    }
    _exit(0);
}

static void hire(struct plan *p, struct hand *h)
{
    pid_t pid = tries_fork();
    if (pid == 0)
        work(p, h);
    p->pids[h - p->s->hand] = pid;
}

/* A process has ended. If it had not finished, its seed has failed, and another process goes on.
 * False: it had finished. */
static bool goes_on(struct plan *p, struct hand *h, int status)
{
    if (!h->at)
        return false;
    tries_died(status, &h->r);
    h->failed++;
    note_failure(p, h);
    h->at = 0;
    hire(p, h);
    return true;
}

static void sum(const struct plan *p, struct hand *ret)
{
    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; i < p->hands; i++) {
        const struct hand *h = &p->s->hand[i];
        counts_add(&ret->counts, &h->counts);
        ret->passed += h->passed;
        ret->failed += h->failed;
        ret->virtual_us += h->virtual_us;
    }
}

static void say_progress(const struct plan *p)
{
    struct hand all;
    sum(p, &all);
    double passed = tries_now() - p->began;
    fprintf(stderr,
            "sim: %.0f of %.0f minutes: %" PRIu64 " seeds (%.0f a second), %" PRIu64 " failed\n",
            passed / 60, p->o->seconds / 60, all.passed + all.failed,
            (double)(all.passed + all.failed) / passed, all.failed);
}

/* Waits until a process has ended or it is time to report. */
static void await(const struct plan *p, double *said)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    double left = *said + PROGRESS_SECONDS - tries_now();
    struct timespec t = {.tv_sec = left > 0 ? (time_t)left + 1 : 0};
    sigtimedwait(&child, NULL, &t);
    if (tries_now() - *said < PROGRESS_SECONDS)
        return;
    *said = tries_now();
    if (p->o->seconds > 0)
        say_progress(p);
}

static void run_all(struct plan *p)
{
    unsigned left = p->hands;
    double said = p->began;
    sigset_t child, before;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before); /* so that await hears of it */
    for (unsigned i = 0; i < p->hands; i++)
        hire(p, &p->s->hand[i]);
    while (left) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            await(p, &said);
        for (unsigned i = 0; pid > 0 && i < p->hands; i++)
            if (p->pids[i] == pid && !goes_on(p, &p->s->hand[i], status))
                left--;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* ---- Reports */
static void git_hash(char *out, size_t size)
{
    FILE *f = popen("git rev-parse --short HEAD 2>/dev/null", "r");
    snprintf(out, size, "unknown");
    if (f && fgets(out, (int)size, f))
        out[strcspn(out, "\n")] = 0;
    if (f)
        pclose(f);
}

static void print_failures(const struct plan *p)
{
    char hash[64];
    uint64_t n = p->s->failures < FAILURES_SHOWN ? p->s->failures : FAILURES_SHOWN;
    if (!n)
        return;
    git_hash(hash, sizeof hash);
    for (uint64_t i = 0; i < n; i++) {
        const struct failure *f = &p->s->failure[i];
        const struct cluster_result *r = &f->r;
        printf("sim: seed %" PRIu64 " of commit %s: ", f->seed, hash);
        cluster_say(stdout, r);
        printf("     replay it with: %s %" PRIu64 "\n", p->o->program, f->seed);
        if (!f->known)
            printf("     for tests/sim/regressions, when it is mended: %" PRIu64 " %s%s%s (%s)\n",
                   f->seed, r->law < LAW_COUNT ? law_name(r->law) : "",
                   r->law < LAW_COUNT ? ": " : "", r->text, hash);
    }
    if (p->s->failures > n)
        printf("sim: and %" PRIu64 " more\n", p->s->failures - n);
}

/* The first failing seed: all earlier ones have ended and passed. */
static void print_first(const struct plan *p)
{
    const struct failure *first = &p->s->failure[0];
    for (uint64_t i = 1; i < p->s->failures && i < FAILURES_SHOWN; i++)
        if (p->s->failure[i].seed < first->seed)
            first = &p->s->failure[i];
    if (p->s->failures)
        printf("first failure: %" PRIu64 " %s %s\n", first->seed, law_name(first->r.law),
               first->r.text);
}

static void shrink_first(const struct plan *p)
{
    struct shrink_order o = {.processes = p->hands, .seconds = p->o->shrink_seconds};
    struct error err = {0};
    if (!p->s->failures || p->o->shrink_seconds <= 0)
        return;
    o.world.seed = p->s->failure[0].seed;
    if (shrink_and_say(&o, p->o->program, &err) < 0)
        printf("sim: %s\n", err.text);
}

static void print_counts(const struct counts *c, uint64_t seeds, double seconds, int64_t virtual_us)
{
    printf("sim: %" PRIu64 " seeds in %.1f s (%.0f a second), %.0f virtual hours, %" PRIu64
           " events, %" PRIu64 " broker steps, %" PRIu64 " runs, %" PRIu64 " attempts, %" PRIu64
           " digests; faults met:",
           seeds, seconds, (double)seeds / seconds, (double)virtual_us / 3.6e9, c->events,
           c->broker_steps, c->runs, c->attempts, c->digests);
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        printf("%s %s %" PRIu64, i ? "," : "", fault_text((enum fault)i), c->faults[i]);
    printf("; states met:");
    for (unsigned i = 0; i < RUN_STATE_COUNT; i++)
        printf("%s %s %" PRIu64, i ? "," : "", run_state_text(i), c->states[i]);
    printf("\n");
}

/* Prints the states and faults that were never met and returns their number. */
static unsigned unmet(const struct counts *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < RUN_STATE_COUNT; i++)
        if (!c->states[i]) {
            printf("sim: the state %s was never met: the simulator does not reach it any more\n",
                   run_state_text(i));
            n++;
        }
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        if (!c->faults[i]) {
            printf("sim: the fault '%s' was never met: the simulator does not reach it any more\n",
                   fault_text((enum fault)i));
            n++;
        }
    return n;
}

int many_run(const struct many_order *o)
{
    struct plan p = {.o = o, .hands = many_processors(), .began = tries_now()};
    size_t size = sizeof *p.s + p.hands * sizeof *p.s->hand;
    struct hand all;
    p.s = tries_share(size);
    p.pids = mem_zalloc(p.hands, sizeof *p.pids);
    if (o->regressions)
        read_regressions(o->regressions, &p);
    run_all(&p);
    sum(&p, &all);
    double seconds = tries_now() - p.began;
    print_failures(&p);
    if (o->until_failure)
        print_first(&p);
    shrink_first(&p);
    print_counts(&all.counts, all.passed + all.failed, seconds, all.virtual_us);
    if (all.passed + all.failed >= MET_FROM_SEEDS)
        all.failed += unmet(&all.counts);
    printf("sim: %" PRIu64 " passed, %" PRIu64 " failed\n", all.passed, all.failed);
    munmap(p.s, size);
    mem_free(&p.regressions);
    mem_free(&p.pids);
    return all.failed ? 1 : 0;
}
