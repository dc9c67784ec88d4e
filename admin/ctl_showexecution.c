/* ctl_showexecution.c - how a try of a step was run: what a person compares who asks why it runs by
 * hand but not from the job. */
#include <stdlib.h>
#include <string.h>

#include "admin/ctl_show.h"
#include "common/duration.h"
#include "common/size.h"

static bool is_digest(const char *text)
{
    return strspn(text, "0123456789abcdef") >= 64;
}

char *show_word(const char *word)
{
    static const char in[] = "/packages/", files[] = "/files";
    const char *at = strstr(word, in);
    const char *digest = at ? at + sizeof in - 1 : NULL;
    if (*word != '/' || !at || !is_digest(digest) ||
        strncmp(digest + 64, files, sizeof files - 1) != 0)
        return mem_strdup(word);
    return mem_printf("$LB_PACKAGE%s", digest + 64 + sizeof files - 1);
}

/* As a shell would take it. */
static void add_word(struct buf *out, const char *word)
{
    char *shown = show_word(word);
    bool plain = *shown && !strpbrk(shown + (*shown == '$'), " \t\n'\"\\$`;&|<>()*?[]#~") &&
                 (*shown != '$' || strcmp(shown, word) != 0);
    buf_add_str(out, plain ? "" : "'");
    for (const char *c = shown; *c; c++)
        if (*c == '\'')
            buf_add_str(out, "'\\''");
        else
            buf_add(out, c, 1);
    buf_add_str(out, plain ? "" : "'");
    mem_free(&shown);
}

static void show_command(struct show *s, json_t *step, json_t *x)
{
    struct buf text = {0};
    size_t i;
    json_t *word;
    (void)x;
    json_array_foreach (json_object_get(step, "argv"), i, word) {
        buf_add_str(&text, i ? " " : "");
        add_word(&text, json_string_value(word));
    }
    show_line(s, "command", buf_str(&text));
    buf_free(&text);
}

/* The variables that every child gets are counted; each page of the manual that names one says what
 * it is. Parameters are named. */
static void show_environment(struct show *s, json_t *step, json_t *x)
{
    struct buf text = {0};
    size_t i;
    json_t *name;
    (void)step;
    long long ours = 0, more = ctl_int(x, "environment_left_out");
    json_array_foreach (json_object_get(x, "environment"), i, name) {
        const char *word = json_string_value(name);
        if (strncmp(word, "LB_", 3) == 0 && strncmp(word, "LB_PARAM_", 9) != 0)
            ours++;
        else
            buf_printf(&text, "%s%s", text.n ? " " : "", word);
    }
    if (ours)
        buf_printf(&text, "%s%lld of LB_*", text.n ? " and " : "", ours);
    if (more)
        buf_printf(&text, " and %lld more", more);
    show_line(s, "environment", buf_str(&text));
    buf_free(&text);
}

static void show_user(struct show *s, json_t *step, json_t *x)
{
    char *groups = show_joined(json_object_get(x, "groups"), " ");
    if (x)
        show_linef(s, "user", "%s (uid %s, gid %s%s%s)", ctl_text(step, "user"), ctl_text(x, "uid"),
                   ctl_text(x, "gid"), *groups ? ", groups " : "", groups);
    else
        show_line(s, "user", ctl_text(step, "user"));
    mem_free(&groups);
}

static void show_under(struct show *s, json_t *step, json_t *x)
{
    struct buf text = {0};
    (void)step;
    if (*ctl_text(x, "proxy"))
        buf_printf(&text, "proxy %s, ", ctl_text(x, "proxy"));
    buf_printf(&text, "subsystem %s, on host %s", ctl_text(x, "subsystem"), ctl_text(x, "host"));
    show_line(s, "under", buf_str(&text));
    buf_free(&text);
}

