/* output.c - see output.h. */
#include "runner/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* then the loop looks at the other stream, the timers and the runner */
enum { READS_AT_ONCE = 16 };

static int make_pipe(int *ret_read, int *ret_write)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    /* of this end alone: the child's end blocks, as programs expect */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *ret_read = ends[0];
    *ret_write = ends[1];
    return 0;
}

int output_begin(struct output *o, uint64_t cap, const struct mask *secrets, output_fn *emit,
                 void *self, int ret_write[2], struct error *err)
{
    for (int i = 0; i < 2; i++) {
        struct output_stream *s = &o->stream[i];
        s->fd = -1;
        s->read = s->dropped = s->at = s->n = s->undecided = 0;
        s->mask_at = (struct mask_at){0};
        s->since = 0;
        s->said_cut = false;
    }
    o->left = cap ? cap : LIMIT_LOG_STEP;
    o->turns = OUTPUT_TURNS_MAX;
    o->secrets = secrets;
    o->tail_n = 0;
    o->emit = emit;
    o->self = self;
    int rc = make_pipe(&o->stream[0].fd, &ret_write[0]);
    if (rc == 0 && (rc = make_pipe(&o->stream[1].fd, &ret_write[1])) < 0) {
        close(o->stream[0].fd);
        close(ret_write[0]);
        o->stream[0].fd = -1;
    }
    return rc < 0 ? error_errno(err, -rc, "cannot make a pipe for the child's output") : 0;
}

static void emit_cut(struct output *o, unsigned i)
{
    struct output_stream *s = &o->stream[i];
    o->emit(o->self, i + 1, s->at, SPAN_NONE, s->dropped);
    s->said_cut = true;
}

static void keep_tail(struct output *o, const uint8_t *p, size_t n)
{
    if (n >= OUTPUT_TAIL) {
        memcpy(o->tail, p + n - OUTPUT_TAIL, OUTPUT_TAIL);
        o->tail_n = OUTPUT_TAIL;
        return;
    }
    size_t keep = o->tail_n + n > OUTPUT_TAIL ? OUTPUT_TAIL - n : o->tail_n;
    memmove(o->tail, o->tail + o->tail_n - keep, keep);
    memcpy(o->tail + keep, p, n);
    o->tail_n = keep + n;
}

/* Where the cap cuts a value in two, its first part is masked as well. */
static void mask_cut(struct output_stream *s, size_t at)
{
    size_t decided = s->n - s->undecided;
    if (at > decided && s->undecided >= MASK_MIN)
        memset(s->held + decided, MASK_STAR, at - decided);
}

/* The first n bytes held: emits what the cap allows, and counts the rest. */
static void let_go(struct output *o, unsigned i, size_t n)
{
    struct output_stream *s = &o->stream[i];
    size_t keep = n < o->left ? n : (size_t)o->left;
    if (keep < n)
        mask_cut(s, keep);
    if (i == 1)
        keep_tail(o, s->held, n);
    if (keep)
        o->emit(o->self, i + 1, s->at, span_of(s->held, keep), 0);
    o->left -= keep;
    s->dropped += n - keep;
    s->at += n;
    s->n -= n;
    if (s->n)
        memmove(s->held, s->held + n, s->n);
    if (s->dropped && !s->said_cut)
        emit_cut(o, i);
}

static void let_decided_go(struct output *o, unsigned i)
{
    struct output_stream *s = &o->stream[i];
    if (s->n > s->undecided)
        let_go(o, i, s->n - s->undecided);
}

/* n bytes have come in after those held. */
static void take(struct output *o, unsigned i, size_t n, int64_t now)
{
    struct output_stream *s = &o->stream[i], *other = &o->stream[!i];
    bool had = s->n > s->undecided;
    if (other->n > other->undecided && o->turns) {
        o->turns--;
        let_decided_go(o, !i);
    }
    s->undecided = mask_feed(o->secrets, &s->mask_at, s->held, s->n, n);
    s->read += n;
    s->n += n;
    if (!had)
        s->since = now;
    if (s->n == sizeof s->held || (!o->left && s->n > s->undecided))
        let_decided_go(o, i);
}

/* Bytes read; 0: nothing now; -1: the other end is closed. */
static ssize_t read_once(struct output *o, unsigned i, int64_t now)
{
    struct output_stream *s = &o->stream[i];
    ssize_t n;
    do
        n = read(s->fd, s->held + s->n, sizeof s->held - s->n);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        take(o, i, (size_t)n, now);
    return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
}

static void close_pipe(struct output_stream *s)
{
    close(s->fd);
    s->fd = -1;
}

bool output_read(struct output *o, unsigned stream, int64_t now)
{
    for (int reads = 0; reads < READS_AT_ONCE; reads++) {
        ssize_t n = read_once(o, stream - 1, now);
        if (n < 0)
            close_pipe(&o->stream[stream - 1]);
        if (n <= 0)
            return n < 0;
    }
    return false;
}

int64_t output_due(const struct output *o)
{
    int64_t due = INT64_MAX;
    for (int i = 0; i < 2; i++)
        if (o->stream[i].n > o->stream[i].undecided && o->stream[i].since + OUTPUT_PACE_MS < due)
            due = o->stream[i].since + OUTPUT_PACE_MS;
    return due;
}

void output_flush(struct output *o, int64_t now)
{
    for (unsigned i = 0; i < 2; i++)
        if (o->stream[i].since + OUTPUT_PACE_MS <= now)
            let_decided_go(o, i);
}

static void read_rest(struct output *o, unsigned i, int64_t now)
{
    struct output_stream *s = &o->stream[i];
    int there = 0;
    if (ioctl(s->fd, FIONREAD, &there) < 0)
        there = 0;
    for (uint64_t until = s->read + (uint64_t)there; s->read < until;)
        if (read_once(o, i, now) <= 0)
            break;
    close_pipe(s);
}

void output_end(struct output *o, int64_t now)
{
    for (unsigned i = 0; i < 2; i++) {
        struct output_stream *s = &o->stream[i];
        if (s->fd >= 0)
            read_rest(o, i, now);
        if (s->n)
            let_go(o, i, s->n);
        if (s->dropped)
            emit_cut(o, i);
    }
}

uint64_t output_cut_bytes(const struct output *o)
{
    return o->stream[0].dropped + o->stream[1].dropped;
}

struct span output_tail(const struct output *o)
{
    return span_of(o->tail, o->tail_n);
}
