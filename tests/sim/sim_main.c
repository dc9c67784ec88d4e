/* sim_main.c - the simulator's program: many seeds on all cores, or one with its trace.
 *
 * Seeds are run by forked processes, so that a seed that ends its process (an assertion of a core, a loop without
 * end) costs no other one; what they find lies in shared memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/options.h"
#include "tests/sim/cluster.h"
#include "trust/keys.h"

enum {
    PROCESSES = 2,       /* of `make check`'s machine */
    FAILURES_SHOWN = 20, /* then they are only counted */
    SEED_SECONDS = 120,  /* a seed takes some 50 ms, ten times that with a sanitizer */
    MET_FROM_SEEDS = 500 /* with so many every state and every kind of fault must have been met */
};

struct failure {
    uint64_t seed, steps;
    enum law law;
    char text[400];
};

struct hand { /* one forked process */
    struct counts counts;
    uint64_t passed, failed;
    int64_t virtual_us;
    uint64_t at; /* index + 1 of the seed that it runs; 0: none */
};

struct shared {
    uint64_t next;
    uint64_t failures;
    struct failure failure[FAILURES_SHOWN];
    struct hand hand[PROCESSES];
};

struct plan {
    uint64_t *regressions;
    size_t n_regressions;
    uint64_t from, n;
};

static const struct option_row rows[] = {
    {"seeds", 'n', OPTION_INT, "1000", 0, 1000000000, false, "N", "how many seeds, besides the regressions"},
    {"from", 'f', OPTION_INT, "1", 0, INT64_MAX, false, "S", "the first of them"},
    {"steps", 0, OPTION_INT, "0", 0, INT64_MAX, false, "N", "of one seed: only its first N events"},
    {"regressions", 0, OPTION_STR, "tests/sim/regressions", 0, 0, false, "FILE",
     "seeds that once failed; they run first"},
};

static uint64_t seed_at(const struct plan *p, uint64_t index)
{
    return index < p->n_regressions ? p->regressions[index] : p->from + (index - p->n_regressions);
}

/* A line: a seed, and what it caught. Lines that begin with # say something. */
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

static void note_failure(struct shared *s, uint64_t seed, const struct cluster_result *r)
{
    uint64_t i = __atomic_fetch_add(&s->failures, 1, __ATOMIC_SEQ_CST);
    if (i >= FAILURES_SHOWN)
        return;
    struct failure *f = &s->failure[i];
    f->seed = seed;
    f->steps = r->steps;
    f->law = r->law;
    snprintf(f->text, sizeof f->text, "%s", r->text);
}

static void work(struct shared *s, struct hand *h, const struct plan *p)
{
    for (;;) {
        uint64_t i = __atomic_fetch_add(&s->next, 1, __ATOMIC_SEQ_CST);
        struct cluster_result r;
        if (i >= p->n_regressions + p->n)
            break;
        h->at = i + 1;
        alarm(SEED_SECONDS);
        cluster_run(seed_at(p, i), NULL, 0, &r);
        h->at = 0;
        counts_add(&h->counts, &r.counts);
        h->virtual_us += r.virtual_us;
        if (r.passed) {
            h->passed++;
        } else {
            h->failed++;
            note_failure(s, seed_at(p, i), &r);
        }
    }
    _exit(0);
}

static pid_t hire(struct shared *s, unsigned i, const struct plan *p)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        work(s, &s->hand[i], p);
    if (pid < 0) {
        perror("sim: fork");
        exit(1);
    }
    return pid;
}

