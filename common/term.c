/* term.c - see term.h; tables are in termtable.c. */
#include "common/term.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

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
    return t;
}

const char *term_on(const struct term *t, enum term_mood mood)
{
    static const char *const on[] = {"", "\033[32m", "\033[31m", "\033[33m", "\033[2m", "\033[1m"};
    return t->colour ? on[mood] : "";
}

const char *term_off(const struct term *t, enum term_mood mood)
{
    return t->colour && mood != TERM_PLAIN ? "\033[0m" : "";
}

void term_paint(struct buf *out, const struct term *t, enum term_mood mood, const char *text)
{
    buf_add_str(out, term_on(t, mood));
    buf_add_str(out, text);
    buf_add_str(out, term_off(t, mood));
}

/* wcwidth answers for the current locale, which may be C; its table for UTF-8 is wanted whatever
 * the user's is. Made once and never changed. */
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
        else if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\x%02x", (unsigned)c);
        else if ((c >= 0x80 && c < 0xa0) || deceives(c))
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

int term_cut(struct buf *out, struct span text, int width)
{
    int whole = term_width(text), used = 0, one;
    if (whole <= width) {
        buf_add(out, text.p, text.n);
        return whole;
    }
    if (width <= 0)
        return 0;
    for (size_t at = 0, n; at < text.n; at += n) {
        n = take_character(span_of(text.p + at, text.n - at), &one);
        if (used + one > width - 1)
            break;
        buf_add(out, text.p + at, n);
        used += one;
    }
    buf_add_str(out, "\xe2\x80\xa6");
    return used + 1;
}

void term_bar(struct buf *out, int width, double fraction)
{
    if (!(fraction > 0)) /* also what is no number */
        fraction = 0;
    if (fraction > 1)
        fraction = 1;
    /* down: a bar is full only when all is done */
    int eighths = (int)(fraction * width * 8 + 1e-9);
    for (int i = 0; i < width; i++) {
        int part = eighths - i * 8;
        uint8_t b[4];
        if (part <= 0)
            buf_add_str(out, "\xe2\x96\x91");
        else
            buf_add(out, b, utf8_put(part >= 8 ? 0x2588 : 0x2590 - (uint32_t)part, b));
    }
}

void term_up(struct buf *out, int lines)
{
    buf_add_str(out, "\r");
    if (lines > 0)
        buf_printf(out, "\033[%dA", lines);
}

void term_erase_line(struct buf *out)
{
    buf_add_str(out, "\033[K");
}

void term_erase_below(struct buf *out)
{
    buf_add_str(out, "\033[J");
}
