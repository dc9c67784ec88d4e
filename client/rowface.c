/* rowface.c - see rowface.h. */
#include "client/rowface.h"

#include <string.h>

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

void rowface_child(const json_t *row, bool with_parent, struct buf *out)
{
    const char *task = text_of(row, "task"), *child = text_of(row, "child");
    json_int_t index = json_integer_value(json_object_get(row, "index"));
    if (!*task && !*child)
        return;
    if (with_parent && *text_of(row, "parent_name"))
        buf_printf(out, "%s/", text_of(row, "parent_name"));
    buf_add_str(out, *child ? child : task);
    if (strcmp(child, task) != 0 && *child)
        return; /* it has its item */
    if (*text_of(row, "item"))
        buf_printf(out, "[%s]", text_of(row, "item"));
    else if (index)
        buf_printf(out, "[%lld]", (long long)index);
}
