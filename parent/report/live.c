/* live.c - the picture that is redrawn in place.
 *
 *     prepare[orders]  etl1  ██████▌░░░░░   54%   12.4s  loading orders
 *     load             -     parked               40.1s  no server of wh1 has the job 'load'
 *     ... and 37 more: 30 running, 7 waiting
 *     nightly  1m 02s  7 of 18 ended (1 failed)  9 running  2 waiting  1 parked
 *
 * A picture never reaches the terminal's scrollback: it is shorter than the screen and erased line
 * by line. (Some terminals move what is erased from the first row on into the scrollback.)
 */
#include "parent/report/words.h"

#include <string.h>

#include "common/duration.h"
#include "common/mem.h"

enum { NAME_WIDTH = 28, SERVER_WIDTH = 10, BAR_WIDTH = 12 };

/* The rows that the last picture takes at the terminal's present width: most terminals, when made
 * narrower, fold lines that no longer fit. */
static int rows_of(const struct live *l, const struct term *t, int height)
{
    int rows = 0;
    for (int i = 0; i < l->drawn; i++)
        rows += l->columns[i] > t->width ? (l->columns[i] + t->width - 1) / t->width : 1;
    return rows < height ? rows : height - 1;
}

void live_clear(struct live *l, const struct term *t, int height, struct buf *out)
{
    int rows = rows_of(l, t, height);
    if (rows <= 0)
        return;
    term_up(out, rows);
    for (int i = 0; i < rows; i++) {
        term_erase_line(out);
        buf_add_str(out, "\n");
    }
    term_up(out, rows);
    l->drawn = 0;
}

/* Appends a line of the picture; it leaves the last column free, where erasing the rest of the line
 * would take a character with it. */
static void add_line(struct live *l, struct buf *line, const struct term *t, enum term_mood mood,
                     struct buf *out)
{
    buf_add_str(out, term_on(t, mood));
    l->columns[l->drawn++] = term_cut(out, buf_span(line), t->width - 1);
    buf_add_str(out, term_off(t, mood));
    term_erase_line(out);
    buf_add_str(out, "\n");
    buf_free(line);
}

/* Which children come first if there is no room for all: running, then parked, then waiting. */
static int rank(const struct pcore_child *k)
{
    if (k->state == CHILD_ASKED)
        return 3;
    switch (k->run_state) {
    case RUN_PARKED:
        return 1;
    case RUN_WAITING:
    case RUN_HANDED_OVER:
        return 2;
    default:
        return 0;
    }
}

static int pick(const struct pcore *c, struct pcore_child *shown, int room)
{
    int n = 0;
    for (int r = 0; r <= 3 && n < room; r++) {
        const void *cursor = NULL;
        struct pcore_child k;
        while (n < room && pcore_next_live(c, &cursor, &k))
            if (rank(&k) == r)
                shown[n++] = k;
    }
    return n;
}

/* Appends text in a column of exactly `width`, and two spaces; clears `text`. */
static void column(struct buf *out, struct buf *text, int width)
{
    int used = term_cut(out, buf_span(text), width);
    buf_printf(out, "%*s", width - used + 2, "");
    buf_clear(text);
}

static void draw_child(struct live *l, const struct pcore *c, const struct pcore_child *k,
                       const int widths[2], int64_t now, const struct term *t, struct buf *out)
{
    struct buf text = {0}, line = {0};
    char d[DURATION_TEXT];
    bool running = k->state == CHILD_LIVE && k->run_state == RUN_RUNNING;
    buf_add_str(&line, "  ");
    words_child(c, k->task, k->index, widths[0], &text);
    column(&line, &text, widths[0]);
    term_safe(&text, span_str(*k->server ? k->server : "-"));
    column(&line, &text, widths[1]);
    if (running && (k->percent || *k->text)) {
        term_bar(&line, BAR_WIDTH, k->percent / 100.0);
        buf_printf(&line, " %3u%%  ", k->percent);
    } else {
        words_state(k, &text);
        column(&line, &text, BAR_WIDTH + 5);
    }
    int64_t since = words_elapsed(k, now);
    if (since < 0)
        since = now > k->called_at ? now - k->called_at : 0;
    buf_printf(&line, "%7s", duration_format(since, d));
    term_safe(&text, span_str(k->text));
    if (text.n)
        buf_add_str(&line, "  ");
    buf_add(&line, text.p, text.n);
    add_line(l, &line, t, TERM_PLAIN, out);
    buf_free(&text);
}

