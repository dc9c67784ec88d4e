/* door.c - see door.h. The rules are rows of broker/dispatch.c. */
#include "tests/sim/door.h"

#include "broker/shell/rights.h"

static const struct rights_rule rules[] = {
    {KIND_M_FOLLOW, RIGHTS_PEOPLE, VERB_WATCH, RIGHTS_RUN},
    {KIND_M_CANCEL, RIGHTS_ADM | RIGHTS_CLL, VERB_OPERATE, RIGHTS_RUN},
    {KIND_M_PARENT_DRIVE, RIGHTS_ADM | RIGHTS_CLL, VERB_OPERATE, RIGHTS_PARENT},
    {KIND_M_PARENT_END, RIGHTS_ADM | RIGHTS_CLL, VERB_OPERATE, RIGHTS_PARENT},
    {KIND_M_OPERATE, RIGHTS_PEOPLE, VERB_OPERATE, RIGHTS_OPERATE},
};

static uint64_t req_of(struct span message)
{
    union {
        struct m_follow follow;
        struct m_cancel cancel;
        struct m_parent_drive drive;
        struct m_parent_end end;
        struct m_operate operate;
    } m;
    return m_follow_decode(message, &m.follow, NULL) == 0        ? m.follow.req
           : m_cancel_decode(message, &m.cancel, NULL) == 0      ? m.cancel.req
           : m_parent_drive_decode(message, &m.drive, NULL) == 0 ? m.drive.req
           : m_parent_end_decode(message, &m.end, NULL) == 0     ? m.end.req
           : m_operate_decode(message, &m.operate, NULL) == 0    ? m.operate.req
                                                                 : 0;
}

bool door_admits(const struct bcore *core, struct span certificate, struct span message,
                 struct buf *answer)
{
    struct certificate who = {0};
    struct error err = {0};
    enum refusal code = REFUSAL_DENIED;
    enum rights_verdict verdict = RIGHTS_ALLOWED;
    uint64_t kind = 0;
    size_t size;
    wire_peek(message, &kind, &size, NULL);
    for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].kind == kind && certificate_read(certificate, &who, NULL) == 0)
            verdict = rights_judge(core, &who, &rules[i], kind, message, &code, &err);
    certificate_free(&who);
    if (verdict != RIGHTS_DENIED)
        return true;
    m_error_encode(
        &(struct m_error){.req = req_of(message), .code = code, .text = span_str(err.text)},
        answer);
    return false;
}

bool door_may_see(const struct bcore *core, struct span certificate, struct span first_record)
{
    struct certificate who = {0};
    struct about about;
    about_of(first_record, &about);
    bool may =
        certificate_read(certificate, &who, NULL) == 0 && rights_may_see_about(core, &who, &about);
    certificate_free(&who);
    return may;
}
