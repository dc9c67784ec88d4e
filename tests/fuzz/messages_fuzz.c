/* messages_fuzz.c - arbitrary bytes as any message, document, record or spool entry: refused or
 * read, and what is read encodes to exactly the bytes that came in. */
#include <assert.h>
#include <string.h>

#include "proto/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = {data, size};
    uint64_t kind;
    size_t n;
    _Alignas(16) uint8_t msg[1024];
    struct error err = {0};
    if (wire_peek(in, &kind, &n, &err) < 0)
        return 0;
    assert(n > 0 && n <= size);
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    if (!s || wire_decode(s, (struct span){data, n}, false, msg, &err) < 0)
        return 0;
    struct buf again = {0};
    wire_encode(s, msg, &again);
    assert(again.n == n && memcmp(again.p, data, n) == 0);
    buf_free(&again);
    return 0;
}
