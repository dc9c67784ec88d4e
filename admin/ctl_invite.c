/* ctl_invite.c - lbctl invite: a token with which a server or a principal joins, once. */
#include "admin/ctl.h"

#include <errno.h>
#include <string.h>

#include "client/config.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/termout.h"
#include "trust/invitation.h"

static const struct option_row rows[] = {
    {"server", 's', OPTION_STR, NULL, 0, 0, false, "NAME", "invite a server of this name"},
    {"pools", 0, OPTION_STR, NULL, 0, 0, false, "A,B",
     "pools that the server is in, besides `all`"},
    {"principal", 'p', OPTION_STR, NULL, 0, 0, false, "NAME",
     "invite a person or program that calls, watches or operates"},
    {"role", 0, OPTION_STR, "caller", 0, 0, false, "ROLE", "of the principal: caller or monitor"},
    {"grant", 'g', OPTION_LIST, NULL, 0, 0, false, "'VERB JOB@ADDRESS'",
     "what the principal may do: VERB is call, watch, operate, deploy, define or admin; JOB may "
     "contain *; may be repeated"},
    {"expires", 0, OPTION_DURATION, "1d", 60000, 31536000000, false, "TIME",
     "token lifetime (single use)"},
    {"valid", 0, OPTION_DURATION, "730d", 3600000, INT64_MAX, false, "TIME",
     "validity of the certificate"},
    {"reason", 'r', OPTION_STR, "", 0, LIMIT_TEXT, false, "TEXT", "why; kept in the history"},
};

static const char examples[] =
    "  lbctl invite --server etl4 --pools etl | ssh etl4 lbworker join\n"
    "  lbctl invite --principal anna --grant 'call *@etl' | ssh desk lbsubmit join\n";

/* Partly random, since two administrators may invite in the same millisecond. */
static uint64_t new_serial(int64_t now)
{
    uint8_t chance[KEY_SEED];
    key_seed_make(chance);
    return (uint64_t)now * 1000 + (chance[0] << 8 | chance[1]) % 1000;
}

/* "a,b" as a list; *ret and its texts share one allocation that the caller frees. */
static size_t split(char *text, const char *ret[LIMIT_POOLS])
{
    size_t n = 0;
    for (char *save, *word = strtok_r(text, ", ", &save); word && n < LIMIT_POOLS;
         word = strtok_r(NULL, ", ", &save))
        ret[n++] = word;
    return n;
}

static int check_order(const struct option_values *v, struct error *err)
{
    size_t n_grants;
    bool server = opt_str(v, "server"), principal = opt_str(v, "principal");
    opt_list(v, "grant", &n_grants);
    if (server == principal)
        return error_set(err, -EINVAL, "give either --server NAME or --principal NAME");
    if (server && n_grants)
        return error_set(err, -EINVAL,
                         "--grant is for principals; what a server runs is decided by its pools");
    if (principal && opt_str(v, "pools"))
        return error_set(
            err, -EINVAL,
            "--pools is for servers; a principal has grants, such as --grant 'call *@etl'");
    if (principal && n_grants == 0)
        return error_set(
            err, -EINVAL,
            "a principal without a --grant can do nothing; for example --grant 'call *@etl'");
    if (principal && strcmp(opt_str(v, "role"), "caller") != 0 &&
        strcmp(opt_str(v, "role"), "monitor") != 0)
        return error_set(err, -EINVAL, "--role is caller or monitor, not '%s'", opt_str(v, "role"));
    return 0;
}

/* Tells the broker of the one-time key, so that its transport admits it once. */
static int register_invitation(struct longboat *lb, char **argv, const char *text,
                               const char *reason, struct error *err)
{
    struct token token;
    struct buf arguments = {0}, message = {0};
    int rc = token_parse(text, &token, err);
    if (rc < 0)
        return ctl_fail(argv, EXIT_REFUSED, err);
    value_add_str(&arguments, span_str("invitation"));
    wire_add_bin(&arguments, buf_span(&token.invitation));
    struct m_operate m = {.req = longboat_req(lb),
                          .verb = span_str("invite"),
                          .target = span_str(token.name),
                          .reason = span_str(reason),
                          .arguments = wire_list_from(&arguments, 1)};
    m_operate_encode(&m, &message);
    struct buf answer = {0};
    enum refusal refusal = REFUSAL_NONE;
    rc = longboat_ask(lb, m.req, buf_span(&message), CTL_TIMEOUT_MS, &answer, &refusal, err);
    buf_free(&arguments);
    buf_free(&message);
    buf_free(&answer);
    token_free(&token);
    return rc < 0 ? ctl_fail(argv, ctl_code(rc, refusal), err) : EXIT_DONE;
}

static int make(struct longboat *lb, char **argv, const struct option_values *v)
{
    struct error err = {0};
    struct client_config config = {0};
    const char *pools[LIMIT_POOLS];
    char *pools_text = mem_strdup(opt_str(v, "pools") ? opt_str(v, "pools") : "");
    char *text = NULL;
    int64_t now = clock_wall_ms();
    int code = EXIT_REFUSED;
    struct invitation_order o = {
        .name = opt_str(v, "server") ? opt_str(v, "server") : opt_str(v, "principal"),
        .role = opt_str(v, "server")                         ? ROLE_SERVER
                : strcmp(opt_str(v, "role"), "monitor") == 0 ? ROLE_MONITOR
                                                             : ROLE_CALLER,
        .serial = new_serial(now),
        .pools = pools,
        .expires = now + opt_int(v, "expires"),
        .certificate_not_after = now + opt_int(v, "valid"),
    };
    o.n_pools = split(pools_text, pools);
    o.grants = opt_list(v, "grant", &o.n_grants);
    if (client_config_load(&config, NULL, &err) < 0) {
        code = ctl_fail(argv, EXIT_REFUSED, &err);
    } else {
        o.cluster = config.anchors.cluster;
        o.addresses = (const char *const *)config.addresses;
        o.n_addresses = config.n_addresses;
        o.broker_key = config.broker.transport_key;
        o.administrators = config.anchors.administrators;
        o.n_administrators = config.anchors.n;
        if (!anchors_have(&config.anchors, &config.key.sign)) {
            error_set(&err, -EPERM, "only an administrator can invite; '%s' is not one",
                      config.me.name);
            code = ctl_fail(argv, EXIT_REFUSED, &err);
        } else if (invitation_make(&o, &config.key, &text, &err) < 0) {
            code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
        } else {
            code = register_invitation(lb, argv, text, opt_str(v, "reason"), &err);
        }
    }
    if (code == EXIT_DONE)
        term_say(stdout, "%s\n", text);
    if (text)
        explicit_bzero(text, strlen(text));
    mem_free(&text);
    mem_free(&pools_text);
    client_config_free(&config);
    return code;
}

int ctl_invite(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first,
        code = ctl_begin(rows, COUNT_OF(rows), argc, argv,
                         "--server NAME | --principal NAME [options]", examples, 0, 0, &v, &first);
    if (code >= 0)
        return code;
    if (check_order(&v, &err) < 0) {
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else {
        struct longboat *lb = ctl_connect(argv);
        code = lb ? make(lb, argv, &v) : EXIT_REFUSED;
        longboat_close(&lb);
    }
    options_free(&v);
    return code;
}
