/* pkg_cases.h - internal: the results of `lbpkg test`, and the ways in which they are written. */
#ifndef LB_ADMIN_PKG_CASES_H
#define LB_ADMIN_PKG_CASES_H

#include "package/casefile.h"

enum pkg_case_verdict { PKG_CASE_PASSED, PKG_CASE_FAILED, PKG_CASE_SKIPPED, PKG_CASE_VERDICTS };
extern const char *const pkg_case_words[PKG_CASE_VERDICTS];

struct pkg_case_result {
    const struct casefile_case *of;
    enum pkg_case_verdict verdict;
    struct buf why; /* whole lines: what is different, or why it was skipped */
    const char *outcome;
    int64_t exit_code, took_ms;
    struct buf message, output;
    json_t *outputs; /* NULL: it was not run */
};
/* Appends the lines of one result for people, or as JSON; the whole document of JUnit. */
void pkg_cases_text(const struct pkg_case_result *r, int width, struct buf *out);
void pkg_cases_json(const struct manifest *m, const struct pkg_case_result *r, struct buf *out);
void pkg_cases_junit(const struct manifest *m, const struct pkg_case_result *r, size_t n,
                     struct buf *out);

#endif
