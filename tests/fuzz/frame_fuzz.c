/* frame_fuzz.c - arbitrary bytes as frames of a session: the first two bytes of the input decide
 * how it is cut into frames. */
#include <assert.h>

#include "net/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session *s = session_new(77);
    int64_t now = 1000;
    while (size > 2) {
        size_t n = (size_t)(data[0] | data[1] << 8);
        data += 2;
        size -= 2;
        if (n > size)
            n = size;
        struct error err = {0};
        struct span messages = SPAN_NONE;
        struct h_frame head;
        session_peek((struct span){data, n}, &head, &err);
        if (session_take(s, (struct span){data, n}, now++, &messages, &err) == SESSION_MESSAGES)
            while (messages.n) {
                uint64_t kind;
                size_t one;
                if (wire_peek(messages, &kind, &one, &err) < 0)
                    break;
                assert(one > 0 && one <= messages.n);
                messages = (struct span){messages.p + one, messages.n - one};
            }
        data += n;
        size -= n;
    }
    session_free(&s);
    return 0;
}
