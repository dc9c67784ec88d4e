/* lbctl.c - the operator's program: one file a verb, this table. */
#include "admin/ctl.h"

#include "common/options.h"

static const struct command verbs[] = {
    {"init", "make a cluster: the administrator's key, the broker's certificate and configuration",
     ctl_init},
    {"invite", "print a token with which a server or a principal joins", ctl_invite},
    {"certificates", "list, renew or revoke certificates", ctl_certificates},
    {"whoami", "who you are to the broker, and what you may do", ctl_whoami},
    {"servers", "who is there, with what", ctl_servers},
    {"runs", "what waits and runs now", ctl_runs},
    {"show", "one run with all its layers, steps and times", ctl_show},
    {"logs", "the output of a run's steps; -f follows it", ctl_logs},
    {"history", "what has run", ctl_history},
    {"explain", "why a run is where it is, server by server", ctl_explain},
    {"cancel", "end a run and all its processes", ctl_cancel},
    {"release", "decide what becomes of a run that is held", ctl_release},
    {"drain", "give a server nothing new", ctl_drain},
    {"undrain", "let a server take work again", ctl_undrain},
    {"forget", "take a server that is gone off the list", ctl_forget},
    {"store", "check or back up what the broker remembers", ctl_store},
};

static const char examples[] =
    "  lbctl servers                          who is there, and what is wrong there\n"
    "  lbctl history --status failed --since 12h\n"
    "  lbctl explain RUN                      why it does not start\n"
    "  lbctl drain etl2 --reason 'new disk'\n";

int main(int argc, char **argv)
{
    return verb_main("lbctl", "look after a cluster", examples, verbs, COUNT_OF(verbs), argc, argv);
}
