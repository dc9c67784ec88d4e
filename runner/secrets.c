/* secrets.c - see secrets.h. */
#include "runner/secrets.h"

#include <string.h>

/* As a program would print it. */
static void add_value(struct mask *m, const struct value *v)
{
    struct buf text = {0};
    if (v->type == VALUE_STR) {
        mask_add(m, v->bytes);
        return;
    }
    buf_grow(&text, v->raw.n * 8 + 64); /* so that no copy is left behind as it grows */
    value_to_text(v, &text);
    mask_add(m, buf_span(&text));
    explicit_bzero(text.p, text.cap);
    buf_free(&text);
}

struct mask *secrets_of(const struct s_launch *l, const struct d_context *context)
{
    struct wire_iter it = wire_iter(&l->parameters);
    struct span name;
    struct value v;
    char bare[LIMIT_NAME + 1];
    if (!l->sensitive.count && !context->credentials.count)
        return NULL;
    struct mask *m = mask_new();
    while (wire_next_pair(&it, &name, &v))
        if (span_copy_str(name, bare, sizeof bare) && wire_list_has(&l->sensitive, bare))
            add_value(m, &v);
    return m;
}
