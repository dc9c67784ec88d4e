/* waiting.c - a caller whose calls no server can take: COUNT calls of JOB at ADDRESS with one
 * parameter of BYTES, at most WINDOW of them not yet accepted. It exits when all have been accepted
 * and are waiting.
 *     usage: waiting JOB ADDRESS COUNT WINDOW BYTES
 * Prints JSON: calls accepted per second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/longboat.h"
#include "common/clock.h"
#include "common/mem.h"

struct waiting_bench {
    struct longboat *lb;
    struct longboat_call call;
    unsigned count, window, started, accepted;
};

struct waiting_one {
    struct waiting_bench *b;
    bool known;
};

static void followed(void *self, const struct longboat_run *run)
{
    struct waiting_one *one = self;
    if (run->refused != REFUSAL_NONE || run->outcome) {
        fprintf(stderr, "waiting: a call does not wait: %s\n",
                run->text ? run->text : "it has ended");
        exit(1);
    }
    if (!one->known)
        one->b->accepted++;
    one->known = true;
}

static bool is_done(void *self)
{
    struct waiting_bench *b = self;
    struct error err = {0};
    while (b->started < b->count && b->started - b->accepted < b->window) {
        struct waiting_one *one = mem_zalloc(1, sizeof *one);
        one->b = b;
        b->started++;
        if (longboat_call_start(b->lb, &b->call, followed, one, &err) < 0) {
            fprintf(stderr, "waiting: %s\n", err.text);
            exit(1);
        }
    }
    return b->accepted == b->count;
}

int main(int argc, char **argv)
{
    struct waiting_bench b = {0};
    struct error err = {0};
    struct buf parameters = {0};
    if (argc != 6) {
        fprintf(stderr, "usage: waiting JOB ADDRESS COUNT WINDOW BYTES\n");
        return 2;
    }
    b.count = (unsigned)strtoul(argv[3], NULL, 10);
    b.window = (unsigned)strtoul(argv[4], NULL, 10);
    size_t bytes = strtoul(argv[5], NULL, 10);
    if (b.count == 0 || b.window == 0 || bytes > LIMIT_PARAMETERS / 2) {
        fprintf(stderr, "waiting: COUNT and WINDOW are numbers from 1, BYTES at most %d\n",
                LIMIT_PARAMETERS / 2);
        return 2;
    }
    char *text = mem_zalloc(bytes + 1, 1);
    memset(text, 'x', bytes);
    value_add_str(&parameters, span_str("text"));
    value_add_str(&parameters, span_str(text));
    b.call = (struct longboat_call){.job = argv[1], .address = argv[2], .priority = 4};
    b.call.parameters = wire_list_from(&parameters, 1);
    int64_t begun = clock_boot_us();
    if (longboat_open(&b.lb, NULL, NULL, &err) < 0 ||
        longboat_wait(b.lb, is_done, &b, 3600000, &err) < 0) {
        fprintf(stderr, "waiting: %s (%u of %u accepted)\n", err.text, b.accepted, b.count);
        return 3;
    }
    printf("{\"per_s\": %.0f}\n", b.count / ((double)(clock_boot_us() - begun) / 1e6));
    longboat_close(&b.lb);
    return 0;
}
