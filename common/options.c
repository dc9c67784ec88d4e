/* options.c - see options.h. */
#include "common/options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/duration.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "common/term.h"
#include "common/termout.h"

#ifndef LB_VERSION
#define LB_VERSION "unknown"
#endif

enum source { FROM_NOTHING, FROM_DEFAULT, FROM_CONFIG, FROM_COMMAND_LINE };

struct option_value {
    enum source source;
    int64_t number;    /* flags: 0 or 1 */
    const char **text; /* NULL-ended copies; one for all but lists */
    size_t texts;
};

static const struct option_row help_row = {"help", 'h',   OPTION_FLAG, NULL,       0,
                                           0,      false, NULL,        "this page"};
static const struct option_row version_row = {"version", 0,     OPTION_FLAG, NULL,         0,
                                              0,         false, NULL,        "the version"};

/* Rows n and n+1 are those that every table has. */
static const struct option_row *row_at(const struct option_row *table, size_t n, size_t i)
{
    return i < n ? &table[i] : i == n ? &help_row : &version_row;
}

static void clear_texts(struct option_value *v)
{
    for (size_t i = 0; i < v->texts; i++)
        free((void *)(uintptr_t)v->text[i]);
    mem_free(&v->text);
    v->texts = 0;
}

static void add_text(struct option_value *v, const char *text)
{
    v->text = mem_realloc(v->text, v->texts + 2, sizeof *v->text);
    v->text[v->texts++] = mem_strdup(text);
    v->text[v->texts] = NULL;
}

void options_free(struct option_values *values)
{
    for (size_t i = 0; values->v && i < values->n + 2; i++)
        clear_texts(&values->v[i]);
    mem_free(&values->v);
    *values = (struct option_values){0};
}

static int parse_int(const char *s, int64_t *ret, struct error *err)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    bool sane = (*s >= '0' && *s <= '9') || (*s == '-' && s[1] >= '0' && s[1] <= '9');
    if (!sane || *end || errno)
        return error_set(err, -EINVAL, "'%.40s' is not a whole number", s);
    *ret = v;
    return 0;
}

/* A limit as the user would write it. */
static const char *limit_text(enum option_type type, int64_t v, char out[DURATION_TEXT])
{
    if (type == OPTION_DURATION) {
        duration_format(v, out);
        char *rest = strchr(out, ' '), *point = strstr(out, ".0s");
        if (rest && strncmp(rest, " 00", 3) == 0) /* "365d 00h" */
            *rest = 0;
        if (point) /* "1.0s" */
            strcpy(point, "s");
        return out;
    }
    if (type == OPTION_SIZE)
        return size_format(v, out);
    snprintf(out, DURATION_TEXT, "%lld", (long long)v);
    return out;
}

static int check_range(const struct option_row *row, int64_t v, const char *text, struct error *err)
{
    char low[DURATION_TEXT], high[DURATION_TEXT];
    if ((row->min == 0 && row->max == 0) || (v >= row->min && v <= row->max))
        return 0;
    if (row->max == INT64_MAX)
        return error_set(err, -EINVAL, "%.40s is less than %s", text,
                         limit_text(row->type, row->min, low));
    return error_set(err, -EINVAL, "%.40s is not between %s and %s", text,
                     limit_text(row->type, row->min, low), limit_text(row->type, row->max, high));
}

/* The number that a text means in a row of type int, duration or size. */
static int parse_number(const struct option_row *row, const char *text, int64_t *ret,
                        struct error *err)
{
    int64_t v = 0;
    int rc = row->type == OPTION_INT        ? parse_int(text, &v, err)
             : row->type == OPTION_DURATION ? duration_parse(text, &v, err)
                                            : size_parse(text, &v, err);
    if (rc == 0)
        rc = check_range(row, v, text, err);
    if (rc == 0)
        *ret = v;
    return rc;
}

