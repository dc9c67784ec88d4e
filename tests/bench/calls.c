/* calls.c - a caller: COUNT calls of JOB at ADDRESS, at most WINDOW of them unfinished at a time.
 *     usage: calls JOB ADDRESS COUNT WINDOW [PROGRESS]
 * Prints JSON: calls per second from the first call to the last result, and the times from call
 * to result in ms. PROGRESS is a file that gets a line at most every 10 ms: the time since boot in
 * us, and how many calls have ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/longboat.h"
#include "common/clock.h"
#include "common/mem.h"

struct calls_bench {
    struct longboat *lb;
    const char *job, *address;
    unsigned count, window, started, ended, failed;
    int64_t *begun, *took; /* us */
    FILE *progress;        /* NULL: nobody wants it */
    int64_t told_at;
};

struct calls_one {
    struct calls_bench *b;
    unsigned index;
};

static void followed(void *self, const struct longboat_run *run)
{
    struct calls_one *one = self;
    struct calls_bench *b = one->b;
    if (!run->outcome && run->refused == REFUSAL_NONE)
        return;
    if (!run->outcome || run->outcome->status != STATUS_SUCCEEDED) {
        if (b->failed++ == 0)
            fprintf(stderr, "a call did not succeed: %s\n", run->text ? run->text : "");
    }
    b->took[one->index] = clock_boot_us() - b->begun[one->index];
    b->ended++;
    mem_free(&one);
}

static void tell_progress(struct calls_bench *b)
{
    enum { TELL_EVERY_US = 10000 };
    int64_t now = clock_boot_us();
    if (!b->progress || now - b->told_at < TELL_EVERY_US)
        return;
    fprintf(b->progress, "%lld %u\n", (long long)now, b->ended);
    fflush(b->progress);
    b->told_at = now;
}

static bool is_done(void *self)
{
    struct calls_bench *b = self;
    tell_progress(b);
    while (b->started < b->count && b->started - b->ended < b->window) {
        struct calls_one *one = mem_zalloc(1, sizeof *one);
        struct error err = {0};
        struct longboat_call call = {.job = b->job, .address = b->address, .priority = 4};
        *one = (struct calls_one){b, b->started};
        b->begun[b->started++] = clock_boot_us();
        if (longboat_call_start(b->lb, &call, followed, one, &err) < 0) {
            fprintf(stderr, "calls: %s\n", err.text);
            exit(1);
        }
    }
    return b->ended == b->count;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    struct calls_bench b = {0};
    struct error err = {0};
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: calls JOB ADDRESS COUNT WINDOW [PROGRESS]\n");
        return 2;
    }
    if (argc == 6 && !(b.progress = fopen(argv[5], "w"))) {
        perror(argv[5]);
        return 3;
    }
    b.job = argv[1];
    b.address = argv[2];
    b.count = (unsigned)strtoul(argv[3], NULL, 10);
    b.window = (unsigned)strtoul(argv[4], NULL, 10);
    if (b.count == 0 || b.window == 0) {
        fprintf(stderr, "calls: COUNT and WINDOW are numbers from 1\n");
        return 2;
    }
    b.begun = mem_zalloc(b.count, sizeof *b.begun);
    b.took = mem_zalloc(b.count, sizeof *b.took);
    if (longboat_open(&b.lb, NULL, NULL, &err) < 0 ||
        longboat_wait(b.lb, is_done, &b, 600000, &err) < 0) {
        fprintf(stderr, "calls: %s (%u of %u ended)\n", err.text, b.ended, b.count);
        return 3;
    }
    int64_t first = b.begun[0], last = 0;
    size_t half = b.count / 2, most = (size_t)b.count * 99 / 100;
    for (unsigned i = 0; i < b.count; i++)
        last = b.begun[i] + b.took[i] > last ? b.begun[i] + b.took[i] : last;
    qsort(b.took, b.count, sizeof *b.took, by_time);
    printf("{\"per_s\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"failed\": %u}\n",
           b.count / ((double)(last - first) / 1e6), (double)b.took[half] / 1e3,
           (double)b.took[most] / 1e3, b.failed);
    longboat_close(&b.lb);
    return b.failed != 0;
}
