/* owntmp.c - see owntmp.h. */
#include "runner/owntmp.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

#define PROGRAM "lbtmp"

static bool is_below(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || !path[n]);
}

/* What this server needs would be hidden from the step. */
static bool would_hide(const struct runner_paths *paths, struct error *err)
{
    const char *const needed[] = {paths->packages, paths->work, paths->run, paths->memory};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (needed[i] && (is_below(needed[i], "/tmp") || is_below(needed[i], "/var/tmp"))) {
            error_set(err, -ENOTSUP, "the server's own folder %s is below it", needed[i]);
            return true;
        }
    return false;
}

/* Reads what the program says on standard error, its first line, without a colon and its name. */
static void take_reason(int fd, struct error *err)
{
    char text[200];
    ssize_t n = file_read_all(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    const char *said =
        strncmp(text, PROGRAM ": ", sizeof PROGRAM + 1) == 0 ? text + sizeof PROGRAM + 1 : text;
    error_set(err, -ENOTSUP, "%s", *said ? said : PROGRAM " has failed");
}

static bool probe(const char *program, struct error *err)
{
    int ends[2], status = 0;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    char *argv[] = {mem_strdup(program), mem_strdup("--probe"), NULL}, *envp[] = {NULL};
    if (pipe2(ends, O_CLOEXEC) < 0) {
        error_errno(err, errno, "cannot make a pipe");
        goto done;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    const int rc = posix_spawn(&pid, program, &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    status = -1;
    if (rc != 0)
        error_errno(err, rc, "cannot execute %s", program);
    else {
        take_reason(ends[0], err);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(ends[0]);
    if (status == 0)
        *err = (struct error){0};
done:
    mem_free(&argv[0]);
    mem_free(&argv[1]);
    return err->code == 0;
}

bool owntmp_possible(const struct runner_paths *paths, struct error *err)
{
    if (would_hide(paths, err))
        return false;
    char *program = file_beside_program(PROGRAM);
    bool possible = probe(program, err);
    mem_free(&program);
    return possible;
}

void owntmp_wrap(const struct command *command, int list, bool refuse_calls, struct command *ret)
{
    enum { OURS = 3 };
    size_t n = 0;
    while (command->argv[n])
        n++;
    char **argv = mem_zalloc(OURS + n + 1, sizeof *argv);
    argv[0] = file_beside_program(PROGRAM);
    argv[1] = list < 0 ? mem_strdup("-") : mem_printf("%d", list);
    argv[2] = mem_strdup(refuse_calls ? "refuse" : "-");
    memcpy(argv + OURS, command->argv, n * sizeof *argv);
    /* ours are freed; the others, and the environment, are lent */
    *ret = (struct command){.argv = argv, .n_argv = OURS, .envp = command->envp};
}

void owntmp_free(struct command *c)
{
    for (size_t i = 0; i < c->n_argv; i++)
        mem_free(&c->argv[i]);
    mem_free(&c->argv);
    *c = (struct command){0};
}
