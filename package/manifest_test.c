#include "common/testing.h"

#include <errno.h>

#include "package/manifest.h"

#define HEAD \
    "name: extract\nversion: 1.2.0\nsubsystem: exec\nentry: bin/extract\nlimits: {timeout: 2h}\n"

static const char whole[] = "name: extract\n"
                            "version: 1.10\n"
                            "description: Pull one table of the day from the source\n"
                            "subsystem: exec\n"
                            "entry: bin/extract\n"
                            "parameters:\n"
                            "  table: {type: string, required: true, pattern: \"[a-z_]+\"}\n"
                            "  day:   {type: date, default: \"{{as_of}}\", min: 2020-01-01}\n"
                            "  dsn:   {type: string, sensitive: true}\n"
                            "  ratio: {type: float, default: 0.25, min: 0, max: 1}\n"
                            "  tries: {type: int, default: 3, allowed: [1, 2, 3]}\n"
                            "  more:  {type: json, default: {a: [1, 2.5]}}\n"
                            "  dry:   {type: bool, default: false}\n"
                            "  where: {type: string, default: \"{{server}}\"}\n"
                            "outputs:\n"
                            "  rows:  {type: int}\n"
                            "needs:\n"
                            "  - path: /srv/source\n"
                            "  - command: psql\n"
                            "  - tcp: db1:5432\n"
                            "  - env: PGHOST\n"
                            "  - disk_free: {path: /srv/work, at_least: 2G}\n"
                            "limits: {timeout: 2h, memory: 2G, processes: 64, output: 16M}\n"
                            "exit_codes: {0: succeeded, 3: cancelled}\n"
                            "idempotent: true\n";

static void parse(const char *yaml, struct manifest *ret)
{
    struct problems ps = {0};
    if (manifest_parse_yaml("package.yaml", span_str(yaml), ret, &ps) < 0)
        fail_msg("%s", ps.v[0].text);
    problems_free(&ps);
}

