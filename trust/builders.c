/* builders.c - see builders.h. */
#include "trust/builders.h"

#include <string.h>

#include "common/mem.h"

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

void builders_parse(struct span text, struct builder **ret, size_t *ret_n)
{
    struct builder next = {0};
    *ret = NULL;
    *ret_n = 0;
    while (text.n && *ret_n < BUILDERS_MAX) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        struct span line = span_of(text.p, end ? (size_t)(end - text.p) : text.n);
        text = span_of(text.p + line.n + (end != NULL), text.n - line.n - (end != NULL));
        if (comment_of(line, next.name))
            continue;
        size_t n = 0;
        while (n < line.n && !strchr(" \t\r", line.p[n]))
            n++;
        line.n = n;
        if (line.n && minisign_public_parse(line, &next.key, NULL) == 0) {
            *ret = mem_realloc(*ret, *ret_n + 1, sizeof **ret);
            (*ret)[(*ret_n)++] = next;
        }
        next.name[0] = 0;
    }
    clear_doubtful(*ret, *ret_n);
}

const struct builder *builders_find(const struct builder *list, size_t n, const struct hash *key)
{
    for (size_t i = 0; i < n; i++)
        if (hash_eq(&list[i].key.key, key))
            return &list[i];
    return NULL;
}
