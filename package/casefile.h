/* casefile.h - the cases of a package: what `lbpkg test` calls it with, and what must come of it.
 *
 * They stand in tests.yaml, at the top of the package's folder:
 *
 *     cases:
 *       - name: greets twice
 *         parameters: {whom: anna, count: 2}
 *         expect: {outcome: succeeded, outputs: {greetings: 2}}
 *
 * Values have the types that the package declares. */
#ifndef LB_PACKAGE_CASEFILE_H
#define LB_PACKAGE_CASEFILE_H

#include <jansson.h>

#include "package/manifest.h"

#define CASEFILE_NAME "tests.yaml"
enum { CASEFILE_CASES_MAX = 1000, CASEFILE_TIMEOUT_MS = 60000 };

struct casefile_case {
    char *name; /* unique in the file */
    unsigned line;
    json_t *parameters;  /* an object */
    int64_t timeout_ms;  /* then the run is ended, and the case has failed */
    char *as_of;         /* NULL: now */
    char *needs_command; /* NULL: none; without this program the case is skipped */
    /* What is expected. */
    const char *outcome; /* a word of casefile_outcomes */
    int64_t exit_code;   /* -1: any */
    char *message;       /* NULL: any */
    char *pattern;       /* of the whole message; NULL: any */
    char *output_has;    /* is part of what was written to standard output; NULL: any */
    json_t *outputs;     /* an object: these must be so; others may be there */
};
struct casefile {
    struct casefile_case *v;
    size_t n;
};
extern const char *const casefile_outcomes[]; /* NULL-ended */

/* Reads the cases of a package with this manifest. 0; release *ret with casefile_free. -EINVAL:
 * `problems` has each error with its place, and *ret is untouched. */
int casefile_parse(const char *name, struct span text, const struct manifest *m,
                   struct casefile *ret, struct problems *problems);
int casefile_read(const char *path, const struct manifest *m, struct casefile *ret,
                  struct problems *problems);
void casefile_free(struct casefile *c);

/* How a run has ended, to be judged. */
struct casefile_end {
    const char *outcome; /* a word of casefile_outcomes */
    int64_t exit_code;
    struct span message, output;
    const json_t *outputs;
    bool late; /* its time was up */
};
/* Appends a line for each difference; none: the case has passed. */
void casefile_judge(const struct casefile_case *c, const struct casefile_end *end, struct buf *out);

#endif
