/* find.c - see find.h. What a tail, `last` and `last-failed` mean is decided by the broker, which
 * knows what the asker may see. */
#include "client/find.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "common/term.h"

enum { TAIL_LONGER = 12 /* the last group of an id */, ID_DIGITS = 32 };

static bool is_word(const char *text)
{
    return strcmp(text, "last") == 0 || strcmp(text, "last-failed") == 0;
}

int find_check(const char *text, struct error *err)
{
    struct id id;
    unsigned digits = 0;
    bool hex = true;
    if (is_word(text) || id_parse(text, &id, NULL) == 0)
        return 0;
    for (const char *c = text; *c; c++) {
        hex &= isxdigit((unsigned char)*c) || *c == '-';
        digits += *c != '-';
    }
    if (hex && digits >= FIND_TAIL_MIN && digits < ID_DIGITS)
        return 0;
    static const char *const words[] = {"last", "last-failed", NULL};
    char hint[SUGGEST_TEXT];
    if (*suggest_hint(text, words, hint))
        return error_set(err, -EINVAL, "'%.40s' is not a run%s", text, hint);
    return error_set(err, -EINVAL,
                     "'%.40s' is not a run: give an id, the last %d or more digits of one, `last` "
                     "or `last-failed`",
                     text, FIND_TAIL_MIN);
}

/* ---- The broker's answer */
struct find_found {
    struct id run; /* the first */
    unsigned n;
    struct buf *list;
    struct error err;
};

static const char *text_of(json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

/* "  0198c1f2-...  failed  load[orders]  2026-11-21 09:13:55" */
static void list_candidate(struct buf *out, json_t *row)
{
    const char *state = text_of(row, "status");
    char moment[TERM_TIME];
    int64_t at;
    buf_printf(out, "  %s  ", text_of(row, "run"));
    term_safe(out, span_str(*state ? state : text_of(row, "state")));
    buf_add_str(out, "  ");
    term_safe(out, span_str(*text_of(row, "child") ? text_of(row, "child") : text_of(row, "name")));
    if (clock_parse(text_of(row, "at"), &at, NULL) == 0)
        buf_printf(out, "  %s", term_moment(at, moment));
    buf_add_str(out, "\n");
}

static bool take_found(void *self, struct span json)
{
    struct find_found *f = self;
    struct id run;
    json_t *row = json_parse_shown("the broker's answer", json, &f->err);
    if (row && id_parse(text_of(row, "run"), &run, &f->err) == 0) {
        if (f->n++ == 0)
            f->run = run;
        if (f->list)
            list_candidate(f->list, row);
    }
    json_decref(row);
    return f->err.code == 0;
}

static int judge_found(const struct find_found *f, const char *text, struct error *err)
{
    if (f->err.code)
        return error_set(err, -EPROTO, "malformed reply to QUERY: %s", f->err.text);
    if (f->n == 1)
        return 0;
    if (f->n > 1)
        return error_set(err, -ENOTUNIQ, "'%s' names several runs: give more of the id", text);
    if (strcmp(text, "last") == 0)
        return error_set(err, -ENOENT, "you have started no run that the broker remembers");
    if (strcmp(text, "last-failed") == 0)
        return error_set(err, -ENOENT, "no run that you may see has failed");
    return error_set(
        err, -ENOENT,
        "no run whose id ends in '%s', or you may not see it; give its last digits, not "
        "its first",
        text);
}

int longboat_find_run(struct longboat *lb, const char *text, struct id *ret_run,
                      struct buf *ret_candidates, struct error *err)
{
    struct buf items = {0}, list = {0};
    struct find_found f = {.list = &list};
    if (id_parse(text, ret_run, NULL) == 0)
        return 0;
    int rc = find_check(text, err);
    if (rc < 0)
        return rc;
    value_add_str(&items, span_str("run"));
    value_add_str(&items, span_str(text));
    struct wire_list where = wire_list_from(&items, 1);
    rc = longboat_query(lb, "find", &where, take_found, &f, err);
    if (rc == 0)
        rc = judge_found(&f, text, err);
    if (rc == 0)
        *ret_run = f.run;
    else if (rc == -ENOTUNIQ && ret_candidates)
        buf_add(ret_candidates, list.p, list.n);
    buf_free(&items);
    buf_free(&list);
    return rc;
}

/* ---- Short ids */
static bool last_digits_eq(struct id a, struct id b, unsigned digits)
{
    return memcmp(a.b + sizeof a.b - digits / 2, b.b + sizeof b.b - digits / 2, digits / 2) == 0;
}

/* Ids in the order of their last bytes: equal tails are neighbours. */
static int by_tail(const void *a, const void *b)
{
    const struct id *x = a, *y = b;
    for (size_t i = sizeof x->b; i-- > 0;)
        if (x->b[i] != y->b[i])
            return x->b[i] < y->b[i] ? -1 : 1;
    return 0;
}

unsigned find_tail_length(const struct id *ids, size_t n)
{
    unsigned digits = FIND_TAIL;
    struct id *sorted = mem_alloc((n ? n : 1) * sizeof *sorted);
    if (n)
        memcpy(sorted, ids, n * sizeof *ids);
    qsort(sorted, n, sizeof *sorted, by_tail);
    for (size_t i = 1; i < n; i++)
        while (digits < ID_DIGITS && !id_eq(sorted[i - 1], sorted[i]) &&
               last_digits_eq(sorted[i - 1], sorted[i], digits))
            digits = digits == FIND_TAIL ? TAIL_LONGER : ID_DIGITS;
    mem_free(&sorted);
    return digits;
}

char *find_tail(struct id run, unsigned digits, char out[ID_TEXT])
{
    char whole[ID_TEXT];
    id_format(run, whole);
    if (digits > TAIL_LONGER)
        digits = ID_TEXT - 1;
    memmove(out, whole + ID_TEXT - 1 - digits, digits + 1);
    return out;
}
