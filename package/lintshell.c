/* lintshell.c - lint_shell of lint.h. */
#include <ctype.h>
#include <string.h>

#include "package/lint.h"

enum { NESTED_MAX = 64, WORD_MAX = 64, SHOWN_MAX = 20 };

/* Programs that a server often lacks. Those of coreutils, sed, grep and awk are everywhere. */
static const char *const programs[] = {
    "psql",  "pg_dump", "mysql", "sqlite3", "mongosh", "curl",    "wget", "jq",   "rsync",
    "ssh",   "scp",     "sftp",  "git",     "python3", "node",    "java", "ruby", "php",
    "unzip", "zip",     "xz",    "zstd",    "7z",      "gpg",     "age",  "aws",  "rclone",
    "make",  "gcc",     "bc",    "dtexec",  "pandoc",  "xmllint", NULL};
/* After these a command begins. */
static const char *const before_command[] = {"if", "then", "elif", "else", "while", "until",
                                             "do", "!",    "{",    "exec", "time",  NULL};

struct shell_scan {
    const char *path;
    const struct manifest *m;
    struct problems *problems;
    struct span text;
    size_t at;
    unsigned line, column, shown;
    /* of: " in quotes, ( a command, a arithmetic, p parentheses in it, { an expansion */
    char nested[NESTED_MAX];
    unsigned depth;
    char word[WORD_MAX]; /* that is being read, as far as it is plain */
    size_t word_n;
    bool begins;           /* a command begins with this word */
    bool assignment;       /* the word is NAME=..., whose value is not split */
    bool in_case, in_test; /* between case and in; between [[ and ]] */
    bool in_for;           /* between for and do: a list is meant to be split */
    char until[WORD_MAX];  /* a here document begins in the next line and ends with this; "": no */
    bool tabs;             /* its lines may begin with tabs */
};

static int peek(const struct shell_scan *s, size_t ahead)
{
    return s->at + ahead < s->text.n ? s->text.p[s->at + ahead] : -1;
}

static void step(struct shell_scan *s)
{
    if (peek(s, 0) == '\n') {
        s->line++;
        s->column = 0;
    }
    s->at++;
    s->column++;
}

