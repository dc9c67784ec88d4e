/* hashbang.c - see hashbang.h. */
#include "common/hashbang.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

enum hashbang hashbang_read(struct span head, char interpreter[HASHBANG_BYTES])
{
    static const char elf[] = {0x7f, 'E', 'L', 'F'};
    interpreter[0] = '\0';
    if (head.n == 0)
        return HASHBANG_EMPTY;
    if (head.n >= sizeof elf && memcmp(head.p, elf, sizeof elf) == 0)
        return HASHBANG_PROGRAM;
    if (head.n < 2 || memcmp(head.p, "#!", 2) != 0)
        return HASHBANG_NONE;
    const char *at = (const char *)head.p + 2, *end = memchr(at, '\n', head.n - 2);
    size_t n = end ? (size_t)(end - at) : head.n - 2;
    bool cr = n && at[n - 1] == '\r';
    n -= cr;
    for (; n && (*at == ' ' || *at == '\t'); at++)
        n--;
    size_t used = 0;
    while (used < n && used < HASHBANG_BYTES - 1 && at[used] != ' ' && at[used] != '\t')
        used++;
    memcpy(interpreter, at, used);
    interpreter[used] = '\0';
    return cr ? HASHBANG_CR : used ? HASHBANG_LINE : HASHBANG_NONE;
}

int hashbang_of_file(const char *path, char interpreter[HASHBANG_BYTES])
{
    char head[HASHBANG_BYTES];
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = file_read_all(fd, head, sizeof head);
    close(fd);
    return n < 0 ? (int)n : (int)hashbang_read(span_of(head, (size_t)n), interpreter);
}
