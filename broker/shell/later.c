/* later.c - see later.h. */
#include "broker/shell/later.h"

#include <errno.h>

#include "broker/shell/about.h"
#include "broker/shell/ask.h"
#include "broker/shell/hello.h"
#include "proto/request.h"

struct later_judging {
    struct shell *shell;
    uint64_t peer, kind;
    const struct rights_rule *rule;
    struct id run;
    struct buf message;
    later_hear *hear;
    void *self;
};

static void later_free(struct later_judging *l)
{
    buf_free(&l->message);
    mem_free(&l);
}

/* Which run or parent is it about? */
static bool run_of(uint64_t kind, struct span message, struct id *ret)
{
    struct m_cancel cancel;
    struct m_parent_drive drive;
    struct m_parent_end end;
    struct m_operate operate;
    switch (kind) {
    case KIND_M_CANCEL:
        return m_cancel_decode(message, &cancel, NULL) == 0 && (*ret = cancel.run, true);
    case KIND_M_PARENT_DRIVE:
        return m_parent_drive_decode(message, &drive, NULL) == 0 && (*ret = drive.parent, true);
    case KIND_M_PARENT_END:
        return m_parent_end_decode(message, &end, NULL) == 0 && (*ret = end.parent, true);
    case KIND_M_OPERATE: /* release */
        return m_operate_decode(message, &operate, NULL) == 0 &&
               id_parse_span(operate.target, ret, NULL) == 0;
    default:
        return false;
    }
}

static enum refusal judge(const struct later_judging *l, const struct shell_peer *p,
                          const struct about *about, struct error *err)
{
    const struct bcore *core = l->shell->core;
    char id[ID_TEXT];
    if (about->known)
        return rights_judge_about(core, p->certificate, l->rule->verb, about, err);
    if (rights_cover(core, p->certificate, l->rule->verb, "", "all"))
        return REFUSAL_NONE; /* the core knows whether it has the key */
    error_set(err, -ENOENT, "run %s is neither live nor in the history", id_format(l->run, id));
    return REFUSAL_UNKNOWN_RUN;
}

static void hear_first(void *self, const struct store_answer *a)
{
    struct later_judging *l = self;
    struct shell *sh = l->shell;
    struct shell_peer *p = a->rc == -ECANCELED ? NULL : shell_find_peer(sh, l->peer);
    struct about about;
    struct error err = {0};
    const char *why;
    enum refusal code;
    uint64_t req = 0;
    request_number(l->kind, buf_span(&l->message), false, &req);
    if (p && (code = hello_still_good(sh, p, &why)) != REFUSAL_NONE) {
        shell_drop(sh, p, code, why);
    } else if (p && a->rc < 0) {
        shell_error(sh, l->peer, req, REFUSAL_BUSY, "the store cannot be read: %s", a->err.text);
    } else if (p) {
        about_of(a->n_records ? a->records[0].body : SPAN_NONE, &about);
        code = judge(l, p, &about, &err);
        l->hear(l->self, p, l->kind, buf_span(&l->message), code, err.text);
    }
    later_free(l);
}

void later_judge(struct shell *sh, struct shell_peer *p, const struct rights_rule *rule,
                 uint64_t kind, struct span message, later_hear *hear, void *self)
{
    struct store_question q = {.what = STORE_RECORDS, .most = 2, .quick = true};
    struct error err = {0};
    uint64_t req = 0;
    struct later_judging *l = mem_zalloc(1, sizeof *l);
    request_number(kind, message, false, &req);
    *l = (struct later_judging){.shell = sh,
                                .peer = p->handle,
                                .kind = kind,
                                .rule = rule,
                                .message = buf_dup(message),
                                .hear = hear,
                                .self = self};
    if (!run_of(kind, message, &l->run)) {
        shell_error(sh, p->handle, req, REFUSAL_DENIED, "it names no run");
        later_free(l);
        return;
    }
    q.run = l->run;
    if (ask_store(sh, p, BUDGET_LOOKUPS, sizeof *l + l->message.n, &q, hear_first, l, &err) < 0) {
        shell_error(sh, p->handle, req, REFUSAL_BUSY, "%s", err.text);
        later_free(l);
    }
}