static int set_text(struct option_value *v, const struct option_row *row, const char *text,
                    enum source source, struct error *err)
{
    bool number =
        row->type == OPTION_INT || row->type == OPTION_DURATION || row->type == OPTION_SIZE;
    int rc = number ? parse_number(row, text, &v->number, err) : 0;
    if (row->type == OPTION_STR && row->max && strlen(text) > (size_t)row->max)
        rc = error_set(err, -EINVAL, "it has %zu bytes; the limit is %lld", strlen(text),
                       (long long)row->max);
    if (rc < 0)
        return rc;
    if (row->type != OPTION_LIST || v->source != source) /* a list grows only within one source */
        clear_texts(v);
    add_text(v, text);
    v->source = source;
    return 0;
}

static void set_flag(struct option_value *v, bool on, enum source source)
{
    v->number = on;
    v->source = source;
}

/* ---- the command line ---- */

/* what getopt_long returns: base + row, beyond all letters */
enum { LONG_BASE = 1000, NO_BASE = 100000 };

struct getopt_tables {
    struct option *longs;
    char *shorts;
    char **no_names;
    size_t n_no_names;
    const char **names; /* for did-you-mean */
};

static void tables_free(struct getopt_tables *t)
{
    for (size_t i = 0; i < t->n_no_names; i++)
        mem_free(&t->no_names[i]);
    mem_free(&t->no_names);
    mem_free(&t->longs);
    mem_free(&t->shorts);
    mem_free(&t->names);
}

static bool help_has_letter(const struct option_row *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (table[i].letter == 'h')
            return false;
    return true;
}

static char letter_of(const struct option_row *table, size_t n, size_t i)
{
    const struct option_row *row = row_at(table, n, i);
    return row == &help_row && !help_has_letter(table, n) ? 0 : row->letter;
}

static void tables_make(struct getopt_tables *t, const struct option_row *table, size_t n,
                        bool leading)
{
    size_t rows = n + 2, longs = 0, at = 0;
    t->longs = mem_zalloc(2 * rows + 1, sizeof *t->longs);
    t->names = mem_zalloc(rows + 1, sizeof *t->names);
    t->no_names = mem_zalloc(rows, sizeof *t->no_names);
    t->shorts = mem_zalloc(2 * rows + 3, 1);
    if (leading)
        t->shorts[at++] = '+';
    t->shorts[at++] = ':'; /* tells a missing argument from an unknown option */
    for (size_t i = 0; i < rows; i++) {
        const struct option_row *row = row_at(table, n, i);
        bool flag = row->type == OPTION_FLAG;
        t->names[i] = row->name;
        t->longs[longs++] = (struct option){row->name, flag ? no_argument : required_argument, NULL,
                                            LONG_BASE + (int)i};
        if (flag && row->in_config) {
            char *no = mem_printf("no-%s", row->name);
            t->no_names[t->n_no_names++] = no;
            t->longs[longs++] = (struct option){no, no_argument, NULL, NO_BASE + (int)i};
        }
        char letter = letter_of(table, n, i);
        if (letter) {
            t->shorts[at++] = letter;
            if (!flag)
                t->shorts[at++] = ':';
        }
    }
}

static int row_of_letter(const struct option_row *table, size_t n, int letter)
{
    for (size_t i = 0; i < n + 2; i++)
        if (letter_of(table, n, i) == letter)
            return (int)i;
    return -1;
}

/* getopt_long returned '?' or ':'. `word` is the argument it was reading. */
static int refuse_word(const struct getopt_tables *t, int got, const char *word, struct error *err)
{
    char name[80], hint[SUGGEST_TEXT];
    bool is_long = strncmp(word, "--", 2) == 0;
    if (got == ':' && is_long)
        return error_set(err, -EINVAL, "option %.60s needs a value", word);
    if (got == ':')
        return error_set(err, -EINVAL, "option -%c needs a value", optopt);
    if (optopt && !is_long)
        return error_set(err, -EINVAL, "unknown option -%c; see --help", optopt);
    if (optopt)
        return error_set(err, -EINVAL, "option %.60s takes no value", word);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *meant = suggest(name, t->names);
    snprintf(hint, sizeof hint, "%s%.60s%s", meant ? " (did you mean --" : "", meant ? meant : "",
             meant ? "?)" : "");
    return error_set(err, -EINVAL, "unknown or ambiguous option --%.60s%s; see --help", name, hint);
}

