/* testing.c - see testing.h. */
#include "common/testing.h"

int testing_folder(void **state)
{
    const char *top = getenv("TMPDIR");
    char *path = mem_printf("%s/longboat-test-XXXXXX", top && *top ? top : "/tmp");
    *state = path;
    return mkdtemp(path) ? 0 : -1;
}

int testing_folder_end(void **state)
{
    struct error err = {0};
    int rc = file_remove_tree(*state, &err);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    mem_free(state);
    return rc;
}

const char *testing_path(void **state, const char *name)
{
    static char text[4][600];
    static unsigned turn;
    char *out = text[turn++ % 4];
    snprintf(out, sizeof text[0], "%s/%s", (const char *)*state, name);
    return out;
}
