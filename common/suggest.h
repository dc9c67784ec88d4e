/* suggest.h - "did you mean ...?" for a name that is not in a list. Pure. */
#ifndef LB_COMMON_SUGGEST_H
#define LB_COMMON_SUGGEST_H

#include <stddef.h>

enum { SUGGEST_TEXT = 128 };

/* The number of inserted, dropped, changed or swapped neighbouring characters that turn a into b
 * (optimal string alignment). Only the first 64 bytes of a name count. */
size_t suggest_distance(const char *a, const char *b);

/* The nearest of the NULL-ended `names`, if it is near enough to be a typing error: at most
 * a third of the longer of the two, and never more than 3. Of equals, the first. NULL: none is near
 * enough. The result points into `names`. */
const char *suggest(const char *given, const char *const names[]);

/* " (did you mean 'steps'?)" or "" into out, for the end of a sentence. Returns out. */
char *suggest_hint(const char *given, const char *const names[], char out[SUGGEST_TEXT]);

#endif
