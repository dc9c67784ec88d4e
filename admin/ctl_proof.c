/* ctl_proof.c - see ctl_proof.h. */
#include "admin/ctl_proof.h"

#include <errno.h>
#include <string.h>

#include "admin/ctl_lists.h"
#include "common/json.h"
#include "common/mem.h"

static const char *const names[PROOF_PARTS] = {
#define X(name) #name,
    CTL_PROOF_PARTS(X)
#undef X
};

const char *ctl_proof_name(unsigned part)
{
    return names[part];
}

void ctl_proof_free(struct ctl_proof *p)
{
    for (unsigned i = 0; i < PROOF_PARTS; i++)
        buf_free(&p->parts[i]);
    *p = (struct ctl_proof){.attempt = 0};
}

struct evidence_bundle ctl_proof_evidence(const struct ctl_proof *p)
{
    struct evidence_bundle e = {
        .run = p->run, .attempt = p->attempt, .server = span_str(p->server)};
#define X(name) e.name = buf_span(&p->parts[PROOF_##name]);
    CTL_PROOF_PARTS(X)
#undef X
    return e;
}

/* ---- From the broker */

struct ctl_fetch {
    struct ctl_proof *to;
    struct error *err;
    int rc;
};

static int take_piece(struct ctl_proof *p, const char *part, const char *data, struct error *err)
{
    for (unsigned i = 0; i < PROOF_PARTS; i++)
        if (strcmp(part, names[i]) == 0)
            return b64_parse(data, &p->parts[i], err);
    return 0; /* of a newer broker */
}

static bool take_row(void *self, struct span text)
{
    struct ctl_fetch *f = self;
    json_t *row = json_parse("evidence", text, f->err);
    const char *part = ctl_text(row, "part");
    if (!row)
        f->rc = -EPROTO;
    else if (*part)
        f->rc = take_piece(f->to, part, ctl_text(row, "data"), f->err);
    else {
        f->to->attempt = (uint64_t)ctl_int(row, "attempt");
        f->to->ended = json_is_true(json_object_get(row, "ended"));
        span_copy_str(span_str(ctl_text(row, "server")), f->to->server, sizeof f->to->server);
    }
    json_decref(row);
    return f->rc == 0;
}

static void put(struct buf *to, struct span bytes)
{
    buf_clear(to);
    buf_add(to, bytes.p, bytes.n);
}

int ctl_proof_fetch(struct longboat *lb, const struct id *run, struct ctl_proof *ret,
                    struct error *err)
{
    struct ctl_proof p = {.run = *run};
    struct ctl_fetch f = {&p, err, 0};
    struct buf where = {0};
    char id[ID_TEXT];
    value_add_str(&where, span_str("run"));
    value_add_str(&where, span_str(id_format(*run, id)));
    const struct wire_list list = wire_list_from(&where, 1);
    int rc = longboat_query(lb, "evidence", &list, take_row, &f, err);
    buf_free(&where);
    if (rc == 0)
        rc = f.rc;
    if (rc < 0) {
        ctl_proof_free(&p);
        return rc;
    }
    span_copy_str(span_str(longboat_me(lb)->cluster), p.cluster, sizeof p.cluster);
    put(&p.parts[PROOF_broker_certificate], longboat_broker_certificate(lb));
    put(&p.parts[PROOF_revocations], longboat_revocations(lb));
    *ret = p;
    return 0;
}

/* ---- As JSON */

json_t *ctl_proof_to_json(const struct ctl_proof *p)
{
    char id[ID_TEXT];
    json_t *o = json_object();
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "cluster", json_string(p->cluster));
    json_object_set_new(o, "run", json_string(id_format(p->run, id)));
    json_object_set_new(o, "attempt", json_integer((json_int_t)p->attempt));
    json_object_set_new(o, "server", json_string(p->server));
    for (unsigned i = 0; i < PROOF_PARTS; i++)
        if (p->parts[i].n) {
            char *text = b64_format(buf_span(&p->parts[i]));
            json_object_set_new(o, names[i], json_string(text));
            mem_free(&text);
        }
    return o;
}

static int get_name(json_t *o, const char *key, char ret[LIMIT_NAME + 1], struct error *err)
{
    const char *text;
    int rc = json_get_str(o, key, &text, err);
    if (rc == 0 && !span_copy_str(span_str(text), ret, LIMIT_NAME + 1))
        rc = error_set(err, -EINVAL, "'%s' is longer than %d bytes", key, LIMIT_NAME);
    return rc;
}

static int get_head(json_t *o, struct ctl_proof *p, struct error *err)
{
    const char *run = "";
    int64_t v = 0, attempt = 0;
    int rc = json_get_int(o, "v", &v, err);
    if (rc == 0 && v != 1)
        rc = error_set(err, -EINVAL, "'v' is %lld: this program reads version 1", (long long)v);
    if (rc < 0 || (rc = get_name(o, "cluster", p->cluster, err)) < 0 ||
        (rc = get_name(o, "server", p->server, err)) < 0 ||
        (rc = json_get_str(o, "run", &run, err)) < 0 ||
        (rc = json_get_int(o, "attempt", &attempt, err)) < 0)
        return rc;
    if ((rc = id_parse(run, &p->run, err)) < 0)
        return error_prefix(err, "'run'");
    if (attempt < 0 || attempt > LIMIT_ATTEMPTS)
        return error_set(err, -EINVAL, "'attempt' is not between 0 and %d", LIMIT_ATTEMPTS);
    p->attempt = (uint64_t)attempt;
    return 0;
}

