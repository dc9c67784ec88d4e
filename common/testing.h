/* testing.h - what the unit tests of all rooms share: cmocka's headers in their order, and a folder
 * of one's own. Included by *_test.c only. */
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

/* A cmocka setup: makes a new folder and leaves its path (a C string) in *state. */
__attribute__((unused)) static int testing_folder(void **state)
{
    const char *top = getenv("TMPDIR");
    char *path = mem_printf("%s/longboat-test-XXXXXX", top && *top ? top : "/tmp");
    *state = path;
    return mkdtemp(path) ? 0 : -1;
}

/* The teardown that belongs to it: removes the folder and all in it. */
__attribute__((unused)) static int testing_folder_end(void **state)
{
    struct error err = {0};
    int rc = file_remove_tree(*state, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    mem_free(state);
    return rc;
}

/* "<folder>/<name>" in one static buffer of four used in turn, so that a test can hold several
 * paths without freeing. */
__attribute__((unused)) static const char *testing_path(void **state, const char *name)
{
    static char text[4][600];
    static unsigned turn;
    char *out = text[turn++ % 4];
    snprintf(out, sizeof text[0], "%s/%s", (const char *)*state, name);
    return out;
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, testing_folder, testing_folder_end)
#define assert_contains(text, part) \
    do { \
        if (!strstr((text), (part))) \
            fail_msg("'%s' does not contain '%s'", (text), (part)); \
    } while (0)

#endif
