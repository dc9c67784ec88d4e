/* matrix_test.c - all messages, all roles, all grants: who may send what, about whose things.
 *
 * The table below says a second time, for people, what broker/dispatch.c and shell/rights.c decide.
 * Every message is tried by every role with every shape of a grant of every verb, and the verdict
 * must be the table's. A message that the table does not name must be denied to everybody. */
#include "broker/core/testing.h"
#include "broker/dispatch.h"
#include "trust/grants.h"

/* ---- What should be, as people say it */

enum scope {
    FREE,      /* the role is enough */
    SOMEWHERE, /* any grant of the verb */
    JOB,       /* a grant that covers the job `load` at the server etl1 */
    SERVER,    /* a grant that covers the server etl1, whatever runs there */
    REACHES,   /* a grant of something at the server etl1 */
    ALL,       /* a grant that covers everything */
    NEVER      /* whatever the grants */
};

/* Whose thing is it? */
enum object { NOBODYS, OWN, OTHERS };

/* `roles`: a administrator, s server, c caller, m monitor, o the holder of a one-time key. */
static const struct matrix_row {
    const char *message, *what;
    const char *roles;
    const char *verbs; /* one of them is needed; administrators need none */
    enum scope scope;
    enum object object;
} TABLE[] = {
    {"HELLO", "", "ascmo", "", FREE, NOBODYS},
    {"BYE", "", "ascmo", "", FREE, NOBODYS},
    {"PING", "", "ascmo", "", FREE, NOBODYS},
    {"RESOLVE", "", "ac", "call", JOB, NOBODYS},
    {"CALL", "", "ac", "call", JOB, OWN},
    {"CALL", "signed by another", "ac", "call", NEVER, OTHERS},
    {"FOLLOW", "one's own run", "acm", "watch", FREE, OWN},
    {"FOLLOW", "another's run", "acm", "watch", JOB, OTHERS},
    {"FOLLOW", "one's own parent", "acm", "watch", FREE, OWN},
    {"FOLLOW", "another's parent", "acm", "watch", ALL, OTHERS},
    {"CANCEL", "one's own run", "ac", "operate", FREE, OWN},
    {"CANCEL", "another's run", "ac", "operate", JOB, OTHERS},
    {"PARENT_PLAN", "", "ac", "call", SOMEWHERE, NOBODYS},
    {"PARENT_BEGIN", "", "ac", "call", SOMEWHERE, OWN},
    {"PARENT_BEGIN", "signed by another", "ac", "call", NEVER, OTHERS},
    {"PARENT_DRIVE", "one's own parent", "ac", "operate", FREE, OWN},
    {"PARENT_DRIVE", "another's parent", "ac", "operate", ALL, OTHERS},
    {"PARENT_END", "one's own parent", "ac", "operate", FREE, OWN},
    {"PARENT_END", "another's parent", "ac", "operate", ALL, OTHERS},
    {"ATTEST", "", "s", "", FREE, NOBODYS},
    {"HAVE", "", "s", "", FREE, NOBODYS},
    {"HAVE_END", "", "s", "", FREE, NOBODYS},
    {"STARTED", "", "s", "", FREE, NOBODYS},
    {"PROGRESS", "", "s", "", FREE, NOBODYS},
    {"RESULT", "", "s", "", FREE, NOBODYS},
    {"RETURNED", "", "s", "", FREE, NOBODYS},
    {"LOG_DATA", "", "s", "", FREE, NOBODYS},
    {"LOGS", "one's own run", "acm", "watch", FREE, OWN},
    {"LOGS", "another's run", "acm", "watch", JOB, OTHERS},
    {"QUERY", "", "acm", "", FREE, NOBODYS},
    {"OPERATE", "drain etl1", "acm", "operate", SERVER, NOBODYS},
    {"OPERATE", "undrain etl1", "acm", "operate", SERVER, NOBODYS},
    {"OPERATE", "forget etl1", "acm", "operate", SERVER, NOBODYS},
    {"OPERATE", "release one's own run", "acm", "operate", FREE, OWN},
    {"OPERATE", "release another's run", "acm", "operate", JOB, OTHERS},
    {"OPERATE", "invite anna", "acm", "admin", ALL, NOBODYS},
    {"OPERATE", "backup /tmp/x", "acm", "admin", ALL, NOBODYS},
    {"OPERATE", "nonsense x", "acm", "admin", ALL, NOBODYS},
    {"SUBSCRIBE", "", "acm", "", FREE, NOBODYS},
    {"CREDIT", "", "acm", "", FREE, NOBODYS},
    {"UNSUBSCRIBE", "", "acm", "", FREE, NOBODYS},
    {"PUT", "", "ac", "deploy", SOMEWHERE, NOBODYS},
    {"PUT_END", "", "ac", "deploy", SOMEWHERE, NOBODYS},
    {"GET", "", "s", "", FREE, NOBODYS},
    {"GET", "", "ac", "call", SOMEWHERE, NOBODYS},
    {"DEPLOY", "", "ac", "deploy", JOB, NOBODYS},
    {"SECRET_PUT", "", "ac", "secret", JOB, OWN},
    {"SECRET_PUT", "signed by another", "ac", "secret", NEVER, OTHERS},
    {"SECRET_FOR", "", "ac", "secret", JOB, NOBODYS},
    {"SECRET_GET", "", "s", "", FREE, NOBODYS},
    {"ENROL", "", "o", "", FREE, NOBODYS},
    {"CERTIFICATE", "one's own", "ascm", "", FREE, OWN},
    {"CERTIFICATE", "a server's", "acm", "call watch operate deploy", REACHES, OTHERS},
    {"CERTIFICATE", "a caller's", "acm", "watch", ALL, OTHERS},
    {"CERTIFICATE", "nobody's", "acm", "watch", ALL, NOBODYS},
    {"PUBLISH", "", "ac", "admin", ALL, NOBODYS},
    {"REVOKE", "", "ac", "admin", ALL, NOBODYS},
};

