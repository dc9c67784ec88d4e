#include "common/options.h"
#include "common/testing.h"

#include <errno.h>

static const struct option_row rows[] = {
    {"listen", 'l', OPTION_LIST, "tcp://[::]:7411", 0, 0, true, "ENDPOINT",
     "accept sessions here; may be repeated"},
    {"lost-after", 0, OPTION_DURATION, "5m", 1000, 86400000, true, "TIME",
     "when a silent server counts as lost"},
    {"frame", 'f', OPTION_SIZE, "1M", 0, 0, true, "SIZE", "the largest frame"},
    {"slots", 's', OPTION_INT, NULL, -1, 1000, true, "N", "children at once"},
    {"store", 0, OPTION_STR, NULL, 0, 20, true, "URL", "where runs are kept"},
    {"sync", 0, OPTION_FLAG, "true", 0, 0, true, NULL, "sync after each commit"},
    {"json", 'j', OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
    {"secret", 0, OPTION_STR, NULL, 0, 0, false, "X", NULL},
};

static int first;

/* Words of a command line, parsed into values; the words are a modifiable copy. */
static int parse_line(struct option_values *v, struct error *err, int argc,
                      const char *const *words, bool leading)
{
    static char *argv[16];
    argv[0] = (char *)(uintptr_t) "lbtest";
    for (int i = 0; i < argc; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i];
    argv[argc + 1] = NULL;
    int rc = leading ? options_parse_leading(rows, COUNT_OF(rows), argc + 1, argv, v, &first, err)
                     : options_parse(rows, COUNT_OF(rows), argc + 1, argv, v, &first, err);
    first = rc == 0 ? argc + 1 - first : -1; /* the number of positional ones */
    return rc;
}

#define LINE(v, err, ...) \
    parse_line(v, err, (int)COUNT_OF(((const char *const[]){__VA_ARGS__})), \
               (const char *const[]){__VA_ARGS__}, false)

static void parsed(struct option_values *v, int rc, const struct error *err)
{
    if (rc < 0)
        fail_msg("%s", err->text);
    assert_non_null(v->v);
}

static void defaults_apply_when_nothing_is_given(void **state)
{
    (void)state;
    struct option_values v = {0};
    struct error err = {0};
    size_t n;
    parsed(&v, LINE(&v, &err, "positional"), &err);
    assert_int_equal(opt_int(&v, "lost-after"), 300000);
    assert_int_equal(opt_int(&v, "frame"), 1048576);
    assert_int_equal(opt_int(&v, "slots"), 0);
    assert_null(opt_str(&v, "store"));
    assert_true(opt_flag(&v, "sync"));
    assert_false(opt_flag(&v, "json"));
    assert_string_equal(opt_list(&v, "listen", &n)[0], "tcp://[::]:7411");
    assert_int_equal(n, 1);
    assert_false(opt_given(&v, "listen"));
    assert_int_equal(first, 1);
    options_free(&v);
    options_free(&v);
}

static void the_command_line_is_read_in_any_order(void **state)
{
    (void)state;
    struct option_values v = {0};
    struct error err = {0};
    size_t n;
    parsed(&v,
           LINE(&v, &err, "one", "-l", "a", "--lost-after=90s", "two", "-jf", "2K", "--listen", "b",
                "--no-sync", "-s-1", "--", "--json"),
           &err);
    assert_int_equal(first, 3);
    const char *const *list = opt_list(&v, "listen", &n);
    assert_int_equal(n, 2);
    assert_string_equal(list[0], "a");
    assert_string_equal(list[1], "b");
    assert_null(list[2]);
    assert_int_equal(opt_int(&v, "lost-after"), 90000);
    assert_int_equal(opt_int(&v, "frame"), 2048);
    assert_int_equal(opt_int(&v, "slots"), -1);
    assert_true(opt_flag(&v, "json"));
    assert_false(opt_flag(&v, "sync"));
    assert_true(opt_given(&v, "sync"));
    options_free(&v);
}

static void options_before_a_verb_end_at_the_verb(void **state)
{
    (void)state;
    struct option_values v = {0};
    struct error err = {0};
    const char *const words[] = {"--json", "runs", "--whatever"};
    parsed(&v, parse_line(&v, &err, 3, words, true), &err);
    assert_true(opt_flag(&v, "json"));
    assert_int_equal(first, 2);
    options_free(&v);
}

#define refused(sentence, ...) \
    do { \
        struct option_values v = {0}; \
        struct error err = {0}; \
        assert_int_equal(LINE(&v, &err, __VA_ARGS__), -EINVAL); \
        assert_null(v.v); \
        assert_contains(err.text, sentence); \
    } while (0)

static void wrong_usage_is_refused_with_the_option(void **state)
{
    (void)state;
    refused("unknown or ambiguous option --lsiten (did you mean --listen?)", "--lsiten", "x");
    refused("unknown or ambiguous option --lsiten (did you mean --listen?)", "--lsiten=x");
    refused("unknown or ambiguous option --zzz;", "pos", "--zzz");
    refused("unknown option -x", "-x");
    refused("unknown option -x", "-jx");
    refused("option --store needs a value", "a", "--store");
    refused("option -l needs a value", "-l");
    refused("option --json=1 takes no value", "--json=1");
    refused("--lost-after: the duration '90' has no unit", "--lost-after", "90");
    refused("--lost-after: 2d is not between 1s and 1d", "--lost-after", "2d");
    refused("--slots: 'x' is not a whole number", "--slots", "x");
    refused("--slots: '' is not a whole number", "--slots", "");
    refused("--slots: ' 1' is not a whole number", "--slots", " 1");
    refused("--slots: 1001 is not between -1 and 1000", "--slots", "1001");
    refused("--frame: '1MB' is not a size", "--frame", "1MB");
    refused("--store: it has 21 bytes; the limit is 20", "--store", "sqlite:/a/long/folder");
    refused("unknown or ambiguous option --no-json", "--no-json");
}

static int configure(struct option_values *v, const char *text, const char *const *others,
                     struct error *err)
{
    struct yaml *y = NULL;
    int rc = yaml_read_bytes("broker.yaml", span_str(text), &y, err);
    if (rc == 0)
        rc = options_config(v, yaml_root(y), others, err);
    yaml_free(&y);
    return rc;
}

static void the_command_line_overrides_the_file_and_the_file_the_default(void **state)
{
    (void)state;
    struct option_values v = {0};
    struct error err = {0};
    size_t n;
    parsed(&v, LINE(&v, &err, "--slots", "3", "--sync"), &err);
    parsed(&v,
           configure(&v,
                     "slots: 5\nlost_after: 10s\nlisten: [a, b]\nsync: false\nstore: sqlite:x\n",
                     NULL, &err),
           &err);
    assert_int_equal(opt_int(&v, "slots"), 3);
    assert_int_equal(opt_int(&v, "lost-after"), 10000);
    assert_int_equal(opt_int(&v, "frame"), 1048576);
    assert_true(opt_flag(&v, "sync"));
    assert_string_equal(opt_str(&v, "store"), "sqlite:x");
    assert_string_equal(opt_list(&v, "listen", &n)[1], "b");
    assert_int_equal(n, 2);
    assert_true(opt_given(&v, "listen"));
    parsed(&v, configure(&v, "", NULL, &err), &err);
    parsed(&v, configure(&v, "listen: only\n", NULL, &err), &err);
    assert_string_equal(opt_list(&v, "listen", &n)[0], "only");
    assert_int_equal(n, 1);
    parsed(&v, configure(&v, "listen: []\n", NULL, &err), &err);
    assert_null(opt_list(&v, "listen", &n)[0]);
    assert_int_equal(n, 0);
    options_free(&v);
}

static void a_wrong_file_is_refused_with_the_place(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"lost_aftre: 5m\n",
         "broker.yaml:1:1: unknown key 'lost_aftre' (did you mean 'lost_after'?)"},
        {"json: true\n", "broker.yaml:1:1: unknown key 'json'"},
        {"lost-after: 5m\n", "unknown key 'lost-after' (did you mean 'lost_after'?)"},
        {"\nlost_after: 90\n", "broker.yaml:2:13: 'lost_after': the duration '90' has no unit"},
        {"slots: 2000\n", "broker.yaml:1:8: 'slots': 2000 is not between -1 and 1000"},
        {"sync: yes\n", "broker.yaml:1:7: 'sync' must be true or false, not 'yes'"},
        {"listen: [a, {}]\n", "item 2 of 'listen' must be a text"},
        {"store: [a]\n", "'store' must be a text, not a list"},
        {"[a]\n", "must be a mapping"}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct option_values v = {0};
        struct error err = {0};
        parsed(&v, LINE(&v, &err, "x"), &err);
        assert_int_equal(configure(&v, pairs[i][0], NULL, &err), -EINVAL);
        assert_contains(err.text, pairs[i][1]);
        options_free(&v);
    }
}

