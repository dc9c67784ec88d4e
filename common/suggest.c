/* suggest.c - see suggest.h. */
#include "common/suggest.h"

#include <stdio.h>
#include <string.h>

enum { NAME_LONG = 64 };

static size_t min2(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t an = min2(strlen(a), NAME_LONG), bn = min2(strlen(b), NAME_LONG);
    size_t rows[3][NAME_LONG + 1]; /* two rows back is as far as a swap of neighbours looks */
    for (size_t j = 0; j <= bn; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= an; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= bn; j++) {
            size_t d = min2(above[j], row[j - 1]) + 1;
            d = min2(d, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d = min2(d, two_above[j - 2] + 1);
            row[j] = d;
        }
    }
    return rows[an % 3][bn];
}

const char *suggest(const char *given, const char *const names[])
{
    const char *best = NULL;
    size_t best_distance = 0;
    for (size_t i = 0; names[i]; i++) {
        size_t gn = strlen(given), nn = strlen(names[i]), most = (gn > nn ? gn : nn) / 3;
        size_t d = suggest_distance(given, names[i]);
        if (most < 1)
            most = 1;
        if (d <= min2(most, 3) && d < nn && (!best || d < best_distance)) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

char *suggest_hint(const char *given, const char *const names[], char out[SUGGEST_TEXT])
{
    const char *best = suggest(given, names);
    out[0] = 0;
    if (best)
        snprintf(out, SUGGEST_TEXT, " (did you mean '%.90s'?)", best);
    return out;
}