/* Shapes of a grant, and what each covers. */
static const struct matrix_shape {
    const char *on;
    bool job, server, reaches, all;
} SHAPES[] = {
    {"load@etl1", .job = true, .reaches = true},
    {"load@etl", .job = true, .reaches = true}, /* etl1 is in the pool etl */
    {"l*@etl", .job = true, .reaches = true},
    {"load@all", .job = true, .reaches = true},
    {"*@etl1", .job = true, .server = true, .reaches = true},
    {"*@etl", .job = true, .server = true, .reaches = true},
    {"drop@etl1", .reaches = true},
    {"load@wh1", .job = false},
    {"*@wh1", .job = false},
    {"*@all", .job = true, .server = true, .reaches = true, .all = true},
    {"*@*", .job = true, .server = true, .reaches = true, .all = true},
};

static bool has_word(const char *words, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
            return true;
    return false;
}

static bool should_be_allowed(const struct matrix_row *r, char role, enum verb verb,
                              const struct matrix_shape *shape)
{
    if (r->scope == FREE)
        return true;
    if (r->scope == NEVER)
        return false;
    if (role == 'a')
        return true;
    if (!shape || !has_word(r->verbs, verb_word(verb)))
        return false;
    switch (r->scope) {
    case SOMEWHERE:
        return true;
    case JOB:
        return shape->job;
    case SERVER:
        return shape->server;
    case REACHES:
        return shape->reaches;
    case ALL:
        return shape->all;
    default:
        return false;
    }
}

/* ---- A core in which anna and otto each have a run and a parent, and etl1 is a server */

struct matrix {
    struct core_world *w;
    struct id run[2], parent[2]; /* anna's, otto's */
    struct certificate who;
    struct grant grant;
    struct buf message;
    unsigned cells;
};

static const char *const OWNERS[] = {"anna", "otto"};

