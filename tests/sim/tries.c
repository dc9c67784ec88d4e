/* tries.c - see tries.h. */
#include "tests/sim/tries.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void *tries_share(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("sim: mmap");
        exit(1);
    }
    return p;
}

pid_t tries_fork(void)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("sim: fork");
        exit(1);
    }
    return pid;
}

double tries_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void tries_died(int status, struct cluster_result *ret)
{
    ret->passed = false;
    ret->law = LAW_COUNT;
    if (WIFSIGNALED(status))
        snprintf(ret->text, sizeof ret->text, "it ends the process by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(ret->text, sizeof ret->text, "it ends the process with exit code %d",
                 WEXITSTATUS(status));
}

static _Noreturn void tell(const struct cluster_order *o, struct cluster_result *ret)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
    alarm(SEED_SECONDS);
    cluster_tell(o, ret);
    _exit(0);
}

void tries_tell(const struct cluster_order *orders, unsigned n, struct cluster_result *ret)
{
    struct cluster_result *shared = tries_share(n * sizeof *shared);
    pid_t *pids = calloc(n, sizeof *pids);
    for (unsigned i = 0; i < n; i++) {
        pids[i] = tries_fork();
        if (pids[i] == 0)
            tell(&orders[i], &shared[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        ret[i] = shared[i];
        if (status)
            tries_died(status, &ret[i]);
    }
    free(pids);
    munmap(shared, n * sizeof *shared);
}
