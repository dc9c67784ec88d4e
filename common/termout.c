/* termout.c - see termout.h. */
#include "common/termout.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/term.h"
#include "common/termmark.h"

/* ---- Marks */
static const struct {
    char letter;
    const char *sequence;
} marks[] = {
    {TERM_MARK_GOOD, "\033[32m"}, {TERM_MARK_BAD, "\033[31m"}, {TERM_MARK_WARN, "\033[33m"},
    {TERM_MARK_FAINT, "\033[2m"}, {TERM_MARK_BOLD, "\033[1m"}, {TERM_MARK_OFF, "\033[0m"},
    {TERM_MARK_LINE, "\033[K"},   {TERM_MARK_BELOW, "\033[J"}, {TERM_MARK_FIRST, "\r"}};

/* Marks of lines up stand one after the other: "\033[6A". Returns how many. */
static size_t show_up(struct buf *out, struct span page)
{
    size_t n = 0;
    while (2 * n + 1 < page.n && page.p[2 * n] == TERM_MARK && page.p[2 * n + 1] == TERM_MARK_UP)
        n++;
    if (n)
        buf_printf(out, "\033[%zuA", n);
    return n;
}

/* The mark at the head of the page; returns its bytes, 0 if it is none of ours. */
static size_t show_mark(struct buf *out, struct span page)
{
    size_t up = show_up(out, page);
    if (up)
        return 2 * up;
    for (size_t i = 0; page.n > 1 && i < sizeof marks / sizeof *marks; i++)
        if (page.p[1] == (uint8_t)marks[i].letter) {
            buf_add_str(out, marks[i].sequence);
            return 2;
        }
    return 0;
}

void term_show(struct buf *out, struct span page)
{
    while (page.n) {
        const uint8_t *mark = memchr(page.p, TERM_MARK, page.n);
        size_t plain = mark ? (size_t)(mark - page.p) : page.n;
        term_safe_lines(out, span_of(page.p, plain));
        page = span_of(page.p + plain, page.n - plain);
        size_t shown = page.n ? show_mark(out, page) : 0;
        if (page.n && !shown) {
            term_safe_lines(out, span_of(page.p, 1));
            shown = 1;
        }
        page = span_of(page.p + shown, page.n - shown);
    }
}

/* ---- Pages */
static bool put(FILE *to, const struct buf *b)
{
    return (!b->n || fwrite(b->p, 1, b->n, to) == b->n) && !ferror(to);
}

bool term_put(FILE *to, struct span page)
{
    struct buf shown = {0};
    term_show(&shown, page);
    bool ok = put(to, &shown);
    buf_free(&shown);
    return ok;
}

int term_put_fd(int fd, struct span page)
{
    struct buf shown = {0};
    term_show(&shown, page);
    int rc = file_write_all(fd, shown.p, shown.n);
    buf_free(&shown);
    return rc;
}

bool term_bytes(FILE *to, struct span bytes)
{
    struct buf shown = {0};
    if (isatty(to == stderr ? STDERR_FILENO : STDOUT_FILENO) == 1)
        term_safe_lines(&shown, bytes);
    else
        buf_add(&shown, bytes.p, bytes.n);
    bool ok = put(to, &shown);
    buf_free(&shown);
    return ok;
}

/* ---- Messages: the line feeds and tabs of the format are set aside as bytes that UTF-8 never has,
 * so that those of the arguments can be told from them. */
enum { OUR_LINE = 0xfd, OUR_TAB = 0xfc };

static char *set_aside(const char *fmt)
{
    char *ours = mem_printf("%s", fmt);
    for (char *c = ours; *c; c++)
        if (*c == '\n')
            *c = (char)OUR_LINE;
        else if (*c == '\t')
            *c = (char)OUR_TAB;
    return ours;
}

static void show_message(struct buf *out, struct span text)
{
    size_t from = 0;
    for (size_t at = 0; at <= text.n; at++) {
        bool end = at == text.n;
        if (!end && text.p[at] != OUR_LINE && text.p[at] != OUR_TAB)
            continue;
        term_safe(out, span_of(text.p + from, at - from));
        if (!end)
            buf_add(out, text.p[at] == OUR_LINE ? "\n" : "\t", 1);
        from = at + 1;
    }
}

int term_vsay(FILE *to, const char *fmt, va_list ap)
{
    struct buf shown = {0};
    char *ours = set_aside(fmt), *text = mem_vprintf(ours, ap);
    int n = (int)strlen(text);
    show_message(&shown, span_str(text));
    put(to, &shown);
    buf_free(&shown);
    mem_free(&text);
    mem_free(&ours);
    return n;
}

int term_say(FILE *to, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = term_vsay(to, fmt, ap);
    va_end(ap);
    return n;
}

void term_ask(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    term_vsay(stderr, fmt, ap);
    va_end(ap);
    fflush(stderr);
}
