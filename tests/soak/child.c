/* child.c - what the soak's calls run: a child that reports to a file named by the soak: when it
 * started, that it is alive, that it was asked to end, and when it ended. The file is the witness
 * that judge.py believes.
 *
 * Parameters (LB_PARAM_...):
 *     witness  the file; lines are appended, each with one write
 *     key      the call's key, or the plan's and the task's place in it: the same work has the
 *              same key
 *     ms       how long it lives
 *     code     its exit code
 *     deaf     1: it carries on when asked to end, so that only KILL ends it
 *     helper   1: it starts a process in a session of its own that would live for ever, is
 *              deaf, and beats, too
 *     gate     a file: it lives until the file is there, however long that is; empty: no gate
 *
 * Lines: begin, beat (every BEAT_MS), term, end; each with run=, attempt=, pid=, ppid=, at=
 * (CLOCK_MONOTONIC in seconds), server= and key=; end also with code=. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BEAT_MS = 200, CANNOT_WITNESS = 99, ASKED_TO_END = 15 };

static int witness;
static volatile sig_atomic_t asked;

static const char *parameter(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(const char *what, const char *more)
{
    char line[1024];
    int n = snprintf(line, sizeof line,
                     "%s at=%.6f run=%s attempt=%s pid=%d ppid=%d server=%s key=%s%s\n", what,
                     now(), parameter("LB_RUN"), parameter("LB_ATTEMPT"), (int)getpid(),
                     (int)getppid(), parameter("LB_SERVER"), parameter("LB_PARAM_key"), more);
    if (n < 0 || n >= (int)sizeof line || write(witness, line, (size_t)n) != n)
        _exit(CANNOT_WITNESS);
}

static void on_term(int number)
{
    (void)number;
    asked = 1;
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL); /* a signal cuts it short, as intended */
}

static void start_helper(void)
{
    pid_t pid = fork();
    if (pid < 0)
        _exit(CANNOT_WITNESS);
    if (pid > 0)
        return;
    setsid();
    signal(SIGTERM, SIG_IGN);
    for (;;) {
        pause_ms(BEAT_MS);
        say("beat", "");
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_term};
    const char *gate = parameter("LB_PARAM_gate");
    double end = now() + strtod(parameter("LB_PARAM_ms"), NULL) / 1e3;
    bool deaf = *parameter("LB_PARAM_deaf") == '1', told = false;
    int code = (int)strtol(parameter("LB_PARAM_code"), NULL, 10);
    char more[32];
    witness = open(parameter("LB_PARAM_witness"), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (witness < 0 || sigaction(SIGTERM, &action, NULL) < 0)
        return CANNOT_WITNESS;
    say("begin", "");
    if (*parameter("LB_PARAM_helper") == '1')
        start_helper();
    for (double left; (left = end - now()) > 0 || (*gate && access(gate, F_OK) < 0);) {
        pause_ms(left > 0 && left * 1e3 < BEAT_MS ? (long)(left * 1e3) + 1 : BEAT_MS);
        if (asked && !told) {
            told = true;
            say("term", "");
            if (!deaf)
                return ASKED_TO_END;
        }
        say("beat", "");
    }
    snprintf(more, sizeof more, " code=%d", code);
    say("end", more);
    return code;
}
