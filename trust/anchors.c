/* anchors.c - the administrators' keys: see certificate.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "trust/certificate.h"

enum { ANCHORS_FILE = 64 << 10 }; /* some 900 administrators */

static int parse_line(struct span line, struct trust_anchors *a, struct error *err)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || line.p[0] == '#')
        return 0;
    const uint8_t *space = memchr(line.p, ' ', line.n);
    if (space)
        line.n = (size_t)(space - line.p);
    char text[KEY_TEXT + 16];
    struct hash key, transport;
    span_copy_str(line, text, sizeof text);
    int rc = key_parse(text, &key, err);
    if (rc == 0)
        rc = key_transport_of(&key, &transport, err);
    if (rc < 0)
        return rc;
    a->administrators = mem_realloc(a->administrators, a->n + 1, sizeof key);
    a->administrators[a->n++] = key;
    return 0;
}

int anchors_load(const char *path, const char *cluster, struct trust_anchors *ret,
                 struct error *err)
{
    struct buf text = {0};
    struct trust_anchors a = {0};
    int rc = file_read(path, ANCHORS_FILE, &text, err);
    if (rc < 0)
        goto out;
    snprintf(a.cluster, sizeof a.cluster, "%s", cluster);
    struct span rest = buf_span(&text);
    for (unsigned number = 1; rest.n; number++) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        if ((rc = parse_line(span_of(rest.p, n), &a, err)) < 0) {
            error_prefix(err, "%s:%u", path, number);
            goto out;
        }
        n += end != NULL;
        rest = span_of(rest.p + n, rest.n - n);
    }
    if (a.n == 0) {
        rc = error_set(err, -ENODATA,
                       "%s: it has no administrator's key, so no one could be trusted", path);
        goto out;
    }
    *ret = a;
    a = (struct trust_anchors){0};
out:
    anchors_free(&a);
    buf_free(&text);
    return rc;
}

void anchors_from(const char *cluster, const struct hash *keys, size_t n, struct trust_anchors *ret)
{
    *ret = (struct trust_anchors){.n = n};
    snprintf(ret->cluster, sizeof ret->cluster, "%s", cluster);
    ret->administrators = n ? mem_dup(keys, n * sizeof *keys) : NULL;
}

void anchors_format(const struct trust_anchors *a, struct buf *out)
{
    char text[KEY_TEXT];
    buf_printf(out, "# administrators of cluster %s: Ed25519 public keys\n", a->cluster);
    for (size_t i = 0; i < a->n; i++)
        buf_printf(out, "%s\n", key_format(&a->administrators[i], text));
}

bool anchors_have(const struct trust_anchors *a, const struct hash *key)
{
    for (size_t i = 0; i < a->n; i++)
        if (hash_eq(&a->administrators[i], key))
            return true;
    return false;
}

void anchors_free(struct trust_anchors *a)
{
    mem_free(&a->administrators);
    *a = (struct trust_anchors){0};
}