static struct span parent_of(struct core_world *w, const char *caller)
{
    struct buf *body = world_scratch(w);
    d_parent_encode(&(struct d_parent){.cluster = span_str("test"),
                                       .caller = span_str(caller),
                                       .key = span_str("parent"),
                                       .name = span_str("nightly"),
                                       .issued_at = WORLD_WALL},
                    body);
    return world_wrapped(w, buf_span(body), caller);
}

static struct span call_of(struct core_world *w, const char *caller)
{
    struct d_call d = world_call_of("call");
    struct buf *body = world_scratch(w);
    d.caller = span_str(caller);
    d.address = span_str("etl1");
    d_call_encode(&d, body);
    return world_wrapped(w, buf_span(body), caller);
}

static void populate(struct matrix *m)
{
    struct core_world *w = m->w;
    struct m_accepted accepted;
    world_worker_up(w, "etl1", 1);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t peer = world_caller_up(w, OWNERS[i]);
        SAY(w, peer, OWNERS[i], call, .req = 1, .call = call_of(w, OWNERS[i]));
        SENT(w, peer, ACCEPTED, accepted, &accepted);
        m->run[i] = accepted.run;
        SAY(w, peer, OWNERS[i], parent_begin, .req = 2, .parent = parent_of(w, OWNERS[i]));
        SENT(w, peer, ACCEPTED, accepted, &accepted);
        m->parent[i] = accepted.run;
    }
}

#define PACK(low, ...) m_##low##_encode(&(struct m_##low){.req = 1, __VA_ARGS__}, &m->message)

static void pack_operate(struct matrix *m, const char *what, const struct id *run)
{
    char verb[64], id[ID_TEXT];
    const char *target = strchr(what, ' ');
    span_copy_str(span_of(what, (size_t)(target - what)), verb, sizeof verb);
    target = strcmp(verb, "release") == 0 ? id_format(*run, id) : target + 1;
    PACK(operate, .verb = span_str(verb), .target = span_str(target));
}

static void pack_deploy(struct matrix *m)
{
    struct buf *body = world_scratch(m->w);
    d_deployment_encode(&(struct d_deployment){.cluster = span_str("test"),
                                               .name = span_str("load"),
                                               .address = span_str("etl1")},
                        body);
    PACK(deploy, .deployment = world_wrapped(m->w, buf_span(body), "anna"));
}

static void pack_secret(struct matrix *m, const char *by)
{
    struct buf *body = world_scratch(m->w);
    d_secret_encode(&(struct d_secret){.cluster = span_str("test"),
                                       .name = span_str("load"),
                                       .address = span_str("etl1"),
                                       .by = span_str(by)},
                    body);
    PACK(secret_put, .secret = world_wrapped(m->w, buf_span(body), by));
}

/* The message of a row; of a message that is in no row, one with zeros. */
static void pack(struct matrix *m, uint64_t kind, const struct matrix_row *r)
{
    static const uint8_t zero[4096];
    const unsigned of = r && r->object == OTHERS;
    const bool parent = r && strstr(r->what, "parent");
    const struct id *run = parent ? &m->parent[of] : &m->run[of];
    buf_clear(&m->message);
    switch (r ? kind : 0) {
    case KIND_M_RESOLVE:
        PACK(resolve, .job = span_str("load"), .address = span_str("etl1"));
        break;
    case KIND_M_CALL:
        PACK(call, .call = call_of(m->w, OWNERS[of]));
        break;
    case KIND_M_FOLLOW:
        PACK(follow, .run = *run);
        break;
    case KIND_M_CANCEL:
        PACK(cancel, .run = *run);
        break;
    case KIND_M_LOGS:
        PACK(logs, .run = *run);
        break;
    case KIND_M_PARENT_BEGIN:
        PACK(parent_begin, .parent = parent_of(m->w, OWNERS[of]));
        break;
    case KIND_M_PARENT_DRIVE:
        PACK(parent_drive, .parent = m->parent[of]);
        break;
    case KIND_M_PARENT_END:
        PACK(parent_end, .parent = m->parent[of]);
        break;
    case KIND_M_OPERATE:
        pack_operate(m, r->what, run);
        break;
    case KIND_M_DEPLOY:
        pack_deploy(m);
        break;
    case KIND_M_SECRET_PUT:
        pack_secret(m, OWNERS[of]);
        break;
    case KIND_M_SECRET_FOR:
        PACK(secret_for, .name = span_str("load"), .address = span_str("etl1"));
        break;
    case KIND_M_CERTIFICATE:
        PACK(certificate, .name = span_str(r->object == NOBODYS  ? "nobody"
                                           : r->object == OWN    ? "anna"
                                           : r->scope == REACHES ? "etl1"
                                                                 : "otto"));
        break;
    default:
        wire_encode(messages_schema_of_kind(kind, NULL), zero, &m->message);
    }
}

