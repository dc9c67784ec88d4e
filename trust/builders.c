/* builders.c - see builders.h. */
#include "trust/builders.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "trust/grants.h"

/* The comment that this line is. False: it is none. */
static bool comment_of(struct span line, char name[LIMIT_NAME + 1])
{
    if (!line.n || line.p[0] != '#')
        return false;
    struct span text = span_of(line.p + 1, line.n - 1);
    while (text.n && strchr(" \t", text.p[0]))
        text = span_of(text.p + 1, text.n - 1);
    while (text.n && strchr(" \t\r", text.p[text.n - 1]))
        text.n--;
    if (!span_copy_str(text, name, LIMIT_NAME + 1))
        name[0] = 0;
    return true;
}

static void clear_doubtful(struct builder *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool twice = false;
        for (size_t k = i + 1; list[i].name[0] && k < n; k++)
            if (strcmp(list[i].name, list[k].name) == 0 &&
                !hash_eq(&list[i].key.key, &list[k].key.key)) {
                list[k].name[0] = 0;
                twice = true;
            }
        if (twice)
            list[i].name[0] = 0;
    }
}

/* The next word of a line; it is taken from it. Empty: there is none. */
static struct span take_word(struct span *line)
{
    size_t n = 0;
    while (line->n && strchr(" \t\r", line->p[0]))
        *line = span_of(line->p + 1, line->n - 1);
    while (n < line->n && !strchr(" \t\r", line->p[n]))
        n++;
    struct span word = span_of(line->p, n);
    *line = span_of(line->p + n, line->n - n);
    return word;
}

static bool begins(struct span word, const char *with, struct span *ret_rest)
{
    size_t n = strlen(with);
    if (word.n < n || memcmp(word.p, with, n) != 0)
        return false;
    *ret_rest = span_of(word.p + n, word.n - n);
    return true;
}

/* A list of names that could be a package's, in which `*` stands for anything. */
static bool take_packages(struct span list, char ret[BUILDERS_PACKAGES])
{
    uint8_t was = ',';
    for (size_t i = 0; i < list.n; was = list.p[i++])
        if (!list.p[i] || !strchr("abcdefghijklmnopqrstuvwxyz0123456789_-*,", list.p[i]) ||
            (list.p[i] == ',' && was == ','))
            return false;
    return list.n && was != ',' && span_copy_str(list, ret, BUILDERS_PACKAGES);
}

/* The moment after a day: 2027-01-31. */
static bool take_day(struct span text, int64_t *ret)
{
    char day[11];
    struct tm t = {0};
    const char *end = NULL;
    if (text.n == 10 && span_copy_str(text, day, sizeof day))
        end = strptime(day, "%Y-%m-%d", &t);
    if (!end || *end)
        return false;
    const int month = t.tm_mon, of_month = t.tm_mday;
    const time_t at = timegm(&t);
    *ret = ((int64_t)at + 86400) * 1000;
    return at >= 0 && t.tm_mon == month && t.tm_mday == of_month; /* no 31st of February */
}

static int take_rules(struct span line, struct builder *b, struct error *err)
{
    struct span word, rest;
    while ((word = take_word(&line)).n && word.p[0] != '#') {
        if (begins(word, "packages=", &rest) && !b->packages[0]) {
            if (!take_packages(rest, b->packages))
                return error_set(err, -EINVAL,
                                 "'" SPAN_FMT
                                 "' is no list of packages' names; such as packages=extract,load-*",
                                 SPAN_ARG(word));
        } else if (begins(word, "until=", &rest) && !b->until) {
            if (!take_day(rest, &b->until))
                return error_set(err, -EINVAL, "'" SPAN_FMT "' is no day; such as until=2027-01-31",
                                 SPAN_ARG(word));
        } else if (span_eq_str(word, "revoked")) {
            b->is_revoked = true;
        } else {
            return error_set(err, -EINVAL,
                             "'" SPAN_FMT
                             "' is not known here; a key may be followed by packages=, "
                             "until= and revoked, each once; begin a remark with #",
                             SPAN_ARG(word));
        }
    }
    if (b->is_unsigned && !b->packages[0])
        return error_set(err, -EINVAL,
                         "'unsigned' must say of which packages: unsigned packages=hello");
    return 0;
}

