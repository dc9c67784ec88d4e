/* jsonfit.c - see jsonfit.h. */
#include "broker/events/jsonfit.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* Parts whose length a caller, a child or a worker chooses. */
static const struct part {
    const char *of, *name; /* of: the member that contains it; NULL: the object itself */
} PARTS[] = {{NULL, "parameters"}, {NULL, "outputs"},  {"job_outcome", "steps"}, {NULL, "report"},
             {NULL, "events"},     {NULL, "packages"}, {NULL, "jobs"},           {NULL, "needs"},
             {NULL, "facts"},      {NULL, "unmet"},    {NULL, "deployed"},       {NULL, "grants"}};

static char *text_of(const json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        mem_die();
    return text;
}

static json_t *holder_of(json_t *o, const struct part *p)
{
    return p->of ? json_object_get(o, p->of) : o;
}

/* The longest remaining part. NULL: none. */
static const struct part *longest(json_t *o)
{
    const struct part *best = NULL;
    size_t most = 0;
    for (unsigned i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        const json_t *v = json_object_get(holder_of(o, &PARTS[i]), PARTS[i].name);
        char *text = v ? text_of(v) : NULL;
        size_t n = text ? strlen(text) : 0;
        free(text);
        if (n > most)
            most = n, best = &PARTS[i];
    }
    return best;
}

char *jsonfit_text(json_t *o, size_t most)
{
    char *text = text_of(o);
    const struct part *p;
    json_t *names = NULL;
    while (strlen(text) > most && (p = longest(o))) {
        json_object_del(holder_of(o, p), p->name);
        if (!names)
            json_object_set_new(o, "left_out", names = json_array());
        json_array_append_new(names, json_string(p->name));
        free(text);
        text = text_of(o);
    }
    return text;
}
