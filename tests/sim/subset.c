/* subset.c - see subset.h. */
#include "tests/sim/subset.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "tests/sim/cluster.h"

static const char *const habits[] = {
#define X(n, t) t,
    HABITS(X)
#undef X
};

/* ---- Ordinals */
bool only_has(const struct only *o, unsigned ordinal)
{
    return !o->given || (ordinal < ONLY_MAX && (o->bits[ordinal / 64] >> ordinal % 64 & 1));
}

bool only_is_over(const struct only *o, unsigned ordinal)
{
    if (!o->given)
        return false;
    for (unsigned i = ordinal + 1; i < ONLY_MAX; i++)
        if (only_has(o, i))
            return false;
    return true;
}

void only_add(struct only *o, unsigned ordinal)
{
    o->given = true;
    if (ordinal < ONLY_MAX)
        o->bits[ordinal / 64] |= 1ull << ordinal % 64;
}

void only_first(struct only *o, unsigned n)
{
    memset(o, 0, sizeof *o);
    o->given = true;
    for (unsigned i = 1; i <= n && i < ONLY_MAX; i++)
        only_add(o, i);
}

void only_drop(struct only *o, unsigned ordinal)
{
    o->bits[ordinal / 64] &= ~(1ull << ordinal % 64);
}

unsigned only_count(const struct only *o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ONLY_WORDS; i++)
        n += (unsigned)__builtin_popcountll(o->bits[i]);
    return n;
}

/* ---- Text */
int only_parse(const char *text, struct only *ret, struct error *err)
{
    const char *at = text;
    char *end;
    memset(ret, 0, sizeof *ret);
    ret->given = true;
    if (!strcmp(text, "none"))
        return 0;
    for (;;) {
        unsigned long low = strtoul(at, &end, 10), high = low;
        if (end != at && *end == '-') {
            at = end + 1;
            high = strtoul(at, &end, 10);
        }
        if (end == at || !low || high < low || high >= ONLY_MAX || (*end && *end != ','))
            return error_set(err, -EINVAL,
                             "'%s' is not a list of numbers from 1 to %d, such as 1-4,9, or none",
                             text, ONLY_MAX - 1);
        for (; low <= high; low++)
            only_add(ret, (unsigned)low);
        if (!*end)
            return 0;
        at = end + 1;
    }
}

static bool is_word(const char *name, const char *word, size_t n)
{
    return strlen(name) == n && !memcmp(name, word, n);
}

static bool leave_out(struct subset *s, const char *word, size_t n)
{
    for (unsigned i = 0; i < HABIT_COUNT; i++)
        if (is_word(habits[i], word, n)) {
            s->habits |= 1ull << i;
            return true;
        }
    for (unsigned i = 0; cluster_trouble(i); i++)
        if (is_word(cluster_trouble(i), word, n)) {
            s->kinds |= 1ull << i;
            return true;
        }
    return false;
}

static void add_names(struct buf *b, uint64_t bits, const char *name_of(unsigned i), bool *first)
{
    for (unsigned i = 0; i < 64 && name_of(i); i++)
        if (bits >> i & 1) {
            buf_printf(b, "%s%s", *first ? "" : ",", name_of(i));
            *first = false;
        }
}

static const char *habit_name(unsigned i)
{
    return i < HABIT_COUNT ? habits[i] : NULL;
}

int subset_parse_without(const char *text, struct subset *s, struct error *err)
{
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ",");
        if (!leave_out(s, at, n)) {
            struct buf all = {0};
            bool first = true;
            add_names(&all, ~0ull, habit_name, &first);
            add_names(&all, ~0ull, cluster_trouble, &first);
            error_set(err, -EINVAL, "'%.*s' is not a trouble or habit; choose from: %.*s", (int)n,
                      at, (int)all.n, (const char *)all.p);
            buf_free(&all);
            return -EINVAL;
        }
        at += n;
        if (!*at)
            return 0;
    }
}

static void add_only(struct buf *b, const char *option, const struct only *o)
{
    const char *between = "";
    if (!o->given)
        return;
    buf_printf(b, " --%s ", option);
    if (!only_count(o))
        buf_printf(b, "none");
    for (unsigned i = 1; i < ONLY_MAX; i++) {
        unsigned low = i;
        if (!only_has(o, i))
            continue;
        while (only_has(o, i + 1))
            i++;
        buf_printf(b, low == i ? "%s%u" : "%s%u-%u", between, low, i);
        between = ",";
    }
}

char *subset_options(const struct subset *s)
{
    struct buf b = {0};
    bool first = true;
    add_only(&b, "servers", &s->servers);
    add_only(&b, "callers", &s->callers);
    if (s->slots)
        buf_printf(&b, " --slots %u", s->slots);
    add_only(&b, "calls", &s->calls);
    add_only(&b, "troubles", &s->troubles);
    if (s->kinds || s->habits)
        buf_printf(&b, " --without ");
    add_names(&b, s->kinds, cluster_trouble, &first);
    add_names(&b, s->habits, habit_name, &first);
    if (s->chaos_ms)
        buf_printf(&b, " --chaos %" PRId64 "ms", s->chaos_ms);
    if (s->dice)
        buf_printf(&b, " --dice %" PRIu64, s->dice);
    char *text = mem_printf("%.*s", (int)b.n, (const char *)b.p);
    buf_free(&b);
    return text;
}
