/* sqlerror.c - see sqlerror.h. */
#include "runner/sqlerror.h"

#include <string.h>

static bool is_error(struct span line)
{
    static const char *const marks[] = {"ERROR:", "FATAL:", "PANIC:", "rror near line", "rror: "};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (line.n && memmem(line.p, line.n, marks[i], strlen(marks[i])))
            return true;
    return false;
}

struct span sqlerror_tail(struct span tail)
{
    for (size_t end = tail.n; end;) {
        size_t from = end;
        while (from && tail.p[from - 1] != '\n')
            from--;
        if (is_error(span_of(tail.p + from, end - from)))
            return span_of(tail.p, end);
        end = from ? from - 1 : 0;
    }
    return tail;
}
