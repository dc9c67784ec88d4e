/* ctl_proxy.c - lbctl proxy: who may do what as whom on this server. */
#include "admin/ctl_proxy.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "common/suggest.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"user", 'u', OPTION_STR, NULL, 0, LIMIT_SHORT, false, "USER",
     "new: whom its steps run as; a name or a number"},
    {"group", 'g', OPTION_STR, NULL, 0, LIMIT_SHORT, false, "GROUP",
     "new: instead of the user's own group"},
    {"allow-system-user", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "new: the user may be root, or one of the system's"},
    {"description", 0, OPTION_STR, NULL, 0, LIMIT_TEXT, false, "TEXT", "new: for people"},
    {"subsystem", 0, OPTION_LIST, NULL, 0, 0, false, "NAME",
     "what it may use, or '*'; new: default exec, shell and python"},
    {"principal", 'p', OPTION_LIST, NULL, 0, 0, false, "PATTERN",
     "whom it serves: a name in which * stands for any characters, or local:USER"},
    {"signer", 0, OPTION_LIST, NULL, 0, 0, false, "SIGNER",
     "whose packages it accepts: a public key, or a name in trust/signers"},
    {"package", 0, OPTION_STR, NULL, 0, 0, false, "PACKAGE",
     "test: an installed package: its hash, NAME, or NAME@VERSION"},
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in etc/proxies.log"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "list, show, test: one JSON object a line"},
};

static const char synopsis[] = "new|list|show|grant|revoke|test [NAME] [options]";

static const char examples[] =
    "  lbctl proxy new etl --user etl --principal 'nightly-*'\n"
    "  lbctl proxy list\n"
    "  lbctl proxy show etl\n"
    "  lbctl proxy grant etl --subsystem sql --reason 'loads need psql'\n"
    "  lbctl proxy revoke etl --principal anna\n"
    "  lbctl proxy test etl --principal anna --subsystem exec --package extract\n"
    "Run it on the server, as root, or as the user of a server that is not root's.\n"
    "A change counts from the next step on, also between two steps of one job. test\n"
    "says what the runner would say, and exits with 1 where it would refuse; it does\n"
    "not ask whether the caller has a grant.\n";

static const char *const verbs[] = {"new", "list", "show", "grant", "revoke", "test", NULL};

static int wrong_verb(char **argv, const char *verb)
{
    struct error err = {0};
    char hint[SUGGEST_TEXT];
    error_set(&err, -EINVAL,
              "unknown verb '%.60s'%s; verbs are new, list, show, grant, revoke, test", verb,
              suggest_hint(verb, verbs, hint));
    return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
}

static int run_verb(struct ctl_proxy *c, const char *verb)
{
    struct error err = {0};
    const bool list = strcmp(verb, "list") == 0;
    if (list != !c->name) {
        if (list)
            error_set(&err, -EINVAL, "list takes no name; lbctl proxy show %.64s", c->name);
        else
            error_set(&err, -EINVAL, "the proxy's name is missing: lbctl proxy %s NAME", verb);
        return ctl_fail(c->argv, EXIT_ASKED_WRONGLY, &err);
    }
    if (list)
        return ctl_proxy_list(c);
    if (strcmp(verb, "new") == 0)
        return ctl_proxy_new(c);
    if (strcmp(verb, "show") == 0)
        return ctl_proxy_show(c);
    if (strcmp(verb, "test") == 0)
        return ctl_proxy_test(c);
    return ctl_proxy_change(c, strcmp(verb, "grant") == 0);
}

int ctl_proxy(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    static struct ctl_proxy c; /* three paths of 4096 bytes are too large for the stack */
    int first,
        code = ctl_begin(rows, COUNT_OF(rows), argc, argv, synopsis, examples, 1, 2, &v, &first);
    if (code >= 0)
        return code;
    const char *verb = argv[first];
    bool known = false;
    for (size_t i = 0; verbs[i]; i++)
        known = known || strcmp(verbs[i], verb) == 0;
    c = (struct ctl_proxy){
        .argv = argv, .values = &v, .name = first + 1 < argc ? argv[first + 1] : NULL};
    if (!known)
        code = wrong_verb(argv, verb);
    else if ((c.name && name_check_name("the name of a proxy", span_str(c.name), &err) < 0) ||
             trust_init(&err) < 0 || paths_resolve(&c.paths, &err) < 0)
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    else {
        proxyhere_open(&c.here, &c.paths);
        code = run_verb(&c, verb);
        proxyhere_close(&c.here);
    }
    options_free(&v);
    return code;
}
