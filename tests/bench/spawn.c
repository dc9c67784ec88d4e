/* spawn.c - the bare machine: posix_spawn and waitpid of /bin/true in a loop, in PROCESSES
 * processes at once.
 *     usage: spawn COUNT PROCESSES
 * Prints spawns per second. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int loop(int count)
{
    char *argv[] = {"true", NULL};
    for (int i = 0; i < count; i++) {
        pid_t pid;
        if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) != 0 ||
            waitpid(pid, NULL, 0) != pid)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long count = strtol(argv[1], NULL, 10), processes = strtol(argv[2], NULL, 10);
    int bad = 0, status;
    if (processes < 1 || count < processes)
        return 2;
    long each = count / processes;
    double start = now();
    for (long i = 0; i < processes; i++)
        if (fork() == 0)
            _exit(loop((int)each));
    while (wait(&status) > 0)
        bad |= status;
    if (bad)
        return 1;
    printf("%.1f\n", (double)(each * processes) / (now() - start));
    return 0;
}
