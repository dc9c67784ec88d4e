/* jsonread_fuzz.c - arbitrary bytes as the JSON that a child hands back: refused, or read into a
 * value that the codec takes. */
/* needs: runner/jsonread.c */
#include <assert.h>

#include "proto/wire.h"
#include "runner/jsonread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = {0}, text = {0};
    struct error err = {0};
    if (jsonread_value((struct span){data, size}, &out, &err) == 0) {
        struct span in = buf_span(&out);
        struct value v;
        assert(value_check(in, &err) == 0);
        assert(value_read(&in, &v));
        value_to_json(&v, &text);
    } else {
        assert(out.n == 0);
    }
    buf_free(&out);
    buf_free(&text);
    return 0;
}