/* The line that counts the children without a line of their own. */
static void draw_rest(struct live *l, const struct pcore_totals *all,
                      const struct pcore_child *shown, int n, uint64_t live, const struct term *t,
                      struct buf *out)
{
    uint64_t counts[4] = {all->running, all->parked, all->waiting, all->asked};
    static const char *const words[4] = {"running", "parked", "waiting", "asked"};
    struct buf line = {0};
    const char *between = ": ";
    for (int i = 0; i < n; i++)
        counts[rank(&shown[i])]--;
    buf_printf(&line, "  ... and %llu more", (unsigned long long)(live - (uint64_t)n));
    for (int i = 0; i < 4; i++)
        if (counts[i]) {
            buf_printf(&line, "%s%llu %s", between, (unsigned long long)counts[i], words[i]);
            between = ", ";
        }
    add_line(l, &line, t, TERM_PLAIN, out);
}

static void draw_totals(struct live *l, const struct pcore *c, const struct pcore_totals *all,
                        int64_t now, const struct term *t, struct buf *out)
{
    static const char *const words[4] = {"running", "waiting", "parked", "asked"};
    const uint64_t counts[4] = {all->running, all->waiting, all->parked, all->asked};
    struct buf line = {0};
    char d[DURATION_TEXT];
    duration_format(now > all->begun_at ? now - all->begun_at : 0, d);
    buf_printf(&line, "%s  %s  %llu of %llu ended", pcore_graph(c)->name, d,
               (unsigned long long)all->ended, (unsigned long long)all->children);
    if (all->ended > all->succeeded)
        buf_printf(&line, " (%llu succeeded)", (unsigned long long)all->succeeded);
    for (int i = 0; i < 4; i++)
        if (counts[i])
            buf_printf(&line, "  %llu %s", (unsigned long long)counts[i], words[i]);
    if (all->tasks_skipped)
        buf_printf(&line, "  %u %s skipped", all->tasks_skipped,
                   all->tasks_skipped == 1 ? "task" : "tasks");
    if (all->cancelled)
        buf_add_str(&line, "  cancelling");
    add_line(l, &line, t, TERM_BOLD, out);
}

static void measure(const struct pcore *c, const struct pcore_child *shown, int n, int widths[2])
{
    struct buf text = {0};
    widths[0] = widths[1] = 1;
    for (int i = 0; i < n; i++) {
        buf_clear(&text);
        words_child(c, shown[i].task, shown[i].index, NAME_WIDTH, &text);
        int name = term_width(buf_span(&text)), server = term_width(span_str(shown[i].server));
        widths[0] = name > widths[0] ? name : widths[0];
        widths[1] = server > widths[1] ? server : widths[1];
    }
    widths[1] = widths[1] > SERVER_WIDTH ? SERVER_WIDTH : widths[1];
    buf_free(&text);
}

void live_draw(struct live *l, const struct pcore *c, int64_t now, const struct term *t, int height,
               struct buf *out)
{
    struct pcore_totals all;
    int widths[2];
    int room = (height < LIVE_MIN ? LIVE_MIN : height) - 2; /* the totals and the cursor */
    uint64_t live = pcore_in_flight(c);
    room = room > LIVE_LINES_MAX - 1 ? LIVE_LINES_MAX - 1 : room;
    if (live > (uint64_t)room)
        room--; /* for the rest */
    struct pcore_child *shown = mem_zalloc((size_t)room, sizeof *shown);
    int n = pick(c, shown, room);
    pcore_totals(c, &all);
    measure(c, shown, n, widths);
    term_up(out, rows_of(l, t, height));
    l->drawn = 0;
    for (int i = 0; i < n; i++)
        draw_child(l, c, &shown[i], widths, now, t, out);
    if (live > (uint64_t)n)
        draw_rest(l, &all, shown, n, live, t, out);
    draw_totals(l, c, &all, now, t, out);
    term_erase_below(out);
    mem_free(&shown);
}
