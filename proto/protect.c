/* protect.c - see protect.h. */
#include "proto/protect.h"

#define X(n, w, t) w,
static const char *const words[] = {PROTECTIONS(X)};
#undef X
#define X(n, w, t) t,
static const char *const texts[] = {PROTECTIONS(X)};
#undef X

const char *protect_word(unsigned at)
{
    return at < PROTECT_COUNT ? words[at] : "?";
}

const char *protect_text(unsigned at)
{
    return at < PROTECT_COUNT ? texts[at] : "?";
}
