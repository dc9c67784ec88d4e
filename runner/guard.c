/* guard.c - the guard (keeper.h): forks the keeper, waits for its death, and kills what it leaves
 * behind. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "runner/keeper.h"
#include "runner/tree.h"

enum { KILL_PAUSE_MS = 10 /* between two looks for what is left */ };

static void kill_leftovers(void)
{
    int status;
    struct rusage usage;
    bool any;
    const struct timespec pause = {0, KILL_PAUSE_MS * 1000000L};
    while (tree_reap(0, &any, &status, &usage)) {
        tree_signal(SIGKILL, 0);
        nanosleep(&pause, NULL);
    }
}

bool keeper_slot_is_free(const struct runner_paths *paths, unsigned slot)
{
    char *path = runner_paths_of_slot(paths->keepers, "keeper", slot, ".lock");
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    mem_free(&path);
    if (fd < 0)
        return true;
    bool free_now = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free_now;
}

static int take_lock(const struct runner_paths *paths, unsigned slot)
{
    char *path = runner_paths_of_slot(paths->keepers, "keeper", slot, ".lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    mem_free(&path);
    while (fd >= 0 && flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return -1;
    return fd;
}

static void leave_everything(int *channel)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    dup2(null, 0);
    dup2(null, 1);
    *channel = dup2(*channel, 3); /* 2, the log, stays */
    fcntl(3, F_SETFD, FD_CLOEXEC);
    close_range(4, ~0U, 0);
}

static _Noreturn void guard_main(const struct runner_paths *paths, unsigned slot, int channel)
{
    pid_t keeper, gone;
    struct error err = {0};
    prctl(PR_SET_NAME, "lbkeeper-guard");
    leave_everything(&channel);
    if (tree_own(NULL) < 0 || take_lock(paths, slot) < 0 || (keeper = fork()) < 0) {
        log_error("slot %u: cannot start a keeper: %s", slot, strerror(errno));
        _exit(1);
    }
    if (keeper == 0)
        keeper_main(paths, slot, channel);
    if (paths->separated && privilege_keep(PRIVILEGE_GUARD, &err) < 0)
        log_error("guard of slot %u: %s", slot, err.text);
    close(channel);
    do
        gone = waitpid(keeper, NULL, 0);
    while (gone < 0 && errno == EINTR);
    kill_leftovers();
    _exit(0);
}

int keeper_fork(const struct runner_paths *paths, unsigned slot, int channel, pid_t *ret_pid,
                struct error *err)
{
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, errno, "cannot start a keeper");
    if (pid == 0)
        guard_main(paths, slot, channel);
    *ret_pid = pid;
    return 0;
}