static int take_option(struct option_values *values, int got, struct error *err)
{
    int i = got >= NO_BASE     ? got - NO_BASE
            : got >= LONG_BASE ? got - LONG_BASE
                               : row_of_letter(values->table, values->n, got);
    assert(i >= 0);
    const struct option_row *row = row_at(values->table, values->n, (size_t)i);
    struct option_value *v = &values->v[i];
    if (row->type == OPTION_FLAG) {
        set_flag(v, got < NO_BASE, FROM_COMMAND_LINE);
        return 0;
    }
    int rc = set_text(v, row, optarg, FROM_COMMAND_LINE, err);
    if (rc < 0)
        error_prefix(err, "--%s", row->name);
    return rc;
}

static void set_defaults(struct option_values *values)
{
    for (size_t i = 0; i < values->n; i++) {
        const struct option_row *row = &values->table[i];
        struct error err = {0};
        if (row->def && row->type == OPTION_FLAG)
            set_flag(&values->v[i], strcmp(row->def, "true") == 0, FROM_DEFAULT);
        else if (row->def && set_text(&values->v[i], row, row->def, FROM_DEFAULT, &err) < 0) {
            term_say(stderr, "the default of option --%s: %s\n", row->name, err.text);
            abort();
        }
    }
}

static int parse(const struct option_row *table, size_t n, int argc, char **argv, bool leading,
                 struct option_values *values, int *ret_first, struct error *err)
{
    struct getopt_tables t = {0};
    int got, rc = 0;
    *values = (struct option_values){table, n, mem_zalloc(n + 2, sizeof *values->v)};
    set_defaults(values);
    tables_make(&t, table, n, leading);
    opterr = 0;
    optind = 0; /* glibc: start afresh */
    int reading = 1;
    while (rc == 0 && (got = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
        if (got == '?' || got == ':')
            rc = refuse_word(&t, got, argv[optind > reading ? optind - 1 : reading], err);
        else
            rc = take_option(values, got, err);
        reading = optind;
    }
    if (rc == 0 && ret_first)
        *ret_first = optind;
    tables_free(&t);
    if (rc < 0)
        options_free(values);
    return rc;
}

int options_parse(const struct option_row *table, size_t n, int argc, char **argv,
                  struct option_values *values, int *ret_first_positional, struct error *err)
{
    return parse(table, n, argc, argv, false, values, ret_first_positional, err);
}

int options_parse_leading(const struct option_row *table, size_t n, int argc, char **argv,
                          struct option_values *values, int *ret_first_positional,
                          struct error *err)
{
    return parse(table, n, argc, argv, true, values, ret_first_positional, err);
}

/* ---- the configuration file ---- */

static char *config_name(const char *name)
{
    char *out = mem_strdup(name);
    for (char *c = out; *c; c++)
        if (*c == '-')
            *c = '_';
    return out;
}

static int config_list(struct option_value *v, const struct option_row *row,
                       const struct yaml_node *node, struct error *err)
{
    const char *text;
    bool one = !yaml_is_seq(node);
    struct option_value list = {.source = FROM_CONFIG};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < (one ? 1 : yaml_count(node)); i++) {
        rc = yaml_str(one ? node : yaml_item(node, i), &text, err);
        if (rc == 0)
            rc = set_text(&list, row, text, FROM_CONFIG, err);
    }
    if (rc < 0) {
        clear_texts(&list);
        return rc;
    }
    clear_texts(v);
    *v = list;
    return 0;
}