static bool is_in(const char *word, const char *const list[])
{
    for (size_t i = 0; list[i]; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

static char within(const struct shell_scan *s)
{
    return s->depth ? s->nested[s->depth - 1] : '(';
}

/* Deeper than this is no script that people read: the rest is passed over. */
static void enter(struct shell_scan *s, char what)
{
    if (s->depth == NESTED_MAX)
        s->at = s->text.n;
    else
        s->nested[s->depth++] = what;
}

static bool is_needed(const struct manifest *m, const char *command)
{
    for (size_t i = 0; i < m->n_needs; i++) {
        const char *what = strncmp(m->needs[i], "command:", 8) == 0 ? m->needs[i] + 8 : "";
        const char *slash = strrchr(what, '/');
        if (strcmp(slash ? slash + 1 : what, command) == 0)
            return true;
    }
    return false;
}

static void end_word(struct shell_scan *s, bool command_follows)
{
    s->word[s->word_n] = 0;
    if (s->word_n && s->begins) {
        if (is_in(s->word, programs) && !is_needed(s->m, s->word))
            problems_add(s->problems, true,
                         "%s:%u: uses '%s', and no need names it; add: needs: [{command: %s}]",
                         s->path, s->line, s->word, s->word);
        s->in_case = strcmp(s->word, "case") == 0;
        s->in_test = strcmp(s->word, "[[") == 0;
        s->in_for = strcmp(s->word, "for") == 0;
    } else if (strcmp(s->word, "in") == 0) {
        s->in_case = false;
    } else if (strcmp(s->word, "]]") == 0) {
        s->in_test = false;
    }
    if (s->word_n || s->assignment)
        s->begins = s->assignment || (s->begins && is_in(s->word, before_command));
    s->begins = s->begins || command_follows;
    s->in_for = s->in_for && !command_follows;
    s->word_n = 0;
    s->assignment = false;
}

static void add_to_word(struct shell_scan *s, int c)
{
    if (c == '=' && s->word_n && s->begins)
        s->assignment = true;
    if (s->word_n < WORD_MAX - 1)
        s->word[s->word_n++] = (char)c;
}

static void skip_heredoc(struct shell_scan *s)
{
    const size_t n = strlen(s->until);
    bool over = false;
    while (!over && s->at < s->text.n) {
        while (s->tabs && peek(s, 0) == '\t')
            step(s);
        over = s->text.n - s->at >= n && memcmp(s->text.p + s->at, s->until, n) == 0 &&
               (peek(s, n) == '\n' || peek(s, n) < 0);
        while (s->at < s->text.n && peek(s, 0) != '\n')
            step(s);
        if (!over)
            step(s);
    }
    s->until[0] = 0;
}

/* << or <<-, then the word that ends it, perhaps in quotes. */
static void take_heredoc(struct shell_scan *s)
{
    size_t n = 0;
    step(s);
    step(s);
    s->tabs = peek(s, 0) == '-';
    while (peek(s, 0) == '-' || peek(s, 0) == ' ')
        step(s);
    for (; peek(s, 0) > ' ' && !strchr(";|&<>()", peek(s, 0)); step(s))
        if (!strchr("'\"\\", peek(s, 0)) && n < WORD_MAX - 1)
            s->until[n++] = (char)peek(s, 0);
    s->until[n] = 0;
}

static void report(struct shell_scan *s, const char *name, size_t n)
{
    if (s->shown++ < SHOWN_MAX)
        problems_add(s->problems, true,
                     "%s:%u:%u: $%.*s is outside of quotes: spaces and * in its value act; write "
                     "\"$%.*s\"",
                     s->path, s->line, s->column, (int)n, name, (int)n, name);
}

static void take_dollar(struct shell_scan *s)
{
    const bool split =
        within(s) == '(' && !s->assignment && !s->in_case && !s->in_test && !s->in_for;
    const bool brace = peek(s, 1) == '{';
    const size_t from = s->at + 1 + brace;
    size_t n = 0;
    if (peek(s, 1) == '(') {
        const bool arithmetic = peek(s, 2) == '(';
        step(s);
        step(s);
        if (arithmetic)
            step(s);
        enter(s, arithmetic ? 'a' : '(');
        s->begins = true;
        s->assignment = false;
        s->word_n = 0;
        return;
    }
    while (from + n < s->text.n && (isalnum(s->text.p[from + n]) || s->text.p[from + n] == '_'))
        n++;
    if (n == 0 && (peek(s, 1) == '*' || peek(s, 1) == '@'))
        n = 1;
    if (n && split)
        report(s, (const char *)s->text.p + from, n);
    add_to_word(s, '$');
    step(s);
    if (brace) {
        step(s);
        enter(s, '{');
    }
    while (n--)
        step(s);
}

static void skip_until(struct shell_scan *s, int c)
{
    while (s->at < s->text.n && peek(s, 0) != c)
        step(s);
}

/* A character of a command, outside of quotes. */
static void take_plain(struct shell_scan *s, int c)
{
    if (c == '#' && !s->word_n) {
        skip_until(s, '\n');
        return;
    }
    if (c == '<' && peek(s, 1) == '<' && peek(s, 2) != '<') {
        end_word(s, false);
        take_heredoc(s);
        return;
    }
    if (c == '\'') {
        add_to_word(s, c);
        step(s);
        skip_until(s, '\'');
    } else if (c == ')' && s->depth) {
        end_word(s, false);
        s->depth--;
    } else if (c == '(' || c == ')' || c == ';' || c == '|' || c == '&' || c == '\n' || c == '`') {
        end_word(s, true);
        if (c == '(')
            enter(s, '(');
    } else if (c == ' ' || c == '\t') {
        end_word(s, false);
    } else {
        add_to_word(s, c);
    }
    step(s);
    if (c == '\n' && s->until[0])
        skip_heredoc(s);
}

void lint_shell(const char *path, struct span text, const struct manifest *m,
                struct problems *problems)
{
    struct shell_scan s = {.path = path,
                           .m = m,
                           .problems = problems,
                           .text = text,
                           .line = 1,
                           .column = 1,
                           .begins = true};
    while (s.at < text.n) {
        const int c = peek(&s, 0);
        const char in = within(&s);
        if (c == '\\') {
            add_to_word(&s, c);
            step(&s);
            step(&s);
        } else if (c == '$') {
            take_dollar(&s);
        } else if (c == '"') {
            add_to_word(&s, c);
            if (in == '"')
                s.depth--;
            else
                enter(&s, '"');
            step(&s);
        } else if (in == '(') {
            take_plain(&s, c);
        } else {
            const bool counts = in == 'a' || in == 'p';
            if (in == 'a' && c == ')')
                step(&s); /* the first of two */
            if (in == '{' ? c == '}' : counts && c == ')')
                s.depth--;
            else if (counts && c == '(')
                enter(&s, 'p');
            step(&s);
        }
    }
    if (s.shown > SHOWN_MAX)
        problems_add(problems, true, "%s: %u more variables outside of quotes", path,
                     s.shown - SHOWN_MAX);
}
