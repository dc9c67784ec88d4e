/* exitcodes.c - see exitcodes.h. */
#include "runner/exitcodes.h"

#include <string.h>

#include "proto/outcome.h"

enum { CODES = 256, UNSAID = PACKAGE_COUNT };

struct meaning {
    uint64_t is; /* UNSAID: nobody has said it */
    struct span means;
};

static void take(const struct wire_list *list, struct meaning *m)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    struct d_exit_code e;
    while (wire_next(&it, &item)) {
        if (d_exit_code_decode(item, &e, NULL) < 0 || e.code >= CODES)
            continue;
        if (m[e.code].is == UNSAID)
            m[e.code].is = e.package;
        if (m[e.code].is != PACKAGE_SUCCEEDED)
            m[e.code].means = e.means;
    }
}

struct wire_list exitcodes_of(const struct exitcodes *from, struct buf *items)
{
    struct meaning m[CODES];
    struct buf one = {0};
    uint32_t n = 0;
    if (!from->step.n && !from->subsystem->count)
        return *from->package;
    for (unsigned code = 0; code < CODES; code++)
        m[code] = (struct meaning){.is = UNSAID};
    for (size_t i = 0; i < from->step.n; i++)
        m[from->step.p[i]].is = PACKAGE_SUCCEEDED;
    take(from->package, m);
    take(from->subsystem, m);
    if (m[0].is == UNSAID && !from->step.n)
        m[0].is = PACKAGE_SUCCEEDED;
    for (unsigned code = 0; code < CODES; code++) {
        if (m[code].is == UNSAID || (from->step.n && m[code].is == PACKAGE_SUCCEEDED &&
                                     !memchr(from->step.p, (int)code, from->step.n)))
            continue;
        buf_clear(&one);
        d_exit_code_encode(
            &(struct d_exit_code){.code = code, .package = m[code].is, .means = m[code].means},
            &one);
        wire_add_bin(items, buf_span(&one));
        n++;
    }
    buf_free(&one);
    return wire_list_from(items, n);
}