int ctl_proof_from_json(json_t *o, struct ctl_proof *ret, struct error *err)
{
    const char *allowed[PROOF_PARTS + 6] = {"v", "cluster", "run", "attempt", "server"};
    struct ctl_proof p = {.attempt = 0};
    memcpy(allowed + 5, names, sizeof names);
    int rc = json_is_object(o) ? json_check_keys(o, allowed, err)
                               : error_set(err, -EINVAL, "it is not a JSON object");
    if (rc == 0)
        rc = get_head(o, &p, err);
    for (unsigned i = 0; rc == 0 && i < PROOF_PARTS; i++) {
        const char *text;
        if (!json_object_get(o, names[i]))
            continue;
        if ((rc = json_get_str(o, names[i], &text, err)) == 0 &&
            (rc = b64_parse(text, &p.parts[i], err)) < 0)
            error_prefix(err, "'%s'", names[i]);
    }
    if (rc < 0) {
        ctl_proof_free(&p);
        return rc;
    }
    *ret = p;
    return 0;
}

/* ---- What lbctl show says */

const char *ctl_proof_word(enum ctl_proof_state state)
{
#define X(n, w) [CTL_PROOF_##n] = w,
    static const char *const words[CTL_PROOF_STATE_COUNT] = {CTL_PROOF_STATES(X)};
#undef X
    return words[state];
}

static bool same_values(json_t *is_signed, json_t *shown)
{
    const bool same = is_signed && json_equal(is_signed, shown);
    json_decref(is_signed);
    return same;
}

/* Are these the status and outputs that were signed? */
static bool shows_what_was_signed(json_t *row, struct span outcome)
{
    struct d_outcome o;
    struct buf text = {0};
    if (d_outcome_decode(outcome, &o, NULL) < 0 ||
        strcmp(ctl_text(row, "status"), status_text(o.status)) != 0)
        return false;
    json_t *shown = json_object_get(row, "outputs");
    if (!shown)
        return o.outputs.count == 0;
    wire_map_to_json(&o.outputs, &text);
    bool same = same_values(json_parse("outputs", buf_span(&text), NULL), shown) ||
                same_values(json_parse_shown("outputs", buf_span(&text), NULL), shown);
    buf_free(&text);
    return same;
}

static void keep_first_bad(void *self, const char *part, bool good, const char *text)
{
    struct buf *why = self;
    if (!good && why->n == 0)
        buf_printf(why, "%s: %s", part, text);
}

static enum ctl_proof_state judge_unsigned(const struct evidence_bundle *e, struct buf *out)
{
    struct d_outcome o = {.job = JOB_UNKNOWN};
    const bool needs = d_outcome_decode(e->outcome, &o, NULL) < 0 || result_needs_signature(&o);
    buf_add_str(out, needs ? "not signed: missing, so only the broker says how it ended"
                           : "not signed: the broker's own word");
    return needs ? CTL_PROOF_MISSING : CTL_PROOF_BROKER;
}

static enum ctl_proof_state judge_signed(struct longboat *lb, struct evidence_bundle *e,
                                         json_t *row, struct buf *out)
{
    struct ctl_lists lists = {.n = 0};
    struct error err = {0};
    struct span signer = SPAN_NONE;
    struct buf why = {0};
    uint64_t serial = 0;
    enum ctl_proof_state state = CTL_PROOF_BAD;
    result_signer(e->signature, &signer, &serial, NULL);
    buf_printf(out, "signed by " SPAN_FMT " (serial %llu): ", SPAN_ARG(signer),
               (unsigned long long)serial);
    const int rc = ctl_lists_add_home(&lists, &err);
    ctl_lists_offer(&lists, e);
    if (rc < 0) {
        buf_printf(out, "not verified: %s", err.text);
        state = CTL_PROOF_NOT_VERIFIED;
    } else if (!evidence_verify(e, longboat_administrators(lb), keep_first_bad, &why)) {
        buf_printf(out, "bad: %s", buf_str(&why));
    } else if (!shows_what_was_signed(row, e->outcome)) {
        buf_add_str(out, "bad: the broker shows another status or other outputs than were signed");
    } else {
        buf_add_str(out, "good");
        state = CTL_PROOF_GOOD;
    }
    ctl_lists_free(&lists);
    buf_free(&why);
    return state;
}

enum ctl_proof_state ctl_proof_say(struct longboat *lb, json_t *row, struct buf *out)
{
    struct ctl_proof p = {.attempt = 0};
    struct error err = {0};
    struct id run;
    enum ctl_proof_state state = CTL_PROOF_NOT_VERIFIED;
    if (id_parse(ctl_text(row, "run"), &run, &err) < 0 || ctl_proof_fetch(lb, &run, &p, &err) < 0) {
        buf_printf(out, "not verified: %s", err.text);
    } else if (!p.ended) {
        buf_add_str(out, "not verified: the broker shows an end, and has no proof of one");
    } else {
        struct evidence_bundle e = ctl_proof_evidence(&p);
        state = e.signature.n ? judge_signed(lb, &e, row, out) : judge_unsigned(&e, out);
    }
    ctl_proof_free(&p);
    return state;
}
