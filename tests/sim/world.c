/* world.c - see world.h. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "common/mem.h"
#include "proto/messages.h"

enum { PPM_MAX = 9000 };
static const int64_t WALL_AT_FIRST_MS = 1700000000000;

/* ---- Chance */
static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void rng_seed(struct rng *r, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    return n ? rng_next(r) % n : 0; /* the bias is below 2^-40 for every n we use */
}

int64_t rng_between(struct rng *r, int64_t low, int64_t high)
{
    return high <= low ? low : low + (int64_t)rng_below(r, (uint64_t)(high - low) + 1);
}

bool rng_chance(struct rng *r, unsigned per_mille)
{
    return rng_below(r, 1000) < per_mille;
}

struct rng world_chance_begin(struct world *w, uint64_t purpose, uint64_t n)
{
    struct rng was = w->rng;
    uint64_t x = w->seed, salt = splitmix(&x);
    salt = splitmix(&salt) ^ purpose;
    salt = splitmix(&salt) ^ n;
    rng_seed(&w->rng, salt);
    return was;
}

void world_chance_end(struct world *w, const struct rng *was)
{
    w->rng = *was;
}

bool world_chance(struct world *w, unsigned per_mille)
{
    return per_mille && rng_chance(&w->rng, per_mille);
}

int64_t world_between(struct world *w, int64_t low, int64_t high)
{
    return rng_between(&w->rng, low, high);
}

int64_t world_skewed(struct world *w, int64_t low, int64_t high)
{
    int64_t near = low + (high - low) / 10;
    return world_chance(w, 100) ? world_between(w, low, high) : world_between(w, low, near);
}

void world_random_bytes(struct world *w, void *out, size_t n)
{
    for (uint8_t *p = out; n; n--)
        *p++ = (uint8_t)(rng_next(&w->rng) >> 32);
}

/* ---- Counting */
const char *fault_text(enum fault f)
{
    static const char *const texts[] = {
#define X(n, t) t,
        FAULTS(X)
#undef X
    };
    return f < FAULT_COUNT ? texts[f] : "?";
}

void world_met(struct world *w, enum fault f)
{
    w->counts.faults[f]++;
}

void counts_add(struct counts *to, const struct counts *c)
{
    uint64_t *t = (uint64_t *)to;
    const uint64_t *f = (const uint64_t *)c;
    for (size_t i = 0; i < sizeof *c / sizeof *t; i++) /* it consists of counts only */
        t[i] += f[i];
}

/* ---- The queue */
void world_init(struct world *w, uint64_t seed, FILE *trace)
{
    memset(w, 0, sizeof *w);
    w->seed = seed;
    w->trace = trace;
    w->trace_hash = 0xcbf29ce484222325u;
    w->chaos = true;
    rng_seed(&w->rng, seed);
}

void world_end(struct world *w)
{
    heap_free(&w->queue);
}

void world_at(struct world *w, struct event *e, int64_t at, struct process *of, event_fn *fn,
              void *self)
{
    heap_remove(&w->queue, &e->node);
    e->fn = fn;
    e->self = self;
    e->of = of;
    heap_insert(&w->queue, &e->node, at < w->now ? w->now : at, ++w->tie);
}

void world_cancel(struct world *w, struct event *e)
{
    heap_remove(&w->queue, &e->node);
}

bool event_is_set(const struct event *e)
{
    return heap_holds(&e->node);
}

bool world_step(struct world *w)
{
    struct heap_node *n = w->broken ? NULL : heap_pop(&w->queue);
    if (!n)
        return false;
    struct event *e = heap_entry(n, struct event, node);
    w->now = n->key;
    w->counts.events++;
    if (e->of && e->of->paused_until > w->now) {
        /* events keep their order when the process resumes */
        heap_insert(&w->queue, n, e->of->paused_until, ++w->tie);
        return true;
    }
    world_hash(w, (uint64_t)w->now);
    if (e->of) { /* it may be gone after its turn */
        struct rng was = world_chance_begin(w, e->of->luck + w->dice, ++e->of->turns);
        e->fn(w, e->self);
        world_chance_end(w, &was);
    } else {
        e->fn(w, e->self);
    }
    return !w->broken;
}