/* A process has ended before its work: the seed that it ran has failed, another process goes on. */
static void bury(struct shared *s, struct hand *h, int status, const struct plan *p)
{
    struct cluster_result r = {.law = LAW_COUNT};
    if (WIFSIGNALED(status))
        snprintf(r.text, sizeof r.text, "it ends the process by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(r.text, sizeof r.text, "it ends the process with exit code %d", WEXITSTATUS(status));
    h->failed++;
    note_failure(s, seed_at(p, h->at - 1), &r);
    h->at = 0;
}

static void run_all(struct shared *s, const struct plan *p)
{
    pid_t pids[PROCESSES];
    unsigned left = PROCESSES;
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = hire(s, i, p);
    while (left) {
        int status;
        pid_t pid = wait(&status);
        for (unsigned i = 0; i < PROCESSES; i++) {
            if (pids[i] != pid)
                continue;
            if (s->hand[i].at) {
                bury(s, &s->hand[i], status, p);
                pids[i] = hire(s, i, p);
            } else {
                left--;
            }
        }
    }
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

static void print_failures(const struct shared *s, const char *program)
{
    char hash[64];
    uint64_t n = s->failures < FAILURES_SHOWN ? s->failures : FAILURES_SHOWN;
    if (!n)
        return;
    git_hash(hash, sizeof hash);
    for (uint64_t i = 0; i < n; i++) {
        const struct failure *f = &s->failure[i];
        if (f->law < LAW_COUNT)
            printf("sim: seed %" PRIu64 ": promise %u, %s (%s) is broken at step %" PRIu64 " of commit %s: %s\n",
                   f->seed, law_promise(f->law), law_name(f->law), law_text(f->law), f->steps, hash, f->text);
        else
            printf("sim: seed %" PRIu64 " of commit %s: %s\n", f->seed, hash, f->text);
        printf("     replay it with: %s %" PRIu64 "\n", program, f->seed);
    }
    if (s->failures > n)
        printf("sim: and %" PRIu64 " more\n", s->failures - n);
}

static void print_counts(const struct counts *c, uint64_t seeds, double seconds, int64_t virtual_us)
{
    printf("sim: %" PRIu64 " seeds in %.1f s (%.0f a second), %.0f virtual hours, %" PRIu64 " events, %" PRIu64
           " broker steps, %" PRIu64 " runs, %" PRIu64 " attempts, %" PRIu64 " digests; faults met:",
           seeds, seconds, (double)seeds / seconds, (double)virtual_us / 3.6e9, c->events, c->broker_steps, c->runs,
           c->attempts, c->digests);
    for (unsigned i = 0; i < FAULT_COUNT; i++)
        printf("%s %s %" PRIu64, i ? "," : "", fault_text((enum fault)i), c->faults[i]);
    printf("; states met:");
    for (unsigned i = 0; i < RUN_STATE_COUNT; i++)
        printf("%s %s %" PRIu64, i ? "," : "", run_state_text(i), c->states[i]);
    printf("\n");
}

/* How many states and faults were never met; says which. */
static unsigned unmet(const struct counts *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < RUN_STATE_COUNT; i++)
        if (!c->states[i]) {
            printf("sim: the state %s was never met: the simulator does not reach it any more\n", run_state_text(i));
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

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_many(struct plan *p, const char *program)
{
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct counts counts = {.events = 0};
    uint64_t passed = 0, failed = 0;
    int64_t virtual_us = 0;
    double began = now_seconds();
    if (s == MAP_FAILED) {
        perror("sim: mmap");
        return 1;
    }
    run_all(s, p);
    for (unsigned i = 0; i < PROCESSES; i++) {
        counts_add(&counts, &s->hand[i].counts);
        passed += s->hand[i].passed;
        failed += s->hand[i].failed;
        virtual_us += s->hand[i].virtual_us;
    }
    print_failures(s, program);
    print_counts(&counts, passed + failed, now_seconds() - began, virtual_us);
    if (passed + failed >= MET_FROM_SEEDS)
        failed += unmet(&counts);
    printf("sim: %" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
    munmap(s, sizeof *s);
    return failed ? 1 : 0;
}

static int run_one(const char *text, uint64_t steps)
{
    struct cluster_result r;
    char *end;
    uint64_t seed = strtoull(text, &end, 10);
    if (!*text || *end) {
        fprintf(stderr, "sim: '%s' is no seed: a number is\n", text);
        return 2;
    }
    cluster_run(seed, stdout, steps, &r);
    printf("sim: seed %" PRIu64 ", %" PRIu64 " events, %.1f virtual s, trace %016" PRIx64 "\n", seed, r.steps,
           (double)r.virtual_us / 1e6, r.trace_hash);
    if (!r.passed)
        printf("sim: promise %u, %s (%s) is broken at step %" PRIu64 ": %s\n", law_promise(r.law), law_name(r.law),
               law_text(r.law), r.steps, r.text);
    printf("sim: %d passed, %d failed\n", r.passed, !r.passed);
    return r.passed ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, rc;
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &v, &first, &err) < 0 || trust_init(&err) < 0) {
        fprintf(stderr, "sim: %s\n", err.text);
        return 2;
    }
    if (options_answered(&v, "sim", "[--seeds N [--from S] | SEED]",
                         "  sim --seeds 1000     a thousand seeds, after the regressions\n"
                         "  sim 4711             one seed with its trace\n")) {
        rc = 0;
    } else if (first < argc) {
        rc = run_one(argv[first], (uint64_t)opt_int(&v, "steps"));
    } else {
        struct plan p = {.from = (uint64_t)opt_int(&v, "from"), .n = (uint64_t)opt_int(&v, "seeds")};
        read_regressions(opt_str(&v, "regressions"), &p);
        rc = run_many(&p, argv[0]);
        mem_free(&p.regressions);
    }
    options_free(&v);
    return rc;
}
