/* error.h - a code for the program and a sentence for the person.
 *
 * The sentence is made where the cause is known and contains the values: what failed, where, and
 * what to do about it. A function that can fail takes `struct error *err` as its last argument,
 * returns a negative code, and on failure leaves everything unchanged. Libraries return errors;
 * only a program's main or its event loop logs them, once. */
#ifndef LB_COMMON_ERROR_H
#define LB_COMMON_ERROR_H

#include <stdarg.h>

/* a path, a name, a remedy and the values; longer is cut with "..." */
enum { ERROR_TEXT_MAX = 600 };

struct error {
    int code; /* -errno; 0: nothing has failed */
    char text[ERROR_TEXT_MAX];
};

/* Sets code and sentence and returns the code, so that callers write `return error_set(err,
 * -EINVAL, "...")`. `err` may be NULL. `code` must be negative. */
int error_set(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with a va_list. */
int error_vset(struct error *err, int code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* Puts "<prefix>: " before the sentence and returns the unchanged code. For adding the place,
 * such as "nightly.yaml:14", to a sentence that has only the cause. */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends ": strerror(errno_value)" after the formatted sentence; code is -errno_value. */
int error_errno(struct error *err, int errno_value, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