/* ---- Processes and clocks */
void process_init(struct process *p, const char *name, struct clock_sim *clock)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "%s", name);
    p->clock = clock;
    p->luck = 0xcbf29ce484222325u;
    for (; *name; name++)
        p->luck = (p->luck ^ (uint8_t)*name) * 0x100000001b3u;
}

void process_init_machine(struct world *w, struct process *p, const char *name,
                          struct clock_sim *clock, int64_t off_ms)
{
    clock->wall_ms = WALL_AT_FIRST_MS + (off_ms ? world_between(w, -off_ms, off_ms) : 0);
    process_init(p, name, clock);
    world_clock_boot(w, clock);
}

void process_die(struct process *p)
{
    p->up = false;
    p->paused_until = 0;
}

bool process_stop(struct world *w, struct process *p, enum fault f, const char *what,
                  int64_t for_us)
{
    if (!p->up || p->paused_until > w->now)
        return false;
    TRACE(w, p->name, "%s for %" PRId64 " ms", what, for_us / 1000);
    world_met(w, f);
    p->paused_until = w->now + for_us;
    return true;
}

bool process_runs(const struct world *w, const struct process *p)
{
    return p->up && p->paused_until <= w->now;
}

static int64_t boot_us(const struct world *w, const struct clock_sim *c)
{
    int64_t passed = w->now - c->since;
    return c->base_ms * 1000 + passed + passed / 1000 * c->ppm / 1000;
}

int64_t world_boot_ms(const struct world *w, const struct process *p)
{
    return boot_us(w, p->clock) / 1000;
}

int64_t world_wall_ms(const struct world *w, const struct process *p)
{
    return p->clock->wall_ms + world_boot_ms(w, p);
}

int64_t world_true_time(const struct world *w, const struct process *p, int64_t boot)
{
    int64_t left = boot == INT64_MAX ? INT64_MAX : boot - world_boot_ms(w, p);
    if (left > INT64_MAX / 4000)
        return INT64_MAX;
    if (left <= 0)
        return w->now;
    left *= 1000;
    int64_t at = w->now + left - left / 1000 * p->clock->ppm / 1000;
    return at + left / 10000 + 1000; /* never too early: rounding, and the square of the rate */
}

void world_clock_boot(struct world *w, struct clock_sim *c)
{
    int64_t wall = c->wall_ms + boot_us(w, c) / 1000;
    c->since = w->now;
    c->base_ms = world_between(w, 5000, 20000);
    c->ppm = world_chance(w, 600)   ? world_between(w, -PPM_MAX, PPM_MAX)
             : world_chance(w, 500) ? PPM_MAX
                                    : -PPM_MAX;
    c->wall_ms = wall - c->base_ms;
}

void world_clock_step(struct world *w, const struct process *of, int64_t ms)
{
    TRACE(w, of->name, "its wall clock steps by %" PRId64 " ms", ms);
    world_met(w, FAULT_WALL_STEP);
    of->clock->wall_ms += ms;
}

/* ---- The trace */
void world_hash(struct world *w, uint64_t v)
{
    w->trace_hash = (w->trace_hash ^ v) * 0x100000001b3u;
    w->trace_hash ^= w->trace_hash >> 29;
}

void world_hash_bytes(struct world *w, struct span s)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i + sizeof v <= s.n; i += sizeof v) {
        memcpy(&v, s.p + i, sizeof v);
        world_hash(w, v);
    }
    v = s.n;
    for (; i < s.n; i++)
        v = v << 8 | s.p[i];
    world_hash(w, v);
}

void world_trace(struct world *w, const char *who, const char *fmt, ...)
{
    va_list ap;
    fprintf(w->trace, "%5" PRId64 ".%06" PRId64 "  %-10s ", w->now / 1000000, w->now % 1000000,
            who);
    va_start(ap, fmt);
    vfprintf(w->trace, fmt, ap);
    va_end(ap);
    fputc('\n', w->trace);
}

const char *world_short_id(struct id id)
{
    static char text[4][ID_TEXT];
    static unsigned turn;
    char *out = text[turn++ % 4];
    id_format(id, out);
    return out + ID_TEXT - 9;
}

const char *world_kind_name(uint64_t kind)
{
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    return s ? s->name : "?";
}
