/* pkg_casesformat.c - results of cases as text, JSON and JUnit's XML. */
#include <stdlib.h>
#include <string.h>

#include "admin/pkg_cases.h"
#include "common/duration.h"
#include "common/utf8.h"

const char *const pkg_case_words[] = {"passed", "failed", "skipped"};

/* Each line of the text, indented. */
static void add_indented(struct buf *out, struct span text)
{
    while (text.n) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        const size_t n = end ? (size_t)(end - text.p) : text.n;
        buf_printf(out, "    " SPAN_FMT "\n", SPAN_ARG(span_of(text.p, n)));
        text = span_of(text.p + n + (end != NULL), text.n - n - (end != NULL));
    }
}

void pkg_cases_text(const struct pkg_case_result *r, int width, struct buf *out)
{
    char took[DURATION_TEXT];
    if (r->verdict == PKG_CASE_SKIPPED)
        buf_printf(out, "%-7s  %s\n", pkg_case_words[r->verdict], r->of->name);
    else
        buf_printf(out, "%-7s  %-*s  %s\n", pkg_case_words[r->verdict], width, r->of->name,
                   duration_format(r->took_ms, took));
    add_indented(out, buf_span(&r->why));
    if (r->verdict == PKG_CASE_FAILED && r->output.n) {
        buf_add_str(out, "    it has written:\n");
        add_indented(out, buf_span(&r->output));
    }
}

static json_t *text_of(const struct buf *text)
{
    json_t *json = json_stringn((const char *)text->p, text->n);
    return json ? json : json_string(""); /* not UTF-8 */
}

void pkg_cases_json(const struct manifest *m, const struct pkg_case_result *r, struct buf *out)
{
    json_t *o = json_object();
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "package", json_string(m->name));
    json_object_set_new(o, "version", json_string(m->version));
    json_object_set_new(o, "case", json_string(r->of->name));
    json_object_set_new(o, "verdict", json_string(pkg_case_words[r->verdict]));
    json_object_set_new(o, "why", text_of(&r->why));
    if (r->verdict != PKG_CASE_SKIPPED) {
        json_object_set_new(o, "took_ms", json_integer((json_int_t)r->took_ms));
        json_object_set_new(o, "outcome", json_string(r->outcome));
        json_object_set_new(o, "exit_code", json_integer((json_int_t)r->exit_code));
        json_object_set_new(o, "message", text_of(&r->message));
        json_object_set(o, "outputs", r->outputs);
    }
    char *text = json_dumps(o, JSON_COMPACT);
    buf_printf(out, "%s\n", text ? text : "{}");
    free(text);
    json_decref(o);
}

/* What XML 1.0 cannot hold becomes a question mark. */
static void add_xml(struct buf *out, struct span text)
{
    const bool good = utf8_is_valid(text, NULL);
    for (size_t i = 0; i < text.n; i++) {
        const uint8_t c = text.p[i];
        if (c == '<' || c == '>' || c == '&' || c == '"')
            buf_add_str(out, c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : "&quot;");
        else if ((c < ' ' && c != '\n' && c != '\t') || (c >= 128 && !good))
            buf_add_str(out, "?");
        else
            buf_add(out, &text.p[i], 1);
    }
}

static void add_attribute(struct buf *out, const char *name, struct span text)
{
    buf_printf(out, " %s=\"", name);
    add_xml(out, text);
    buf_add_str(out, "\"");
}

static void add_seconds(struct buf *out, int64_t ms)
{
    buf_printf(out, " time=\"%lld.%03lld\"", (long long)(ms / 1000), (long long)(ms % 1000));
}

static void add_case(struct buf *out, const struct manifest *m, const struct pkg_case_result *r)
{
    buf_add_str(out, "    <testcase");
    add_attribute(out, "classname", span_str(m->name));
    add_attribute(out, "name", span_str(r->of->name));
    add_seconds(out, r->took_ms);
    buf_add_str(out, ">\n");
    if (r->verdict != PKG_CASE_PASSED) {
        buf_add_str(out, r->verdict == PKG_CASE_FAILED ? "      <failure" : "      <skipped");
        add_attribute(out, "message", buf_span(&r->why));
        buf_add_str(out, "/>\n");
    }
    if (r->output.n) {
        buf_add_str(out, "      <system-out>");
        add_xml(out, buf_span(&r->output));
        buf_add_str(out, "</system-out>\n");
    }
    buf_add_str(out, "    </testcase>\n");
}

void pkg_cases_junit(const struct manifest *m, const struct pkg_case_result *r, size_t n,
                     struct buf *out)
{
    size_t count[PKG_CASE_VERDICTS] = {0};
    int64_t took = 0;
    for (size_t i = 0; i < n; i++) {
        count[r[i].verdict]++;
        took += r[i].took_ms;
    }
    buf_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite");
    add_attribute(out, "name", span_str(m->name));
    buf_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\"", n,
               count[PKG_CASE_FAILED], count[PKG_CASE_SKIPPED]);
    add_seconds(out, took);
    buf_add_str(out, ">\n");
    for (size_t i = 0; i < n; i++)
        add_case(out, m, &r[i]);
    buf_add_str(out, "  </testsuite>\n</testsuites>\n");
}
