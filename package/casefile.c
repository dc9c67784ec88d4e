/* casefile.c - see casefile.h. */
#include "package/casefile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/duration.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "package/manifest_parameter.h"

const char *const casefile_outcomes[] = {"succeeded", "failed",  "cancelled",
                                         "timed_out", "refused", NULL};
static const char *const top_keys[] = {"cases", NULL};
static const char *const case_keys[] = {"name",          "parameters", "timeout", "as_of",
                                        "needs_command", "expect",     NULL};
static const char *const expect_keys[] = {"outcome", "exit_code",  "message", "message_matches",
                                          "outputs", "output_has", NULL};

void casefile_free(struct casefile *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct casefile_case *one = &c->v[i];
        mem_free(&one->name);
        mem_free(&one->as_of);
        mem_free(&one->needs_command);
        mem_free(&one->message);
        mem_free(&one->pattern);
        mem_free(&one->output_has);
        json_decref(one->parameters);
        json_decref(one->outputs);
    }
    mem_free(&c->v);
    *c = (struct casefile){0};
}

static bool note(struct problems *ps, int rc, const struct error *err)
{
    if (rc < 0)
        problems_add_error(ps, err);
    return rc >= 0;
}

static char *take_text(const struct yaml_node *map, const char *key, struct problems *ps)
{
    struct error err;
    const char *text;
    const struct yaml_node *node = yaml_get(map, key);
    return node && note(ps, yaml_str(node, &text, &err), &err) ? mem_strdup(text) : NULL;
}

/* A value of the declared type. NULL: `ps` has why. */
static json_t *take_value(const struct manifest_parameter *declared, const struct yaml_node *node,
                          struct problems *ps)
{
    struct buf bytes = {0};
    struct error err;
    struct value v;
    json_t *json = NULL;
    if (note(ps, values_from_yaml(declared ? declared->type : PARAMETER_STRING, node, &bytes, &err),
             &err)) {
        struct span in = buf_span(&bytes);
        json = value_read(&in, &v) ? values_to_json(&v) : NULL;
    }
    buf_free(&bytes);
    return json;
}

static void refuse_name(const struct yaml_node *key, const char *what,
                        const struct manifest_parameter *declared, size_t n, struct problems *ps)
{
    const char **names = mem_zalloc(n + 1, sizeof *names), *given = (const char *)yaml_text(key).p;
    char hint[SUGGEST_TEXT];
    struct error err;
    for (size_t i = 0; i < n; i++)
        names[i] = declared[i].name;
    note(ps,
         yaml_error(key, &err, "the package has no %s '%.80s'%s", what, given ? given : "",
                    suggest_hint(given ? given : "", names, hint)),
         &err);
    mem_free(&names);
}

/* Outputs of a package that declares none are texts. */
static json_t *take_values(const struct yaml_node *map, const char *what,
                           const struct manifest_parameter *declared, size_t n, bool any,
                           struct problems *ps)
{
    struct error err;
    json_t *values = json_object();
    if (!map || !note(ps, yaml_expect_map(map, &err), &err))
        return values;
    for (size_t i = 0; i < yaml_count(map); i++) {
        const struct manifest_parameter *p = NULL;
        for (size_t k = 0; k < n && !p; k++)
            if (span_eq_str(yaml_text(yaml_key(map, i)), declared[k].name))
                p = &declared[k];
        if (!p && !any) {
            refuse_name(yaml_key(map, i), what, declared, n, ps);
            continue;
        }
        char *name = span_dup_str(yaml_text(yaml_key(map, i)));
        json_object_set_new(values, name, take_value(p, yaml_value(map, i), ps));
        mem_free(&name);
    }
    return values;
}

