/* hashtable.h - uthash as this project uses it; every file includes this and none includes uthash.h
 * (lint holds that). Where a table cannot get memory the process ends as mem.h says. uthash's own
 * way is exit(-1), which runs what atexit was given and flushes what is half written, with a code
 * that says nothing. */
#ifndef LB_COMMON_HASHTABLE_H
#define LB_COMMON_HASHTABLE_H

#include "common/mem.h"

#define uthash_fatal(text) mem_die()
#include <uthash.h>

#endif
