/* excess.c - see excess.h. */
#include "runner/excess.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/size.h"

enum { SHELL_SIGNALS = 128 /* a shell exits with this and the signal of what it has started */ };

static bool wrote_too_much(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGXFSZ
                               : WEXITSTATUS(status) == SHELL_SIGNALS + SIGXFSZ;
}

struct excess excess_of(const struct d_context *limits, const struct cgroup_use *use, int status)
{
    struct excess e = {.out_of_memory = use && use->out_of_memory};
    char size[SIZE_TEXT];
    if (e.out_of_memory && limits->memory)
        snprintf(e.text, sizeof e.text, "used more than its %s of memory (memory.max)",
                 size_format((int64_t)limits->memory, size));
    else if (e.out_of_memory)
        snprintf(e.text, sizeof e.text,
                 "was ended by the kernel because the server's memory, or its unit's, ran out");
    else if (limits->file_size && wrote_too_much(status))
        snprintf(e.text, sizeof e.text, "wrote a file of more than its %s (file_size)",
                 size_format((int64_t)limits->file_size, size));
    else if (limits->processes && use && use->refused)
        snprintf(e.text, sizeof e.text, "wanted more than its %llu processes (pids.max)",
                 (unsigned long long)limits->processes);
    return e;
}