static int config_value(struct option_value *v, const struct option_row *row,
                        const struct yaml_node *node, struct error *err)
{
    const char *text;
    bool on;
    int rc;
    if (row->type == OPTION_LIST)
        return config_list(v, row, node, err);
    if (row->type == OPTION_FLAG) {
        rc = yaml_bool(node, &on, err);
        if (rc == 0)
            set_flag(v, on, FROM_CONFIG);
        return rc;
    }
    rc = yaml_str(node, &text, err);
    if (rc < 0)
        return rc;
    rc = set_text(v, row, text, FROM_CONFIG, err);
    if (rc < 0) {
        char *name = config_name(row->name);
        error_prefix(err, "'%s'", name);
        yaml_place(node, err);
        mem_free(&name);
    }
    return rc;
}

/* The rows' names as the file has them, then `others`; NULL-ended. The caller frees *ret_own. */
static const char **allowed_keys(const struct option_values *values, const char *const others[],
                                 size_t *ret_own)
{
    size_t extra = 0, n = 0;
    while (others && others[extra])
        extra++;
    const char **keys = mem_zalloc(values->n + extra + 1, sizeof *keys);
    for (size_t i = 0; i < values->n; i++)
        if (values->table[i].in_config)
            keys[n++] = config_name(values->table[i].name);
    *ret_own = n;
    for (size_t i = 0; i < extra; i++)
        keys[n++] = others[i];
    return keys;
}

int options_config(struct option_values *values, const struct yaml_node *map,
                   const char *const others[], struct error *err)
{
    if (yaml_is_null(map))
        return 0;
    size_t own;
    const char **keys = allowed_keys(values, others, &own);
    int rc = yaml_check_keys(map, keys, err);
    for (size_t i = 0, k = 0; rc == 0 && i < values->n; i++) {
        if (!values->table[i].in_config)
            continue;
        const struct yaml_node *node = yaml_get(map, keys[k++]);
        if (node && values->v[i].source != FROM_COMMAND_LINE)
            rc = config_value(&values->v[i], &values->table[i], node, err);
    }
    for (size_t i = 0; i < own; i++)
        free((void *)(uintptr_t)keys[i]);
    mem_free(&keys);
    return rc;
}

int options_config_file(struct option_values *values, const char *path, const char *const others[],
                        struct yaml **ret_tree, struct error *err)
{
    struct yaml *tree = NULL;
    int rc = yaml_read_file(path, &tree, err);
    if (rc == 0)
        rc = options_config(values, yaml_root(tree), others, err);
    if (rc == 0 && ret_tree)
        *ret_tree = tree;
    else
        yaml_free(&tree);
    return rc;
}

/* ---- the values ---- */

static const struct option_value *find(const struct option_values *values, const char *name,
                                       bool (*fits)(enum option_type))
{
    for (size_t i = 0; i < values->n + 2; i++) {
        const struct option_row *row = row_at(values->table, values->n, i);
        if (strcmp(row->name, name) == 0 && fits(row->type))
            return &values->v[i];
    }
    term_say(stderr, "no option '%s' of this type: a mistake in this program\n", name);
    abort();
}

static bool is_str(enum option_type t)
{
    return t == OPTION_STR;
}

static bool is_number(enum option_type t)
{
    return t == OPTION_INT || t == OPTION_DURATION || t == OPTION_SIZE;
}

static bool is_flag(enum option_type t)
{
    return t == OPTION_FLAG;
}

static bool is_list(enum option_type t)
{
    return t == OPTION_LIST;
}

static bool is_any(enum option_type t)
{
    (void)t;
    return true;
}

const char *opt_str(const struct option_values *values, const char *name)
{
    const struct option_value *v = find(values, name, is_str);
    return v->texts ? v->text[0] : NULL;
}

int64_t opt_int(const struct option_values *values, const char *name)
{
    return find(values, name, is_number)->number;
}