static void every_field_of_a_package_yaml_is_read(void **state)
{
    (void)state;
    static const char *const needs[] = {"command:psql", "disk_free:2147483648:/srv/work",
                                        "env:PGHOST", "path:/srv/source", "tcp:db1:5432"};
    struct manifest m;
    parse(whole, &m);
    assert_string_equal(m.name, "extract");
    assert_string_equal(m.version, "1.10"); /* not the number 1.1 */
    assert_string_equal(m.subsystem, "exec");
    assert_string_equal(m.entry, "bin/extract");
    assert_true(m.idempotent && !m.entry_point);
    assert_int_equal(m.timeout_ms, 7200000);
    assert_int_equal(m.memory, 2ull << 30);
    assert_int_equal(m.processes, 64);
    assert_int_equal(m.output_cap, 16 << 20);
    assert_int_equal(m.n_needs, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(m.needs[i], needs[i]);
    assert_int_equal(m.n_exits, 2);
    assert_true(m.exits[0].code == 0 && m.exits[0].outcome == PACKAGE_SUCCEEDED);
    assert_true(m.exits[1].code == 3 && m.exits[1].outcome == PACKAGE_CANCELLED);
    assert_int_equal(m.n_parameters, 8);
    assert_string_equal(m.parameters[0].name, "day"); /* sorted */
    assert_int_equal(m.n_outputs, 1);
    assert_string_equal(m.outputs[0].name, "rows");
    manifest_free(&m);
    parse("name: p\nversion: 1\nsubsystem: parent\nentry: plan.yaml\n", &m);
    assert_true(m.entry_point);
    assert_int_equal(m.n_exits, 1); /* 0 has succeeded */
    manifest_free(&m);
}

static void a_manifest_survives_a_round_trip_through_json(void **state)
{
    (void)state;
    struct manifest m, again;
    struct buf json = {0}, json2 = {0}, one = {0}, two = {0};
    struct error err = {0};
    struct hash package = {{1}}, key = {{2}};
    parse(whole, &m);
    manifest_to_json(&m, &json);
    assert_contains(buf_str(&json), "\"default\":\"0.25\"");
    assert_contains(buf_str(&json),
                    "\"more\":{\"default\":\"{\\\"a\\\":[1,2.5]}\",\"type\":\"json\"}");
    if (manifest_from_json(buf_span(&json), &again, &err) < 0)
        fail_msg("%s", err.text);
    manifest_to_json(&again, &json2);
    assert_string_equal(buf_str(&json), buf_str(&json2));
    manifest_to_runnable(&m, &package, &key, &one);
    manifest_to_runnable(&again, &package, &key, &two);
    assert_true(span_eq(buf_span(&one), buf_span(&two)));
    struct d_runnable r;
    struct d_parameter p;
    assert_int_equal(d_runnable_decode(buf_span(&one), &r, &err), 0);
    assert_true(span_eq_str(r.version, "1.10") && r.idempotent && r.memory == 2ull << 30 &&
                r.needs.count == 5);
    assert_true(d_parameter_find(&r.parameters, span_str("table"), &p) && p.required);
    assert_true(d_parameter_find(&r.parameters, span_str("dsn"), &p) && p.sensitive);
    buf_free(&one);
    buf_free(&two);
    buf_free(&json);
    buf_free(&json2);
    manifest_free(&m);
    manifest_free(&again);
}

/* Each wrong package.yaml: its place and its sentence. */
static void each_wrong_field_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *says;
    } rows[] = {
        {"- a\n", "package.yaml:1:1: "},
        {"name: [", "package.yaml:"},
        {"version: 1\nsubsystem: exec\nentry: a\n", "package.yaml:1:1: 'name' is missing"},
        {"name: x\nsubsystem: exec\nentry: a\n", "'version' is missing"},
        {"name: x\nversion: 1\nentry: a\n", "'subsystem' is missing"},
        {"name: x\nversion: 1\nsubsystem: exec\n", "'entry' is missing"},
        {"name: X Y\nversion: 1\nsubsystem: exec\nentry: a\n", "package.yaml:1:7: "},
        {"name: ''\nversion: 1\nsubsystem: exec\nentry: a\n", "'name' is empty"},
        {"name: x\nversion: v1\nsubsystem: exec\nentry: a\n",
         "package.yaml:2:10: 'v1' is not a version"},
        {"name: x\nversion: 1 2\nsubsystem: exec\nentry: a\n", "is not a version"},
        {"name: x\nversion: 1\nsubsystem: Exec!\nentry: a\n", "package.yaml:3:12: "},
        {"name: x\nversion: 1\nsubsystem: exec\nentry: ../a\n",
         "package.yaml:4:8: the path '../a'"},
        {"name: x\nversion: 1\nsubsystem: exec\nentry: /a\n", "is absolute"},
        {HEAD "nmae: y\n", "package.yaml:6:1: unknown key 'nmae' (did you mean 'name'?"},
        {HEAD "name: y\n", "package.yaml:6:1: "}, /* twice */
        {HEAD "idempotent: yes\n", "package.yaml:6:13: "},
        {HEAD "entry_point: 1\n", "package.yaml:6:14: "},
        {HEAD "parameters: []\n", "package.yaml:6:13: "},
        {HEAD "parameters: {A: {type: int}}\n", "the name of a parameter"},
        {HEAD "parameters: {a: int}\n", "package.yaml:6:17: "},
        {HEAD "parameters: {a: {}}\n", "'type' is missing"},
        {HEAD "parameters: {a: {type: integer}}\n", "unknown type 'integer'"},
        {HEAD "parameters: {a: {type: strnig}}\n", "did you mean 'string'?"},
        {HEAD "parameters: {a: {type: int, requird: true}}\n",
         "unknown key 'requird' (did you mean 'required'?"},
        {HEAD "parameters: {a: {type: int, required: maybe}}\n", "package.yaml:6:39: "},
        {HEAD "parameters: {a: {type: int, default: x}}\n", "package.yaml:6:38: expected an int"},
        {HEAD "parameters: {a: {type: int, default: 1, min: 2}}\n", "must be at least 2"},
        {HEAD "parameters: {a: {type: int, min: 3, max: 2}}\n", "min is greater than max"},
        {HEAD "parameters: {a: {type: string, min: a}}\n",
         "only int, float, date and datetime have min and max"},
        {HEAD "parameters: {a: {type: int, pattern: a}}\n", "only strings have a pattern"},
        {HEAD "parameters: {a: {type: string, pattern: \"[\"}}\n",
         "is not a POSIX extended regular expression"},
        {HEAD "parameters: {a: {type: string, pattern: a+, default: b}}\n",
         "must match the pattern a+"},
        {HEAD "parameters: {a: {type: int, allowed: []}}\n", "'allowed' has 1 to"},
        {HEAD "parameters: {a: {type: int, allowed: [1, x]}}\n", "package.yaml:6:42: "},
        {HEAD "parameters: {a: {type: int, allowed: [1], default: 2}}\n", "must be one of 1"},
        {HEAD "parameters: {a: {type: int, sensitive: true, default: 2}}\n",
         "a sensitive parameter cannot have a default"},
        {HEAD "parameters: {a: {type: int, required: true, default: 2}}\n",
         "a required parameter cannot have a default"},
        {HEAD "parameters: {a: {type: date, default: \"{{now}}\"}}\n",
         "'{{now}}' cannot be a default"},
        {HEAD "parameters: {a: {type: int, default: \"{{as_of}}\"}}\n", "cannot be a default"},
        {HEAD "parameters: {a: {type: string, default: \"x{{as_of}}\"}}\n", "cannot be a default"},
        {HEAD "parameters: {a: {type: date, default: 2026-02-30}}\n", "expected a date"},
        {HEAD "outputs: {rows: {type: int, required: true}}\n", "unknown key 'required'"},
        {HEAD "outputs: {Rows: {type: int}}\n", "the name of an output"},
        {HEAD "needs: {path: /x}\n", "package.yaml:6:8: "},
        {HEAD "needs: [path]\n", "package.yaml:6:9: "},
        {HEAD "needs: [{paht: /x}]\n", "unknown key 'paht' (did you mean 'path'?"},
        {HEAD "needs: [{path: /x, env: Y}]\n", "each entry is one need"},
        {HEAD "needs: [{path: x}]\n", "package.yaml:6:16: path: 'x' must be absolute"},
        {HEAD "needs: [{command: bin/x}]\n", "must be an absolute path, or the name of a program"},
        {HEAD "needs: [{tcp: db1}]\n", "must be host:port"},
        {HEAD "needs: [{tcp: db1:99999}]\n", "must be host:port"},
        {HEAD "needs: [{env: A=B}]\n", "must be the name of a variable"},
        {HEAD "needs: [{disk_free: {path: /x}}]\n", "'at_least' is missing"},
        {HEAD "needs: [{disk_free: {path: /x, at_least: 2GB}}]\n", "package.yaml:6:42: "},
        {"name: x\nversion: 1\nsubsystem: exec\nentry: a\nlimits: {timeout: 2}\n",
         "package.yaml:5:19: "},
        {"name: x\nversion: 1\nsubsystem: exec\nentry: a\nlimits: {timeout: 0s}\n",
         "must be more than 0"},
        {"name: x\nversion: 1\nsubsystem: exec\nentry: a\nlimits: {memory: -1}\n",
         "package.yaml:5:18: "},
        {"name: x\nversion: 1\nsubsystem: exec\nentry: a\nlimits: {procs: 1}\n",
         "unknown key 'procs'"},
        {HEAD "exit_codes: {256: failed}\n", "an exit code is a number from 0 to 255"},
        {HEAD "exit_codes: {a: failed}\n", "an exit code is a number from 0 to 255"},
        {HEAD "exit_codes: {3: canceled}\n", "did you mean 'cancelled'?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct manifest m;
        struct problems ps = {0};
        struct buf all = {0};
        if (manifest_parse_yaml("package.yaml", span_str(rows[i].yaml), &m, &ps) == 0)
            fail_msg("was taken: %s", rows[i].yaml);
        for (size_t k = 0; k < ps.n; k++)
            buf_printf(&all, "%s\n", ps.v[k].text);
        if (!strstr(buf_str(&all), rows[i].says))
            fail_msg("expected '%s' in:\n%s", rows[i].says, buf_str(&all));
        assert_true(strncmp(buf_str(&all), "package.yaml:", 13) == 0);
        buf_free(&all);
        problems_free(&ps);
    }
}

