/* lbctl.c - the operator's program: one file a verb, this table. */
#include "admin/ctl.h"

#include "common/options.h"

static const struct verb_command verbs[] = {
    {"init", "make a cluster: keys, certificates, configuration", ctl_init},
    {"key", "set, change or remove the passphrase of your key", ctl_key},
    {"invite", "print a token with which a server or a principal joins", ctl_invite},
    {"certificates", "list, renew or revoke certificates", ctl_certificates},
    {"doctor", "what is wrong, or soon will be, and what to do about it", ctl_doctor},
    {"whoami", "who you are to the broker, and what you may do", ctl_whoami},
    {"servers", "the servers, and what is wrong there", ctl_servers},
    {"runs", "the runs that wait or run now", ctl_runs},
    {"show", "one run or parent, with all that is known of it", ctl_show},
    {"evidence", "the signed proof of how a run ended; verify checks one", ctl_evidence},
    {"logs", "the output of a run; -f follows it", ctl_logs},
    {"history", "the runs that have ended", ctl_history},
    {"explain", "why a run does not start, server by server", ctl_explain},
    {"cancel", "end a run and all its processes", ctl_cancel},
    {"release", "decide what becomes of a held run", ctl_release},
    {"drain", "start nothing new on a server", ctl_drain},
    {"undrain", "let a server take work again", ctl_undrain},
    {"forget", "take a server that is gone off the list", ctl_forget},
    {"proxy", "who may run what as whom on this server", ctl_proxy},
    {"secret", "values that only servers can read: put, drop, list", ctl_secret},
    {"subsystem", "the ways to run a step that this server has", ctl_subsystem},
    {"stats", "the broker's counts, and who uses how much of it", ctl_stats},
    {"audit", "who did what with their rights, and the proof of it", ctl_audit},
    {"store", "check or back up the broker's store", ctl_store},
};

static const char examples[] =
    "  lbctl servers                          the servers, and what is wrong there\n"
    "  lbctl history --status failed --since 12h\n"
    "  lbctl show last-failed                 what went wrong last\n"
    "  lbctl logs last -f                     the output of what you started last\n"
    "  lbctl drain etl2 --reason 'new disk'\n";

int main(int argc, char **argv)
{
    return verb_main("lbctl", "look after a cluster", examples, verbs, COUNT_OF(verbs), argc, argv);
}