static const struct {
    char letter;
    enum role role;
} ROLES_TRIED[] = {{'a', ROLE_ADMINISTRATOR}, {'s', ROLE_SERVER},  {'c', ROLE_CALLER},
                   {'m', ROLE_MONITOR},       {'b', ROLE_BUILDER}, {'r', ROLE_BROKER},
                   {'o', ROLE_NONE}};

/* One cell. */
static void try(struct matrix *m, const struct wire_schema *s, const struct matrix_row *r,
                unsigned role, enum verb verb, const struct matrix_shape *shape)
{
    const char letter = ROLES_TRIED[role].letter;
    const bool want = r && should_be_allowed(r, letter, verb, shape);
    char text[GRANT_TEXT] = "none";
    struct error err = {0};
    enum refusal code = REFUSAL_NONE;
    m->who.role = ROLES_TRIED[role].role;
    m->who.n_grants = shape != NULL;
    if (shape) {
        snprintf(text, sizeof text, "%s %s", verb_word(verb), shape->on);
        assert_int_equal(grant_parse(span_str(text), &m->grant, NULL), 0);
    }
    const struct certificate *who = letter == 'o' ? NULL : &m->who;
    const struct dispatch_row *row = dispatch_row_of(s->kind, rights_role(who));
    const enum rights_verdict is = rights_judge(m->w->core, who, row ? &row->rule : NULL, s->kind,
                                                buf_span(&m->message), &code, &err);
    if ((is == RIGHTS_ALLOWED) != want || is == RIGHTS_LATER)
        fail_msg("%s (%s) by role '%c' with the grant '%s': is %s, should be %s: %s", s->name,
                 r ? r->what : "", letter, text, is == RIGHTS_DENIED ? "denied" : "allowed",
                 want ? "allowed" : "denied", err.text);
    if (is == RIGHTS_DENIED && (code == REFUSAL_NONE || !err.text[0]))
        fail_msg("%s is denied without a code or a sentence", s->name);
    m->cells++;
}

static void try_grants(struct matrix *m, const struct wire_schema *s, const struct matrix_row *r,
                       unsigned role)
{
    pack(m, s->kind, r);
    try(m, s, r, role, VERB_CALL, NULL);
    for (unsigned v = 0; v < VERB_COUNT; v++)
        for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
            try(m, s, r, role, (enum verb)v, &SHAPES[i]);
}

static void every_message_role_and_grant_has_the_verdict_of_the_table(void **state)
{
    struct matrix m = {.w = *state};
    strcpy(m.who.name, "anna");
    m.who.grants = &m.grant;
    populate(&m);
    for (unsigned k = 0; messages_schema_at(k); k++) {
        const struct wire_schema *s = messages_schema_at(k);
        enum sender from = 0;
        if (s != messages_schema_of_kind(s->kind, &from) || !from)
            continue; /* not a message */
        for (unsigned role = 0; role < sizeof ROLES_TRIED / sizeof *ROLES_TRIED; role++) {
            bool any = false;
            for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
                if (strcmp(TABLE[i].message, s->name) != 0 ||
                    !strchr(TABLE[i].roles, ROLES_TRIED[role].letter))
                    continue;
                try_grants(&m, s, &TABLE[i], role);
                any = true;
            }
            if (!any) /* the table does not let this role send it at all */
                try_grants(&m, s, NULL, role);
        }
    }
    assert_true(m.cells > 20000);
    buf_free(&m.message);
}