static void keys_that_the_program_reads_itself_are_allowed(void **state)
{
    const char *path = testing_path(state, "broker.yaml");
    struct option_values v = {0};
    struct error err = {0};
    struct yaml *tree = NULL;
    static const char *const others[] = {"quotas", NULL};
    parsed(&v, LINE(&v, &err, "x"), &err);
    assert_int_equal(options_config_file(&v, path, others, &tree, &err), -ENOENT);
    file_write_atomic(path, span_str("slots: 4\nquotas: {depot: 1G}\n"), 0600, NULL);
    assert_int_equal(options_config_file(&v, path, NULL, &tree, &err), -EINVAL);
    parsed(&v, options_config_file(&v, path, others, &tree, &err), &err);
    assert_non_null(yaml_get(yaml_get(yaml_root(tree), "quotas"), "depot"));
    yaml_free(&tree);
    parsed(&v, options_config_file(&v, path, others, NULL, &err), &err);
    assert_int_equal(opt_int(&v, "slots"), 4);
    options_free(&v);
}

static void help_shows_each_row_with_range_and_default(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    options_help(out, "lbtest", "[options] PLAN", rows, COUNT_OF(rows), "  lbtest x\n");
    fclose(out);
    assert_contains(text, "Usage: lbtest [options] PLAN\n");
    assert_contains(text,
                    "  -l, --listen ENDPOINT     accept sessions here; may be repeated; default\n"
                    "                            tcp://[::]:7411\n");
    assert_contains(text,
                    "      --lost-after TIME     when a silent server counts as lost; 1s to 1d;\n"
                    "                            default 5m\n");
    assert_contains(text, "  -h, --help                this page\n");
    assert_contains(text, "      --version ");
    assert_contains(text, "\nExamples:\n  lbtest x\n");
    assert_null(strstr(text, "secret"));
    free(text);
}