static void all_errors_are_found_at_once(void **state)
{
    (void)state;
    struct manifest m;
    struct problems ps = {0};
    assert_int_equal(
        manifest_parse_yaml(
            "p",
            span_str("name: X\nversion: y\nentyr: a\nsubsystem: exec\nneeds: [{path: x}]\n"
                     "parameters: {a: {type: x}, b: {type: int, default: y}}\n"),
            &m, &ps),
        -EINVAL);
    assert_int_equal(ps.errors, 7);
    problems_free(&ps);
}

static void all_errors_of_one_parameter_are_found_at_once(void **state)
{
    (void)state;
    static const char *const says[] = {"p:6:39: ", "p:6:52: only strings have a pattern",
                                       "p:6:60: min is greater than max",
                                       "p:6:97: a sensitive parameter cannot have a default"};
    struct manifest m;
    struct problems ps = {0};
    assert_int_equal(
        manifest_parse_yaml("p",
                            span_str(HEAD "parameters: {a: {type: int, required: no, pattern: a, "
                                          "min: 3, max: 2, sensitive: true, default: 9}}\n"),
                            &m, &ps),
        -EINVAL);
    assert_int_equal(ps.errors, 4);
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(ps.v[i].text, says[i], strlen(says[i]));
    problems_free(&ps);
    ps = (struct problems){0};
    assert_int_equal(
        manifest_parse_yaml(
            "p", span_str(HEAD "parameters: {a: {type: integer, required: no, sensitve: true}}\n"),
            &m, &ps),
        -EINVAL);
    assert_int_equal(ps.errors, 3);
    problems_free(&ps);
}

