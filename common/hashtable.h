/* hashtable.h - uthash as this project uses it; every file includes this and none includes uthash.h
 * (lint checks it). If a table cannot get memory the process ends as mem.h describes. uthash by
 * itself calls exit(-1), which runs the handlers of atexit, flushes half-written files, and returns
 * a meaningless code. */
#ifndef LB_COMMON_HASHTABLE_H
#define LB_COMMON_HASHTABLE_H

#include "common/mem.h"

#define uthash_fatal(text) mem_die()
#include <uthash.h>

#endif