bool opt_flag(const struct option_values *values, const char *name)
{
    return find(values, name, is_flag)->number != 0;
}

const char *const *opt_list(const struct option_values *values, const char *name, size_t *ret_n)
{
    static const char *const none[] = {NULL};
    const struct option_value *v = find(values, name, is_list);
    *ret_n = v->texts;
    return v->texts ? v->text : none;
}

bool opt_given(const struct option_values *values, const char *name)
{
    return find(values, name, is_any)->source >= FROM_CONFIG;
}

/* ---- --help ---- */

enum { HELP_COLUMN = 28, HELP_WIDTH = 80, HELP_WIDTH_MAX = 100 };

/* As wide as the terminal, within readable limits. */
static int help_width(void)
{
    struct term t = term_of(STDOUT_FILENO);
    if (!t.is_terminal)
        return HELP_WIDTH;
    return t.width > HELP_WIDTH_MAX ? HELP_WIDTH_MAX : t.width;
}

/* Words of `text` from column HELP_COLUMN to the width; the cursor stands at `at`. */
static void print_wrapped(FILE *out, int at, const char *text)
{
    const int width = help_width();
    if (at >= HELP_COLUMN - 1) {
        term_say(out, "\n");
        at = 0;
    }
    term_say(out, "%*s", HELP_COLUMN - at, "");
    at = HELP_COLUMN;
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (at > HELP_COLUMN && at + 1 + word > width) {
            term_say(out, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        }
        at += term_say(out, "%s%.*s", at > HELP_COLUMN ? " " : "", word, text);
        text += word;
        text += *text == ' ';
    }
    term_say(out, "\n");
}

static void print_row(FILE *out, const struct option_row *row, char letter)
{
    char tail[200] = "", low[DURATION_TEXT], high[DURATION_TEXT];
    if (!row->help)
        return;
    int at = letter ? term_say(out, "  -%c, --%s", letter, row->name)
                    : term_say(out, "      --%s", row->name);
    if (row->type != OPTION_FLAG)
        at += term_say(out, " %s", row->argument ? row->argument : "VALUE");
    size_t n = 0;
    if (row->max == INT64_MAX)
        n = row->min ? (size_t)snprintf(tail, sizeof tail, "; at least %s",
                                        limit_text(row->type, row->min, low))
                     : 0;
    else if (row->type != OPTION_STR && (row->min || row->max))
        n = (size_t)snprintf(tail, sizeof tail, "; %s to %s", limit_text(row->type, row->min, low),
                             limit_text(row->type, row->max, high));
    if (row->def && *row->def && row->type != OPTION_FLAG)
        snprintf(tail + n, sizeof tail - n, "; default %.100s", row->def);
    char *text = mem_printf("%s%s", row->help, tail);
    print_wrapped(out, at, text);
    mem_free(&text);
}

void options_help(FILE *out, const char *program, const char *synopsis,
                  const struct option_row *table, size_t n, const char *examples)
{
    term_say(out, "Usage: %s%s%s\n\nOptions:\n", program, synopsis && *synopsis ? " " : "",
             synopsis ? synopsis : "");
    for (size_t i = 0; i < n + 2; i++)
        print_row(out, row_at(table, n, i), letter_of(table, n, i));
    if (examples) {
        term_say(out, *examples == ' ' ? "\nExamples:\n" : "\n");
        term_put(out, span_str(examples));
        if (*examples && examples[strlen(examples) - 1] != '\n')
            term_say(out, "\n");
    }
}

bool options_answered(const struct option_values *values, const char *program, const char *synopsis,
                      const char *examples)
{
    if (opt_flag(values, "help"))
        options_help(stdout, program, synopsis, values->table, values->n, examples);
    else if (opt_flag(values, "version"))
        term_say(stdout, "%s (Longboat) %s\n", program, LB_VERSION);
    else
        return false;
    return true;
}
