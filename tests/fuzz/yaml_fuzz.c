/* yaml_fuzz.c - arbitrary bytes as YAML: refused with a position, or read into a tree that can
 * be walked. Plans, jobs and manifests all start here. */
#include <assert.h>
#include <string.h>

#include "common/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct yaml_node *n, int depth)
{
    assert(n && depth <= 65);
    if (yaml_is_map(n))
        for (size_t i = 0; i < yaml_count(n); i++) {
            walk(yaml_key(n, i), depth + 1);
            walk(yaml_value(n, i), depth + 1);
        }
    else if (yaml_is_seq(n))
        for (size_t i = 0; i < yaml_count(n); i++)
            walk(yaml_item(n, i), depth + 1);
    else
        assert(yaml_line(n) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml *y = NULL;
    struct error err = {0};
    if (yaml_read_bytes("input", (struct span){data, size}, &y, &err) == 0)
        walk(yaml_root(y), 0);
    else
        assert(strncmp(err.text, "input", 5) == 0);
    yaml_free(&y);
    return 0;
}