/* A row that was added without a thought for this table is one that it does not name. */
static void every_row_of_dispatch_is_in_the_table(void **state)
{
    (void)state;
    for (unsigned i = 0; dispatch_row_at(i); i++) {
        const struct rights_rule *rule = &dispatch_row_at(i)->rule;
        const struct wire_schema *s = messages_schema_of_kind(rule->kind, NULL);
        for (size_t r = 0; r < sizeof ROLES_TRIED / sizeof *ROLES_TRIED; r++) {
            const struct certificate who = {.role = ROLES_TRIED[r].role};
            const char letter = ROLES_TRIED[r].letter;
            bool named = !(rule->roles & rights_role(letter == 'o' ? NULL : &who));
            for (size_t k = 0; !named && k < sizeof TABLE / sizeof *TABLE; k++)
                named = strcmp(TABLE[k].message, s->name) == 0 && strchr(TABLE[k].roles, letter);
            if (!named)
                fail_msg("%s by role '%c' is in dispatch.c and not in the table", s->name, letter);
        }
    }
}

/* ---- What depends on the grants of somebody else */

static void a_server_reads_the_certificates_of_those_who_deploy_to_it(void **state)
{
    struct matrix m = {.w = *state};
    char *pools[] = {"etl"};
    static const struct {
        const char *grant;
        bool may;
    } DEPLOYERS[] = {{"deploy *@etl", true},
                     {"deploy load@etl1", true},
                     {"deploy x@all", true},
                     {"deploy *@wh1", false},
                     {"call *@all", false}};
    const struct dispatch_row *row = dispatch_row_of(KIND_M_CERTIFICATE, RIGHTS_SRV);
    m.who = (struct certificate){.role = ROLE_SERVER, .name = "etl1", .pools = pools, .n_pools = 1};
    for (size_t i = 0; i < sizeof DEPLOYERS / sizeof *DEPLOYERS; i++) {
        struct buf grants = {0};
        char name[16];
        struct error err = {0};
        snprintf(name, sizeof name, "dora%zu", i);
        wire_add_str(&grants, span_str(DEPLOYERS[i].grant));
        struct buf *body = world_scratch(m.w), *hello = world_scratch(m.w);
        d_certificate_encode(&(struct d_certificate){.cluster = span_str("test"),
                                                     .name = span_str(name),
                                                     .role = span_str("caller"),
                                                     .serial = 50 + i,
                                                     .grants = wire_list_from(&grants, 1)},
                             body);
        struct bcore_peer who = {.name = name,
                                 .role = "caller",
                                 .address = "",
                                 .certificate = world_wrapped(m.w, buf_span(body), "")};
        m_hello_encode(&(struct m_hello){.major = PROTO_MAJOR}, hello);
        world_step(m.w, (struct bcore_event){.kind = BCORE_PEER_UP,
                                             .peer = 100 + i,
                                             .who = &who,
                                             .message = buf_span(hello)});
        buf_clear(&m.message);
        m_certificate_encode(&(struct m_certificate){.name = span_str(name)}, &m.message);
        const enum rights_verdict v = rights_judge(
            m.w->core, &m.who, &row->rule, KIND_M_CERTIFICATE, buf_span(&m.message), NULL, &err);
        if ((v == RIGHTS_ALLOWED) != DEPLOYERS[i].may)
            fail_msg("the certificate of one who may '%s'", DEPLOYERS[i].grant);
        buf_free(&grants);
    }
    buf_free(&m.message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(every_message_role_and_grant_has_the_verdict_of_the_table),
        cmocka_unit_test(every_row_of_dispatch_is_in_the_table),
        in_world(a_server_reads_the_certificates_of_those_who_deploy_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
