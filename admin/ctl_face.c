/* ctl_face.c - how lbctl's verbs show members of rows: times in the reader's zone, short ids, short
 * hashes, one name for a child. */
#include <stdio.h>
#include <string.h>

#include "admin/ctl.h"
#include "client/find.h"
#include "client/rowface.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/mem.h"
#include "common/termout.h"

/* More than the arguments of any printf or row. */
static char *next_text(void)
{
    static char texts[16][TERM_TIME];
    static unsigned at;
    return texts[at++ % COUNT_OF(texts)];
}

const char *ctl_text(json_t *row, const char *key)
{
    json_t *v = json_object_get(row, key);
    if (json_is_string(v))
        return json_string_value(v);
    if (!json_is_integer(v))
        return json_is_true(v) ? "yes" : "";
    char *out = next_text();
    snprintf(out, TERM_TIME, "%lld", (long long)json_integer_value(v));
    return out;
}

int64_t ctl_int(json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}

const char *ctl_state(json_t *row, const char *key)
{
    json_t *v = json_object_get(row, key);
    return json_is_object(v) ? ctl_text(v, "state") : ctl_text(row, key);
}

enum term_mood ctl_mood(const char *word)
{
    static const struct {
        const char *word;
        enum term_mood mood;
    } moods[] = {
        {"succeeded", TERM_GOOD},  {"up", TERM_GOOD},
        {"running", TERM_BOLD},    {"failed", TERM_BAD},
        {"timed_out", TERM_BAD},   {"lost", TERM_BAD},
        {"refused", TERM_BAD},     {"unreachable", TERM_BAD},
        {"unknown", TERM_WARN},    {"cancelled", TERM_WARN},
        {"cancelling", TERM_WARN}, {"parked", TERM_WARN},
        {"held", TERM_WARN},       {"out_of_contact", TERM_WARN},
        {"draining", TERM_WARN},   {"undriven", TERM_WARN},
    };
    for (size_t i = 0; i < COUNT_OF(moods); i++)
        if (strcmp(word, moods[i].word) == 0)
            return moods[i].mood;
    return TERM_PLAIN;
}

void ctl_print(const struct term_table *t)
{
    struct term term = term_of(STDOUT_FILENO);
    struct buf out = {0};
    term_table_print(t, &term, &out);
    if (out.n)
        term_put(stdout, buf_span(&out));
    buf_free(&out);
}

/* ---- Times */
int64_t ctl_time(json_t *row, const char *key)
{
    int64_t ms;
    const char *text = ctl_text(row, key);
    return *text && clock_parse(text, &ms, NULL) == 0 ? ms : 0;
}

const char *ctl_when(json_t *row, const char *key)
{
    int64_t ms = ctl_time(row, key);
    return ms ? term_when(ms, clock_wall_ms(), next_text()) : "";
}

const char *ctl_took(json_t *row, const char *from, const char *to)
{
    int64_t begin = ctl_time(row, from), end = ctl_time(row, to);
    return begin && end >= begin ? duration_format(end - begin, next_text()) : "";
}

const char *ctl_zoned(const char *title)
{
    static char titles[8][TERM_TIME]; /* a table keeps them until it is printed */
    static unsigned at;
    char zone[TERM_TIME], *out = titles[at++ % COUNT_OF(titles)];
    snprintf(out, TERM_TIME, "%s (%.20s)", title, term_zone(clock_wall_ms(), zone));
    return out;
}

/* ---- Names */
const char *ctl_hash(json_t *row, const char *key)
{
    static const char prefix[] = "blake2b:";
    const char *hash = ctl_text(row, key);
    char *out = next_text();
    if (strncmp(hash, prefix, strlen(prefix)) == 0)
        hash += strlen(prefix);
    snprintf(out, TERM_TIME, "%.12s", hash);
    return out;
}

void ctl_child(json_t *row, bool bare, struct buf *out)
{
    rowface_child(row, !bare, out);
}

unsigned ctl_id_digits(json_t *rows, const char *key)
{
    size_t i, n = 0;
    json_t *row;
    struct id *ids = mem_zalloc(json_array_size(rows) + 1, sizeof *ids);
    json_array_foreach (rows, i, row)
        n += id_parse(ctl_text(row, key), &ids[n], NULL) == 0;
    unsigned digits = find_tail_length(ids, n);
    mem_free(&ids);
    return digits;
}

const char *ctl_id(json_t *row, const char *key, unsigned digits)
{
    struct id id;
    return id_parse(ctl_text(row, key), &id, NULL) == 0 ? find_tail(id, digits, next_text()) : "";
}
