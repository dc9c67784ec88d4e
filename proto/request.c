/* request.c - see request.h. */
#include "proto/request.h"

#include <stddef.h>
#include <string.h>

enum { DECODED_MAX = 1024 /* no message that has a number is larger when decoded */ };

bool request_number(uint64_t kind, struct span message, bool newer, uint64_t *ret)
{
    _Alignas(max_align_t) uint8_t decoded[DECODED_MAX];
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    if (!s || s->size > sizeof decoded || s->count == 0)
        return false;
    const struct wire_field *first = &s->fields()[0];
    if (strcmp(first->name, "req") != 0 || wire_decode(s, message, newer, decoded, NULL) < 0)
        return false;
    memcpy(ret, decoded + first->offset, sizeof *ret);
    return true;
}