static void what_works_but_invites_trouble_is_a_warning(void **state)
{
    (void)state;
    struct manifest m;
    struct problems ps = {0};
    assert_int_equal(
        manifest_parse_yaml("p", span_str("name: x\nversion: 1\nsubsystem: pyhton\nentry: a\n"), &m,
                            &ps),
        0);
    assert_int_equal(ps.n, 2);
    assert_true(ps.v[0].warning && ps.v[1].warning && ps.errors == 0);
    assert_contains(ps.v[0].text, "did you mean 'python'?");
    assert_contains(ps.v[1].text, "no limits.timeout");
    problems_free(&ps);
    manifest_free(&m);
}

static void versions_are_ordered(void **state)
{
    (void)state;
    static const char *const ascending[] = {
        "0.9",   "1-rc1", "1",      "1.2.0-rc1", "1.2.0-rc2", "1.2.0-rc10", "1.2.0", "1.2.0.1",
        "1.2.1", "1.10",  "1.10.1", "2",         "10",        "2026.11",    NULL};
    for (size_t i = 0; ascending[i]; i++)
        for (size_t k = 0; ascending[k]; k++) {
            int c = manifest_version_compare(ascending[i], ascending[k]);
            if ((c > 0) != (i > k) || (c < 0) != (i < k))
                fail_msg("%s and %s compare as %d", ascending[i], ascending[k], c);
        }
    assert_int_equal(manifest_version_compare("1.2+a", "1.2+b"), 0);
    assert_int_equal(manifest_version_compare("1.02", "1.2"), 0);
}

static void json_that_breaks_a_rule_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        {"\"format\":1", "\"format\":2", "has format 2"},
        {"\"name\":\"extract\"", "\"name\":\"Extract\"", "the name of a package"},
        {"\"version\":\"1.10\"", "\"version\":\"x\"", "is not a version"},
        {"\"idempotent\":true", "\"idempotent\":1", "idempotent"},
        {"\"type\":\"float\"", "\"type\":\"real\"", "unknown type"},
        {"\"default\":\"0.25\"", "\"default\":\"x\"", "expected a float"},
        {"\"default\":\"0.25\"", "\"default\":\"2\"", "must be at most"},
        {"\"default\":\"0.25\"", "\"default\":\"0.250\"", "canonical"},
        {"path:/srv/source", "path:srv/source", "must be absolute"},
        {"command:psql", "zommand:psql", "unknown need"},
        {"\"3\":\"cancelled\"", "\"3\":\"gone\"", "'exit_codes' must map"},
        {"\"3\":\"cancelled\"", "\"03\":\"cancelled\"", "'exit_codes' must map"},
        {"\"entry_point\":false,", "", "'entry_point' is missing"},
        {"\"entry_point\":false,", "\"entry_point\":false,\"extra\":1,", "extra"},
        {"\"memory\":2147483648", "\"memory\":-1", "must not be negative"},
        {"{", " {", "canonical"},
        {"\"needs\":[", "\"needs\":[ ", "canonical"},
    };
    struct manifest m, again;
    struct buf json = {0};
    parse(whole, &m);
    manifest_to_json(&m, &json);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        const char *text = buf_str(&json), *at = strstr(text, rows[i].from);
        if (!at)
            fail_msg("'%s' is not in %s", rows[i].from, text);
        char *wrong =
            mem_printf("%.*s%s%s", (int)(at - text), text, rows[i].to, at + strlen(rows[i].from));
        assert_int_equal(manifest_from_json(span_str(wrong), &again, &err), -EINVAL);
        assert_contains(err.text, rows[i].says);
        mem_free(&wrong);
    }
    buf_free(&json);
    manifest_free(&m);
}

static void hashes_are_read_as_they_are_written(void **state)
{
    (void)state;
    struct hash h = {{0xab, 1}}, again;
    char text[PACKAGE_HASH_TEXT];
    struct error err = {0};
    package_hash_format(&h, text);
    assert_int_equal(package_hash_parse(text, &again, &err), 0);
    assert_true(hash_eq(&h, &again));
    assert_int_equal(package_hash_parse(text + 8, &again, &err), 0);
    text[20] = 'g';
    assert_int_equal(package_hash_parse(text, &again, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_a_package_yaml_is_read),
        cmocka_unit_test(a_manifest_survives_a_round_trip_through_json),
        cmocka_unit_test(each_wrong_field_is_named_with_its_place),
        cmocka_unit_test(all_errors_are_found_at_once),
        cmocka_unit_test(all_errors_of_one_parameter_are_found_at_once),
        cmocka_unit_test(what_works_but_invites_trouble_is_a_warning),
        cmocka_unit_test(versions_are_ordered),
        cmocka_unit_test(json_that_breaks_a_rule_is_refused),
        cmocka_unit_test(hashes_are_read_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