static const char *take_outcome(const struct yaml_node *map, struct problems *ps)
{
    char hint[SUGGEST_TEXT];
    struct error err;
    const char *text;
    const struct yaml_node *node = yaml_get(map, "outcome");
    if (!node || !note(ps, yaml_str(node, &text, &err), &err))
        return casefile_outcomes[0];
    for (size_t i = 0; casefile_outcomes[i]; i++)
        if (strcmp(casefile_outcomes[i], text) == 0)
            return casefile_outcomes[i];
    note(ps,
         yaml_error(node, &err,
                    "an outcome is succeeded, failed, cancelled, timed_out or refused, not "
                    "'%.40s'%s",
                    text, suggest_hint(text, casefile_outcomes, hint)),
         &err);
    return casefile_outcomes[0];
}

static void read_expect(const struct yaml_node *map, const struct manifest *m,
                        struct casefile_case *c, struct problems *ps)
{
    struct error err;
    const struct yaml_node *node;
    c->outcome = casefile_outcomes[0];
    c->exit_code = -1;
    if (map && !note(ps, yaml_expect_map(map, &err), &err))
        map = NULL;
    if (map)
        manifest_note_unknown_keys(map, expect_keys, ps);
    c->outputs = take_values(yaml_get(map, "outputs"), "output", m->outputs, m->n_outputs,
                             m->n_outputs == 0, ps);
    if (!map)
        return;
    c->outcome = take_outcome(map, ps);
    if ((node = yaml_get(map, "exit_code")) &&
        note(ps, yaml_int(node, &c->exit_code, &err), &err) &&
        (c->exit_code < 0 || c->exit_code > 255))
        note(ps, yaml_error(node, &err, "an exit code is a number from 0 to 255"), &err);
    c->message = take_text(map, "message", ps);
    c->pattern = take_text(map, "message_matches", ps);
    c->output_has = take_text(map, "output_has", ps);
    if (c->pattern && values_pattern_check(c->pattern, &err) < 0)
        note(ps, yaml_place(yaml_get(map, "message_matches"), &err), &err);
}

static void read_case(const struct yaml_node *map, const struct manifest *m,
                      struct casefile_case *c, struct problems *ps)
{
    struct error err;
    const struct yaml_node *node;
    c->timeout_ms = CASEFILE_TIMEOUT_MS;
    c->line = yaml_line(map);
    if (!note(ps, yaml_expect_map(map, &err), &err))
        return;
    manifest_note_unknown_keys(map, case_keys, ps);
    if (note(ps, yaml_require(map, "name", &err) ? 0 : -EINVAL, &err))
        c->name = take_text(map, "name", ps);
    if (c->name && (!*c->name || strlen(c->name) > LIMIT_SHORT))
        note(ps,
             yaml_error(yaml_get(map, "name"), &err, "the name of a case has 1 to %d bytes",
                        LIMIT_SHORT),
             &err);
    c->parameters = take_values(yaml_get(map, "parameters"), "parameter", m->parameters,
                                m->n_parameters, false, ps);
    if ((node = yaml_get(map, "timeout")) &&
        note(ps, yaml_duration(node, &c->timeout_ms, &err), &err) && c->timeout_ms <= 0)
        note(ps, yaml_error(node, &err, "a timeout must be more than 0"), &err);
    c->as_of = take_text(map, "as_of", ps);
    c->needs_command = take_text(map, "needs_command", ps);
    read_expect(yaml_get(map, "expect"), m, c, ps);
}

static void read_cases(const struct yaml_node *root, const struct manifest *m, struct casefile *ret,
                       struct problems *ps)
{
    struct error err;
    manifest_note_unknown_keys(root, top_keys, ps);
    const struct yaml_node *seq = yaml_require(root, "cases", &err);
    if (!note(ps, seq ? yaml_expect_seq(seq, &err) : -EINVAL, &err))
        return;
    const size_t n = yaml_count(seq);
    if (n == 0 || n > CASEFILE_CASES_MAX) {
        note(ps, yaml_error(seq, &err, "'cases' has 1 to %d cases", CASEFILE_CASES_MAX), &err);
        return;
    }
    ret->v = mem_zalloc(n, sizeof *ret->v);
    for (ret->n = 0; ret->n < n; ret->n++) {
        struct casefile_case *c = &ret->v[ret->n];
        read_case(yaml_item(seq, ret->n), m, c, ps);
        for (size_t k = 0; c->name && k < ret->n; k++)
            if (ret->v[k].name && strcmp(ret->v[k].name, c->name) == 0)
                note(ps,
                     yaml_error(yaml_get(yaml_item(seq, ret->n), "name"), &err,
                                "another case has this name, in line %u", ret->v[k].line),
                     &err);
    }
}

