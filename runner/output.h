/* output.h - reads what a child writes to standard output and standard error, masks secret values
 * in it, keeps it up to a cap, and counts the rest.
 *
 * The child is never held up: what exceeds the cap is read and dropped. Entries have at most 64
 * KiB; a stream that writes little has at most one every 50 ms. Entries of the two streams come in
 * the order in which the bytes were read: when one stream has something, what the other holds goes
 * first. So lines that alternate are an entry each, of which a step has at most OUTPUT_TURNS_MAX;
 * beyond that each stream has its own pace. When bytes are dropped, an entry
 * without data says so (`cut`: bytes of the stream dropped so far): once when that begins, and
 * once at the end. Memory: two buffers of 64 KiB. */
#ifndef LB_RUNNER_OUTPUT_H
#define LB_RUNNER_OUTPUT_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"
#include "proto/limits.h"
#include "runner/mask.h"

enum {
    /* bytes wait this long for more, so that not every line is an entry */
    OUTPUT_PACE_MS = 50,
    OUTPUT_TURNS_MAX = 50000, /* entries of a step that end early because of the other stream */
    OUTPUT_TAIL = 2048        /* the end of standard error, kept for the message of a failure */
};

/* Takes one entry. offset: bytes of the stream before `data`, dropped ones included. */
typedef void output_fn(void *self, unsigned stream, uint64_t offset, struct span data,
                       uint64_t cut);

struct output_stream {
    int fd; /* the reading end; -1: closed */
    uint64_t read, dropped;
    uint64_t at; /* offset of what is held */
    size_t n;
    size_t undecided; /* of these, at the end: they may be the beginning of a secret value */
    struct mask_at mask_at;
    int64_t since; /* boot ms of the oldest byte held that can go */
    bool said_cut;
    uint8_t held[LIMIT_LOG_CHUNK];
};

struct output {
    struct output_stream stream[2]; /* standard output (1), standard error (2) */
    uint64_t left;                  /* of the cap */
    unsigned turns;                 /* left of OUTPUT_TURNS_MAX */
    const struct mask *secrets;
    uint8_t tail[OUTPUT_TAIL];
    size_t tail_n;
    output_fn *emit;
    void *self;
};

/* Makes the pipes. ret_write: the child's ends; close them once it has started. cap, in bytes;
 * 0: the default. secrets: lent until output_end; NULL: there are none. */
int output_begin(struct output *o, uint64_t cap, const struct mask *secrets, output_fn *emit,
                 void *self, int ret_write[2], struct error *err);
/* Stream 1 or 2 is readable. True: its other end is closed, and so is now this one, whose `fd` is
 * -1: nothing more will come. */
bool output_read(struct output *o, unsigned stream, int64_t now);
/* When output_flush is due: boot ms; INT64_MAX: nothing is held. */
int64_t output_due(const struct output *o);
void output_flush(struct output *o, int64_t now);
/* Reads what the pipes hold now and no more, for a process outside the tree may still hold a
 * writing end. Emits the last entries and closes the pipes. */
void output_end(struct output *o, int64_t now);
uint64_t output_cut_bytes(const struct output *o);
struct span output_tail(const struct output *o);

#endif