static void help_omits_missing_ranges_and_defaults(void **state)
{
    (void)state;
    static const struct option_row open[] = {
        {"life", 0, OPTION_DURATION, "2h", 1000, INT64_MAX, false, "TIME", "how long it lives"},
        {"from", 0, OPTION_INT, NULL, 0, INT64_MAX, false, "N", "where it begins"},
        {"reason", 0, OPTION_STR, "", 0, 0, false, "TEXT", "why"},
    };
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    options_help(out, "lbtest", "[options]", open, COUNT_OF(open),
                 "Verbs: none.\n\nExamples:\n  lbtest\n");
    fclose(out);
    assert_contains(text, "how long it lives; at least 1s; default 2h\n");
    assert_contains(text, "where it begins\n");
    assert_contains(text, "why\n");
    assert_null(strstr(text, "Examples:\nVerbs:"));
    assert_contains(text, "\n\nVerbs: none.\n\nExamples:\n  lbtest\n");
    free(text);
    struct option_values v = {0};
    struct error err = {0};
    char *argv[] = {(char *)(uintptr_t) "lbtest", (char *)(uintptr_t) "--life",
                    (char *)(uintptr_t) "10ms", NULL};
    assert_int_equal(options_parse(open, COUNT_OF(open), 3, argv, &v, &first, &err), -EINVAL);
    assert_contains(err.text, "--life: 10ms is less than 1s");
}

static void help_and_version_are_in_every_table(void **state)
{
    (void)state;
    struct option_values v = {0};
    struct error err = {0};
    parsed(&v, LINE(&v, &err, "-h"), &err);
    assert_true(opt_flag(&v, "help"));
    options_free(&v);
    parsed(&v, LINE(&v, &err, "--version"), &err);
    assert_true(opt_flag(&v, "version"));
    options_free(&v);
    parsed(&v, LINE(&v, &err, "x"), &err);
    assert_false(options_answered(&v, "lbtest", "", NULL));
    options_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_apply_when_nothing_is_given),
        cmocka_unit_test(the_command_line_is_read_in_any_order),
        cmocka_unit_test(options_before_a_verb_end_at_the_verb),
        cmocka_unit_test(wrong_usage_is_refused_with_the_option),
        cmocka_unit_test(the_command_line_overrides_the_file_and_the_file_the_default),
        cmocka_unit_test(a_wrong_file_is_refused_with_the_place),
        in_folder(keys_that_the_program_reads_itself_are_allowed),
        cmocka_unit_test(help_shows_each_row_with_range_and_default),
        cmocka_unit_test(help_omits_missing_ranges_and_defaults),
        cmocka_unit_test(help_and_version_are_in_every_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