int casefile_parse(const char *name, struct span text, const struct manifest *m,
                   struct casefile *ret, struct problems *problems)
{
    struct error err;
    struct yaml *yaml = NULL;
    struct casefile c = {0};
    const size_t before = problems->errors;
    if (!note(problems, yaml_read_bytes(name, text, &yaml, &err), &err))
        return -EINVAL;
    if (note(problems, yaml_expect_map(yaml_root(yaml), &err), &err))
        read_cases(yaml_root(yaml), m, &c, problems);
    yaml_free(&yaml);
    if (problems->errors > before) {
        casefile_free(&c);
        return -EINVAL;
    }
    *ret = c;
    return 0;
}

int casefile_read(const char *path, const struct manifest *m, struct casefile *ret,
                  struct problems *problems)
{
    struct buf text = {0};
    struct error err;
    int rc = file_read(path, YAML_BYTES_MAX, &text, &err);
    if (note(problems, rc, &err))
        rc = casefile_parse(path, buf_span(&text), m, ret, problems);
    buf_free(&text);
    return rc < 0 ? -EINVAL : 0;
}

/* ---- Judging */

static void judge_message(const struct casefile_case *c, struct span message, struct buf *out)
{
    struct buf bytes = {0};
    struct value v;
    if (c->message && !span_eq_str(message, c->message))
        buf_printf(out, "the message is '" SPAN_FMT "', not '%s'\n", SPAN_ARG(message), c->message);
    if (!c->pattern)
        return;
    const struct d_parameter d = {.name = span_str("message"),
                                  .type = span_str(parameter_type_text(PARAMETER_STRING)),
                                  .pattern = span_str(c->pattern)};
    value_add_str(&bytes, message);
    struct span in = buf_span(&bytes);
    if (!value_read(&in, &v) || values_judge(&d, &v, NULL) < 0)
        buf_printf(out, "the message '" SPAN_FMT "' does not match '%s'\n", SPAN_ARG(message),
                   c->pattern);
    buf_free(&bytes);
}

static void judge_outputs(const struct casefile_case *c, const json_t *outputs, struct buf *out)
{
    const char *name;
    json_t *wanted;
    json_object_foreach (c->outputs, name, wanted) {
        const json_t *got = json_object_get(outputs, name);
        if (got && json_equal(got, wanted))
            continue;
        char *is = got ? json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT) : NULL,
             *not = json_dumps(wanted, JSON_ENCODE_ANY | JSON_COMPACT);
        if (got)
            buf_printf(out, "the output %s is %s, not %s\n", name, is ? is : "?", not ? not : "?");
        else
            buf_printf(out, "there is no output %s; expected %s\n", name, not ? not : "?");
        free(is);
        free(not );
    }
}

void casefile_judge(const struct casefile_case *c, const struct casefile_end *end, struct buf *out)
{
    char time[DURATION_TEXT];
    if (end->late) {
        buf_printf(out, "it was stopped after %s, the timeout of the case\n",
                   duration_format(c->timeout_ms, time));
        return;
    }
    if (strcmp(c->outcome, end->outcome) != 0)
        buf_printf(out, "it has %s, not %s: " SPAN_FMT "\n", end->outcome, c->outcome,
                   SPAN_ARG(end->message));
    if (c->exit_code >= 0 && c->exit_code != end->exit_code)
        buf_printf(out, "the exit code is %lld, not %lld\n", (long long)end->exit_code,
                   (long long)c->exit_code);
    judge_message(c, end->message, out);
    judge_outputs(c, end->outputs, out);
    if (c->output_has && (!end->output.n || !memmem(end->output.p, end->output.n, c->output_has,
                                                    strlen(c->output_has))))
        buf_printf(out, "the output does not have '%s'\n", c->output_has);
}
