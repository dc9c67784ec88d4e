/* shadow.c - see shadow.h. */
#include "tests/sim/shadow.h"

#include "common/mem.h"

enum { DIGEST_EVERY = 40 }; /* steps with records between two comparisons */

struct shadow {
    struct laws *laws;
    const struct bcore_config *config;
    struct bcore *durable, *emitted; /* emitted: NULL while no process lives */
    unsigned since_digest;
};

struct shadow *shadow_new(struct laws *l, const struct bcore_config *config)
{
    struct shadow *s = mem_zalloc(1, sizeof *s);
    s->laws = l;
    s->config = config;
    s->durable = bcore_new(config);
    return s;
}

void shadow_free(struct shadow **ps)
{
    struct shadow *s = *ps;
    if (!s)
        return;
    shadow_end(s);
    bcore_free(&s->durable);
    mem_free(ps);
}

void shadow_end(struct shadow *s)
{
    bcore_free(&s->emitted);
}

/* ---- A start */
static int replay_one(void *self, uint64_t lsn, struct span record, struct error *err)
{
    return bcore_replay(self, lsn, record, err);
}

static bool replay(struct shadow *s, struct journal *j, bool folded, struct bcore *into)
{
    struct error err = {0};
    uint64_t kept = s->config->kept_max ? s->config->kept_max : KEPT_MAX;
    if (journal_load(j, folded, kept, replay_one, into, &err) == 0)
        return true;
    law_break(s->laws, LAW_REPLAY_IS_STATE, "%s journal: %s", folded ? "folded" : "whole",
              err.text);
    return false;
}

static void compare(struct shadow *s, const struct bcore *core, const struct bcore *with,
                    const char *what)
{
    struct hash is, replayed;
    bcore_digest(core, &is);
    bcore_digest(with, &replayed);
    laws_digests(s->laws, LAW_REPLAY_IS_STATE, what, &is, &replayed);
}

bool shadow_begin(struct shadow *s, struct journal *j, bool folded, struct bcore *core,
                  uint64_t *ret_left_out)
{
    s->emitted = bcore_new(s->config);
    s->since_digest = 0;
    if (!replay(s, j, folded, core))
        return false;
    *ret_left_out = journal_left_out(j);
    if (!replay(s, j, false, s->emitted))
        return false;
    compare(s, core, s->durable,
            folded ? "the folded journal gives another state than its records did"
                   : "the journal gives another state than its records did");
    return true;
}

/* ---- What happens after that */
static void take(struct shadow *s, struct bcore *into, uint64_t lsn, struct span record)
{
    struct error err = {0};
    if (bcore_replay(into, lsn, record, &err) < 0)
        law_break(s->laws, LAW_REPLAY_IS_STATE, "%s", err.text);
}

void shadow_emitted(struct shadow *s, uint64_t lsn, struct span record)
{
    take(s, s->emitted, lsn, record);
}

void shadow_durable(struct shadow *s, uint64_t lsn, struct span record)
{
    take(s, s->durable, lsn, record);
}

void shadow_judge(struct shadow *s, const struct bcore *core, const char *what)
{
    compare(s, core, s->emitted, what);
    s->since_digest = 0;
}

void shadow_stepped(struct shadow *s, const struct bcore *core)
{
    if (++s->since_digest >= DIGEST_EVERY)
        shadow_judge(s, core, "the broker's state is not what replaying its records gives");
}
