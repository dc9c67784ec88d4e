/* request.c - see request.h. */
#include "proto/request.h"

#include <stddef.h>
#include <string.h>

#include "proto/wire_read.h"

/* The schema of a kind whose messages begin with a number; NULL: they do not. */
static const struct wire_schema *numbered(uint64_t kind)
{
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    return s && s->count && strcmp(s->fields()[0].name, "req") == 0 ? s : NULL;
}

bool request_number(uint64_t kind, struct span message, bool newer, uint64_t *ret)
{
    _Alignas(max_align_t) uint8_t decoded[REQUEST_DECODED_MAX];
    const struct wire_schema *s = numbered(kind);
    if (!s || s->size > sizeof decoded || wire_decode(s, message, newer, decoded, NULL) < 0)
        return false;
    memcpy(ret, decoded + s->fields()[0].offset, sizeof *ret);
    return true;
}

bool request_peek(uint64_t kind, struct span message, uint64_t *ret)
{
    struct item head, is, number;
    if (!numbered(kind) || item_read(&message, &head) || head.type != ITEM_ARRAY || head.u < 2 ||
        item_read(&message, &is) || is.type != ITEM_UINT || is.u != kind ||
        item_read(&message, &number) || number.type != ITEM_UINT)
        return false;
    *ret = number.u;
    return true;
}
