/* template.c - {{...}} as a whole value. */
#include "parent/plan/inside.h"

#include "common/name.h"

static bool take(struct span *s, const char *prefix)
{
    size_t n = strlen(prefix);
    if (s->n < n || memcmp(s->p, prefix, n) != 0)
        return false;
    *s = span_of(s->p + n, s->n - n);
    return true;
}

static bool has_braces(struct span s)
{
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == '{' && s.p[i + 1] == '{')
            return true;
    return false;
}

static struct template parse_output(struct span s)
{
    struct template bad = {.kind = TEMPLATE_BAD}, out = {.kind = TEMPLATE_OUTPUT};
    const uint8_t *dot = memchr(s.p, '.', s.n);
    if (!dot)
        return bad;
    out.name = span_of(s.p, (size_t)(dot - s.p));
    s = span_of(dot, s.n - out.name.n);
    if (!take(&s, ".outputs.") || !name_is_identifier(s) || !name_is_identifier(out.name))
        return bad;
    out.output = s;
    return out;
}

struct template template_parse(struct span s)
{
    if (!has_braces(s))
        return (struct template){.kind = TEMPLATE_NONE};
    if (!take(&s, "{{") || s.n < 2 || memcmp(s.p + s.n - 2, "}}", 2) != 0)
        return (struct template){.kind = TEMPLATE_BAD};
    s.n -= 2;
    while (s.n && *s.p == ' ')
        take(&s, " ");
    while (s.n && s.p[s.n - 1] == ' ')
        s.n--;
    if (span_eq_str(s, "as_of"))
        return (struct template){.kind = TEMPLATE_AS_OF};
    if (take(&s, "task."))
        return parse_output(s);
    if (name_is_identifier(s))
        return (struct template){.kind = TEMPLATE_NAME, .name = s};
    return (struct template){.kind = TEMPLATE_BAD};
}
