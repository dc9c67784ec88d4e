/* inchild.h - what runs in a child before execve. It runs on memory that the child shares with us,
 * so it allocates and locks nothing, and calls no function of libc that has a state, such as
 * setresuid, which tells the other threads. */
#ifndef LB_RUNNER_INCHILD_H
#define LB_RUNNER_INCHILD_H

/* At execve the child leaves its stack without returning. AddressSanitizer would blame the next
 * child on the same stack for what it had noted about this one. */
#define IN_CHILD __attribute__((no_sanitize("address")))

#endif
