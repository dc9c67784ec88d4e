/* emptied.h - whether a folder that was read and found empty can hold anything now, told by its
 * numbers alone. Most steps leave nothing, and reading a folder costs seven system calls.
 *
 * Whatever makes, removes or renames an entry of a folder sets the folder's change time, and nobody
 * but the kernel can choose that. But its clock ticks: what happens in the tick of the last change
 * leaves no other time. So a folder counts as known only if it was found empty when its change time
 * had stood for EMPTIED_SETTLES_MS already. Both are measured by the caller's own clock: how coarse
 * or wrong the clock of the file system is does not matter. Where change times are whole seconds
 * nothing is ever known. */
#ifndef LB_RUNNER_EMPTIED_H
#define LB_RUNNER_EMPTIED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { EMPTIED_SETTLES_MS = 3000 };

/* All zero: nothing is known. */
struct emptied {
    struct stat st; /* as it was seen empty; only what says which folder it is and how it changed */
    int64_t since;  /* boot time at which it was first seen so; 0: never */
    bool settled;
};

/* The folder was read and found empty; st: of before it was read. now: boot time in ms. */
void emptied_seen(struct emptied *e, const struct stat *st, int64_t now);
/* True: nothing has been put into the folder since it was seen empty. False: read it. */
bool emptied_still(const struct emptied *e, const struct stat *st);

#endif