/* "20s, 16 MiB of output, 512 MiB of memory": those that there are. */
static void show_limits(struct show *s, json_t *step, json_t *x)
{
    json_t *limits = json_object_get(x, "limits");
    static const struct {
        const char *key, *of;
        enum { PLAIN, SIZE, TIME, MILLI } as;
    } rows[] = {{"timeout_ms", "", TIME},
                {"output_bytes", " of output", SIZE},
                {"memory_bytes", " of memory", SIZE},
                {"cpu_milli", " processors", MILLI},
                {"processes", " processes", PLAIN},
                {"open_files", " open files", PLAIN},
                {"file_size_bytes", " a file", SIZE}};
    char one[DURATION_TEXT];
    struct buf text = {0};
    (void)step;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t v = ctl_int(limits, rows[i].key);
        if (!v)
            continue;
        buf_add_str(&text, text.n ? ", " : "");
        if (rows[i].as == MILLI)
            buf_printf(&text, "%.3g", (double)v / 1000);
        else
            buf_add_str(&text, rows[i].as == TIME   ? duration_format(v, one)
                               : rows[i].as == SIZE ? size_format(v, one)
                                                    : ctl_text(limits, rows[i].key));
        buf_add_str(&text, rows[i].of);
    }
    show_line(s, "limits", buf_str(&text));
    buf_free(&text);
}

static void show_left(struct show *s, json_t *x)
{
    int64_t n = ctl_int(x, "left_over");
    char *names = show_joined(json_object_get(x, "left_over_names"), ", ");
    if (n)
        show_linef(
            s, "left over", "%lld process%s, ended: %s%s", (long long)n, n == 1 ? "" : "es", names,
            n > (int64_t)json_array_size(json_object_get(x, "left_over_names")) ? ", ..." : "");
    mem_free(&names);
}

/* ---- What the step above has, too */
static bool is_same(json_t *a, json_t *b, const char *const *keys)
{
    for (; *keys; keys++) {
        json_t *x = json_object_get(a, *keys), *y = json_object_get(b, *keys);
        if (x != y && !json_equal(x, y))
            return false;
    }
    return true;
}

static void show_handed(struct show *s, json_t *step, json_t *x)
{
    int64_t ms = ctl_time(step, "started_at") - ctl_time(x, "handed_at");
    char took[DURATION_TEXT];
    if (ctl_time(x, "handed_at") && ms >= 1000)
        show_linef(s, "handed over", "%s before", duration_format(ms, took));
}

static void show_folder(struct show *s, json_t *step, json_t *x)
{
    (void)step;
    show_line(s, "folder", ctl_text(x, "folder"));
}

static void show_protected(struct show *s, json_t *step, json_t *x)
{
    (void)step;
    char *all = show_joined(json_object_get(x, "on"), " ");
    show_line(s, "protected", all);
    mem_free(&all);
}

void show_execution(struct show *s, json_t *step, json_t *above)
{
    static const struct {
        void (*show)(struct show *s, json_t *step, json_t *x);
        const char *keys[5]; /* of the step, and of its execution */
    } lines[] = {{show_command, {"argv"}},
                 {show_user, {"user", "uid", "gid", "groups"}},
                 {show_under, {"proxy", "subsystem", "host"}},
                 {show_folder, {"folder"}},
                 {show_limits, {"limits"}},
                 {show_protected, {"on"}},
                 {show_environment, {"environment", "environment_left_out"}}};
    json_t *x = json_object_get(step, "execution"), *other = json_object_get(above, "execution");
    bool left_out = false;
    for (size_t i = 0; i < COUNT_OF(lines) && (x || i < 2); i++) {
        bool same =
            above && is_same(step, above, lines[i].keys) && is_same(x, other, lines[i].keys);
        left_out |= same;
        if (!same)
            lines[i].show(s, step, x);
    }
    if (left_out)
        show_line(s, "otherwise", "as the step above");
    if (x)
        show_handed(s, step, x);
    if (x)
        show_left(s, x);
}
