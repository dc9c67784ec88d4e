/* ctl_showexecution.c - how a try of a step was run: what a person compares who asks why it runs by
 * hand but not from the job. */
#include <stdlib.h>
#include <string.h>

#include "admin/ctl_show.h"
#include "common/duration.h"
#include "common/size.h"

static void show_texts(struct show *s, const char *label, json_t *texts, const char *more)
{
    char *all = show_joined(texts, " ");
    show_linef(s, label, "%s%s%s", all, *all && *more ? " " : "", more);
    mem_free(&all);
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

static void show_under(struct show *s, json_t *x)
{
    struct buf text = {0};
    if (*ctl_text(x, "proxy"))
        buf_printf(&text, "proxy %s, ", ctl_text(x, "proxy"));
    buf_printf(&text, "subsystem %s, on host %s", ctl_text(x, "subsystem"), ctl_text(x, "host"));
    show_line(s, "under", buf_str(&text));
    buf_free(&text);
}

/* "20s, 16 MiB of output, 512 MiB of memory": those that there are. */
static void show_limits(struct show *s, json_t *limits)
{
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

void show_execution(struct show *s, json_t *step)
{
    json_t *x = json_object_get(step, "execution");
    char moment[TERM_TIME], more[40] = "";
    show_user(s, step, x);
    if (!x)
        return;
    if (ctl_int(x, "environment_left_out"))
        snprintf(more, sizeof more, "and %lld more", (long long)ctl_int(x, "environment_left_out"));
    show_under(s, x);
    show_line(s, "folder", ctl_text(x, "folder"));
    show_line(s, "handed over", term_clock(ctl_time(x, "handed_at"), moment));
    show_limits(s, json_object_get(x, "limits"));
    show_texts(s, "protected", json_object_get(x, "on"), "");
    show_texts(s, "environment", json_object_get(x, "environment"), more);
    show_left(s, x);
}