/* 0: a builder; 1: an empty line or a comment, whose text becomes the next one's name. */
static int take_line(struct span line, struct builder *b, struct error *err)
{
    static const char untrusted[] = "untrusted comment:";
    struct span rest, whole = line, word = take_word(&line);
    if (comment_of(whole, b->name))
        return 1;
    if (!word.n || begins(whole, untrusted, &rest)) {
        b->name[0] = 0; /* a name stands right above its key */
        return 1;
    }
    b->is_unsigned = span_eq_str(word, "unsigned");
    if (!b->is_unsigned && minisign_public_parse(word, &b->key, NULL) < 0)
        return error_set(err, -EINVAL,
                         "this is neither a minisign public key, nor a comment, nor `unsigned`");
    return take_rules(line, b, err);
}

static struct span next_line(struct span *text)
{
    const uint8_t *end = memchr(text->p, '\n', text->n);
    struct span line = span_of(text->p, end ? (size_t)(end - text->p) : text->n);
    *text = span_of(text->p + line.n + (end != NULL), text->n - line.n - (end != NULL));
    return line;
}

void builders_parse(struct span text, struct builder **ret, size_t *ret_n)
{
    struct builder next = {0};
    *ret = NULL;
    *ret_n = 0;
    while (text.n && *ret_n < BUILDERS_MAX) {
        int rc = take_line(next_line(&text), &next, NULL);
        if (rc == 0) {
            *ret = mem_realloc(*ret, *ret_n + 1, sizeof **ret);
            (*ret)[(*ret_n)++] = next;
        }
        if (rc != 1)
            next = (struct builder){0};
    }
    clear_doubtful(*ret, *ret_n);
}

int builders_check(struct span text, unsigned *ret_line, struct error *err)
{
    struct builder next = {0};
    size_t n = 0;
    *ret_line = 0;
    while (text.n) {
        ++*ret_line;
        int rc = take_line(next_line(&text), &next, err);
        if (rc < 0)
            return rc;
        if (rc == 0 && ++n > BUILDERS_MAX)
            return error_set(err, -EINVAL, "more than %d lines with builders", (int)BUILDERS_MAX);
        if (rc == 0)
            next = (struct builder){0};
    }
    return 0;
}

const struct builder *builders_find(const struct builder *list, size_t n, const struct hash *key)
{
    for (size_t i = 0; i < n; i++)
        if (!list[i].is_unsigned && hash_eq(&list[i].key.key, key))
            return &list[i];
    return NULL;
}

static bool covers(const struct builder *b, struct span name)
{
    char one[BUILDERS_PACKAGES];
    struct span rest = span_str(b->packages);
    while (rest.n) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ',')
            n++;
        if (span_copy_str(span_of(rest.p, n), one, sizeof one) && grants_glob_matches(one, name))
            return true;
        n += n < rest.n;
        rest = span_of(rest.p + n, rest.n - n);
    }
    return !b->packages[0];
}

static int refuse(const struct builder *b, struct span name, int64_t now, struct error *err)
{
    char number[MINISIGN_NUMBER_TEXT], *who;
    minisign_number(b->key.number, number);
    who = b->is_unsigned ? mem_strdup("no one")
                         : mem_printf("%s%skey %s", b->name, b->name[0] ? ", " : "", number);
    int rc;
    if (b->is_revoked)
        rc = error_set(err, -EPERM,
                       "package '" SPAN_FMT "' is signed by %s, which is revoked in "
                       "trust/signers",
                       SPAN_ARG(name), who);
    else if (b->until && now >= b->until)
        rc = error_set(err, -EPERM,
                       "package '" SPAN_FMT "' is signed by %s, whose time in "
                       "trust/signers is over",
                       SPAN_ARG(name), who);
    else
        rc = error_set(err, -EPERM,
                       "package '" SPAN_FMT "' is signed by %s, whom trust/signers "
                       "allows only these packages: %.200s",
                       SPAN_ARG(name), who, b->packages);
    mem_free(&who);
    return rc;
}

int builders_judge(const struct builder *list, size_t n, const struct hash *key, struct span name,
                   int64_t now, const struct builder **ret, struct error *err)
{
    const struct builder *good = NULL, *bad = NULL, *revoked = NULL;
    bool nobody = hash_is_zero(key);
    for (size_t i = 0; i < n; i++) {
        const struct builder *b = &list[i];
        if (b->is_unsigned != nobody || (!nobody && !hash_eq(&b->key.key, key)))
            continue;
        if (b->is_revoked)
            revoked = b;
        else if ((b->until && now >= b->until) || !covers(b, name))
            bad = b;
        else if (!good)
            good = b;
    }
    if (good && !revoked) {
        *ret = good;
        return 0;
    }
    if (revoked || bad)
        return refuse(revoked ? revoked : bad, name, now, err);
    return error_set(err, -EPERM,
                     "package '" SPAN_FMT "' has no signature of a signer in trust/signers",
                     SPAN_ARG(name));
}
