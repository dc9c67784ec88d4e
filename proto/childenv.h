/* childenv.h - what each child finds in its environment; shared by the runner, which sets it, and
 * the worker, which probes needs with it. */
#ifndef LB_PROTO_CHILDENV_H
#define LB_PROTO_CHILDENV_H

#define CHILDENV_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#endif
