/* testing.h - what the unit tests of all rooms share: cmocka's headers in the order that it needs,
 * and a temporary folder for each test. For tests only. */
#ifndef LB_COMMON_TESTING_H
#define LB_COMMON_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/file.h"
#include "common/mem.h"

/* A cmocka setup: makes a new folder below $TMPDIR (or /tmp) and leaves its path, a C string, in
 * *state. Negative: there is none, see errno. */
int testing_folder(void **state);
/* Its teardown: removes the folder and all in it, and frees the path. Negative: something is left
 * over; stderr says why. */
int testing_folder_end(void **state);
/* "<folder>/<name>" in one of four static buffers, used in turn: a test can hold several paths
 * without freeing any. At most 599 bytes. */
const char *testing_path(void **state, const char *name);

#define in_folder(test) cmocka_unit_test_setup_teardown(test, testing_folder, testing_folder_end)
#define assert_contains(text, part) \
    do { \
        if (!strstr((text), (part))) \
            fail_msg("'%s' does not contain '%s'", (text), (part)); \
    } while (0)

#endif
