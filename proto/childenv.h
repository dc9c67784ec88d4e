/* childenv.h - what each child finds in its environment; shared by the runner, which sets it, and the
 * worker, which probes needs with it. */
#ifndef LB_PROTO_CHILDENV_H
#define LB_PROTO_CHILDENV_H

#define CHILDENV_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Set for each child whatever its proxy says; a proxy may add others and replace these. */
#define CHILDENV_NAMES(X) X("PATH") X("LANG") X("HOME") X("USER") X("LOGNAME")

#endif
