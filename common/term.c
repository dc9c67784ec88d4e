/* term.c - see term.h; tables are in termtable.c, times in termtime.c. */
#include "common/term.h"

#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "common/termmark.h"
#include "common/utf8.h"

enum { WIDTH_USUAL = 80, WIDTH_MIN = 20, WIDTH_MAX = 1000 };

struct term term_of(int fd)
{
    struct term t = {.is_terminal = isatty(fd) == 1, .width = WIDTH_USUAL};
    const char *kind = getenv("TERM"), *no_colour = getenv("NO_COLOR"),
               *columns = getenv("COLUMNS");
    struct winsize size = {0};
    long width = 0;
    t.colour =
        t.is_terminal && (!no_colour || !*no_colour) && kind && *kind && strcmp(kind, "dumb") != 0;
    if (t.is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width == 0 && columns)
        width = strtol(columns, NULL, 10);
    if (width > 0)
        t.width = (int)(width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width);
    t.bounded = width > 0;
    return t;
}

int term_page(const struct term *t)
{
    return t->is_terminal || t->bounded ? t->width : INT_MAX;
}

/* ---- The locale: looked up without setlocale, which would change how numbers are written. */
enum { UNICODE_UNKNOWN, UNICODE_NO, UNICODE_YES };
static atomic_int unicode;

/* A locale that is not installed is judged by its name: in a container the terminal outside is
 * what counts. */
static bool name_has_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    const char *name = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !(name && *name); i++)
        name = getenv(names[i]);
    return name && (strcasestr(name, "utf-8") || strcasestr(name, "utf8"));
}

bool term_unicode(void)
{
    int known = atomic_load(&unicode);
    if (known == UNICODE_UNKNOWN) {
        locale_t users = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
        bool yes = users ? strcmp(nl_langinfo_l(CODESET, users), "UTF-8") == 0 : name_has_utf8();
        if (users)
            freelocale(users);
        known = yes ? UNICODE_YES : UNICODE_NO;
        atomic_store(&unicode, known);
    }
    return known == UNICODE_YES;
}

void term_unicode_set(bool on)
{
    atomic_store(&unicode, on ? UNICODE_YES : UNICODE_NO);
}

const char *term_on(const struct term *t, enum term_mood mood)
{
    static const char on[][3] = {"",
                                 {(char)TERM_MARK, TERM_MARK_GOOD},
                                 {(char)TERM_MARK, TERM_MARK_BAD},
                                 {(char)TERM_MARK, TERM_MARK_WARN},
                                 {(char)TERM_MARK, TERM_MARK_FAINT},
                                 {(char)TERM_MARK, TERM_MARK_BOLD}};
    return t->colour ? on[mood] : "";
}

const char *term_off(const struct term *t, enum term_mood mood)
{
    static const char off[] = {(char)TERM_MARK, TERM_MARK_OFF, 0};
    return t->colour && mood != TERM_PLAIN ? off : "";
}

void term_paint(struct buf *out, const struct term *t, enum term_mood mood, const char *text)
{
    buf_add_str(out, term_on(t, mood));
    buf_add_str(out, text);
    buf_add_str(out, term_off(t, mood));
}

/* wcwidth answers for the current locale, which may be C; we need its UTF-8 table whatever the
 * user's locale is. Made once and never changed. */
static locale_t utf8_locale;

static void make_utf8_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static int point_width(uint32_t point)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (point < 0x7f)
        return point >= 0x20;
    pthread_once(&once, make_utf8_locale);
    locale_t was = utf8_locale ? uselocale(utf8_locale) : (locale_t)0;
    int width = wcwidth((wchar_t)point);
    if (was)
        uselocale(was);
    return width < 0 ? !utf8_locale : width;
}

/* The length in bytes of the character at s (1 for a malformed byte) and the columns it takes. */
static size_t take_character(struct span s, int *ret_width)
{
    uint32_t point;
    size_t n = utf8_take(s, &point);
    *ret_width = n ? point_width(point) : 1;
    return n ? n : 1;
}

int term_width(struct span text)
{
    int width = 0, one;
    for (size_t at = 0; at < text.n; width += one)
        at += take_character(span_of(text.p + at, text.n - at), &one);
    return width;
}

/* Marks, embeddings, overrides and isolates of writing direction, and the separators that some
   terminals break at. */
static bool deceives(uint32_t c)
{
    return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void add_safe(struct buf *out, struct span text, bool lines)
{
    for (size_t at = 0; at < text.n;) {
        uint32_t c;
        size_t n = utf8_take(span_of(text.p + at, text.n - at), &c);
        if (n == 0)
            buf_add_str(out, "\xef\xbf\xbd");
        else if (lines && (c == '\n' || c == '\t'))
            buf_add(out, text.p + at, 1);
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || deceives(c))
            buf_printf(out, "\\u%04x", (unsigned)c);
        else
            buf_add(out, text.p + at, n);
        at += n ? n : 1;
    }
}

void term_safe(struct buf *out, struct span text)
{
    add_safe(out, text, false);
}

void term_safe_lines(struct buf *out, struct span text)
{
    add_safe(out, text, true);
}

/* How many bytes of safe text fit in `width` columns; *ret_used: the columns that they take. */
static size_t fit(struct span text, int width, int *ret_used)
{
    size_t at = 0;
    int used = 0, one;
    while (at < text.n) {
        size_t n = take_character(span_of(text.p + at, text.n - at), &one);
        if (used + one > width)
            break;
        at += n;
        used += one;
    }
    *ret_used = used;
    return at;
}

int term_cut(struct buf *out, struct span text, int width)
{
    const char *mark = term_unicode() ? "\xe2\x80\xa6" : "...";
    int whole = term_width(text), used, mark_width = term_unicode() ? 1 : 3;
    if (whole <= width) {
        buf_add(out, text.p, text.n);
        return whole;
    }
    if (width <= 0)
        return 0;
    if (width <= mark_width && mark_width > 1) { /* the room is better used for text */
        buf_add(out, text.p, fit(text, width, &used));
        return used;
    }
    buf_add(out, text.p, fit(text, width - mark_width, &used));
    buf_add_str(out, mark);
    return used + mark_width;
}

/* The bytes of the next line, without the spaces at which it breaks. A word that is longer than a
 * line is broken. */
static size_t line_of(struct span text, int width)
{
    int used;
    size_t n = fit(text, width, &used), end = n;
    if (n == text.n)
        return n;
    if (n == 0) { /* too narrow for a single character: it has to go somewhere */
        return take_character(text, &used);
    }
    while (end > 0 && text.p[end] != ' ')
        end--;
    return end ? end : n;
}

void term_wrap(struct buf *out, struct span text, int at, int width)
{
    for (bool first = true; text.n || first; first = false) {
        size_t n = line_of(text, width - at > 0 ? width - at : 1);
        if (!first)
            buf_printf(out, "\n%*s", at, "");
        buf_add(out, text.p, n);
        while (n < text.n && text.p[n] == ' ')
            n++;
        text = span_of(text.p + n, text.n - n);
    }
}

void term_bar(struct buf *out, int width, double fraction)
{
    if (!(fraction > 0)) /* also true of NaN */
        fraction = 0;
    if (fraction > 1)
        fraction = 1;
    /* rounds down: a bar is full only when all is done */
    int eighths = (int)(fraction * width * 8 + 1e-9);
    for (int i = 0; i < width; i++) {
        int part = eighths - i * 8;
        uint8_t b[4];
        if (!term_unicode())
            buf_add_str(out, part >= 8 ? "#" : "-");
        else if (part <= 0)
            buf_add_str(out, "\xe2\x96\x91");
        else
            buf_add(out, b, utf8_put(part >= 8 ? 0x2588 : 0x2590 - (uint32_t)part, b));
    }
}

static void add_mark(struct buf *out, char letter)
{
    const char mark[] = {(char)TERM_MARK, letter};
    buf_add(out, mark, sizeof mark);
}

void term_up(struct buf *out, int lines)
{
    add_mark(out, TERM_MARK_FIRST);
    for (; lines > 0; lines--)
        add_mark(out, TERM_MARK_UP);
}

void term_erase_line(struct buf *out)
{
    add_mark(out, TERM_MARK_LINE);
}

void term_erase_below(struct buf *out)
{
    add_mark(out, TERM_MARK_BELOW);
}
