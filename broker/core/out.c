/* out.c - records and effects of one step. During a step their bodies are offsets into the arena,
 * which may move as it grows; out_finish turns them into spans. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/inside.h"
#include "common/utf8.h"

static struct span place_from(const struct buf *arena, size_t at)
{
    return (struct span){(const uint8_t *)(uintptr_t)at, arena->n - at};
}

static struct span place_to(const struct bcore_out *out, struct span s)
{
    return s.n ? span_of(out->arena.p + (uintptr_t)s.p, s.n) : SPAN_NONE;
}

void bcore_out_free(struct bcore_out *out)
{
    mem_free(&out->records);
    mem_free(&out->effects);
    buf_free(&out->arena);
    memset(out, 0, sizeof *out);
}

void out_finish(struct bcore_out *out)
{
    for (unsigned i = 0; i < out->n_records; i++)
        out->records[i].body = place_to(out, out->records[i].body);
    for (unsigned i = 0; i < out->n_effects; i++) {
        out->effects[i].body = place_to(out, out->effects[i].body);
        out->effects[i].key = place_to(out, out->effects[i].key);
    }
}

uint64_t out_emit(struct bcore *c, const struct wire_schema *s, const void *record)
{
    struct bcore_out *out = c->out;
    struct error err = {0};
    size_t at = out->arena.n;
    if (out->n_records == out->cap_records) {
        out->cap_records = out->cap_records ? out->cap_records * 2 : 8;
        out->records = mem_realloc(out->records, out->cap_records, sizeof *out->records);
    }
    wire_encode(s, record, &out->arena);
    out->records[out->n_records++] =
        (struct bcore_record){.lsn = c->lsn + 1, .body = place_from(&out->arena, at)};
    int rc = apply_record(c, c->lsn + 1, span_of(out->arena.p + at, out->arena.n - at), &err);
    /* otherwise a step has decided something that the state does not allow, and a replay would
     * refuse it */
    assert(rc == 0);
    (void)rc;
    return c->lsn;
}

static struct bcore_effect *effect_new(struct bcore *c, enum bcore_effect_kind kind, uint64_t peer,
                                       uint64_t rests_on)
{
    struct bcore_out *out = c->out;
    if (out->n_effects == out->cap_effects) {
        out->cap_effects = out->cap_effects ? out->cap_effects * 2 : 16;
        out->effects = mem_realloc(out->effects, out->cap_effects, sizeof *out->effects);
    }
    out->effects[out->n_effects] =
        (struct bcore_effect){.kind = kind, .peer = peer, .rests_on = rests_on};
    return &out->effects[out->n_effects++];
}

void out_send(struct bcore *c, uint64_t peer, uint64_t rests_on, const struct wire_schema *s,
              const void *message)
{
    struct bcore_effect *e = effect_new(c, BCORE_FX_SEND, peer, rests_on);
    size_t at = c->out->arena.n;
    wire_encode(s, message, &c->out->arena);
    e->body = place_from(&c->out->arena, at);
}

void out_close(struct bcore *c, uint64_t peer, const struct wire_schema *s, const void *message)
{
    struct bcore_effect *e = effect_new(c, BCORE_FX_CLOSE, peer, 0);
    size_t at = c->out->arena.n;
    wire_encode(s, message, &c->out->arena);
    e->body = place_from(&c->out->arena, at);
}

void out_refuse(struct bcore *c, uint64_t peer, enum refusal code, uint64_t retry_ms,
                const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    out_close(
        c, peer, &m_refused_schema,
        &(struct m_refused){.code = code, .text = span_str(utf8_trim(text)), .retry_ms = retry_ms});
}

void out_lookup(struct bcore *c, uint64_t peer, uint64_t req, struct id run, uint64_t level,
                uint64_t rests_on)
{
    struct bcore_effect *e = effect_new(c, BCORE_FX_LOOKUP, peer, rests_on);
    e->req = req;
    e->run = run;
    e->level = level;
}

void out_lookup_key(struct bcore *c, uint64_t peer, uint64_t req, struct span key, bool parent)
{
    struct bcore_effect *e = effect_new(c, BCORE_FX_LOOKUP_KEY, peer, c->lsn);
    size_t at = c->out->arena.n;
    buf_add(&c->out->arena, c->ev->message.p, c->ev->message.n);
    e->body = place_from(&c->out->arena, at);
    at = c->out->arena.n;
    buf_add(&c->out->arena, key.p, key.n);
    e->key = place_from(&c->out->arena, at);
    e->req = req;
    e->called_lsn = c->kept.forgot_lsn;
    e->parent = parent;
}

void out_lookup_handed(struct bcore *c, const struct peer_state *p, struct id run, uint64_t attempt)
{
    struct bcore_effect *e = effect_new(c, BCORE_FX_LOOKUP_HANDED, p->handle, c->lsn);
    size_t at = c->out->arena.n;
    buf_add(&c->out->arena, c->ev->message.p, c->ev->message.n);
    e->body = place_from(&c->out->arena, at);
    at = c->out->arena.n;
    buf_add(&c->out->arena, p->name->s, p->name->n);
    e->key = place_from(&c->out->arena, at);
    e->run = run;
    e->attempt = attempt;
}

void out_note(struct bcore *c, const struct peer_state *p, struct id run, const char *text)
{
    struct bcore_effect *e = effect_new(c, BCORE_FX_NOTE, 0, 0);
    size_t at = c->out->arena.n;
    buf_add_str(&c->out->arena, text);
    e->body = place_from(&c->out->arena, at);
    at = c->out->arena.n;
    buf_add(&c->out->arena, p->name->s, p->name->n);
    e->key = place_from(&c->out->arena, at);
    e->run = run;
}

void out_execute(struct bcore *c, const struct run *r, const struct m_execute *message)
{
    struct bcore_effect *e = effect_new(c, BCORE_FX_EXECUTE, r->at->server->peer->handle, r->lsn);
    size_t at = c->out->arena.n;
    m_execute_encode(message, &c->out->arena);
    e->body = place_from(&c->out->arena, at);
    e->run = r->id;
    e->called_lsn = r->called_lsn;
}

static void send_error(struct bcore *c, uint64_t rests_on, uint64_t req, enum refusal code,
                       uint64_t retry_ms, const char *fmt, va_list ap)
{
    char text[ERROR_TEXT_MAX];
    vsnprintf(text, sizeof text, fmt, ap);
    c->counts.refused++;
    SEND(c, c->ev->peer, rests_on, error, .req = req, .code = code,
         .text = span_str(utf8_trim(text)), .retry_ms = retry_ms);
}

void out_fail(struct bcore *c, uint64_t req, enum refusal code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    send_error(c, 0, req, code, 0, fmt, ap);
    va_end(ap);
}

void out_fail_after(struct bcore *c, uint64_t rests_on, uint64_t req, enum refusal code,
                    const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    send_error(c, rests_on, req, code, 0, fmt, ap);
    va_end(ap);
}

/* Half the shortest wait is random. What one principal sends beyond its share returns one after
 * another, so the more was refused, the longer the last one waits. */
static uint64_t retry_of(struct bcore *c)
{
    struct peer_state *p = bcore_peer_find(c, c->ev->peer);
    int64_t soonest = c->now + BUSY_RETRY_MS;
    uint64_t some = (c->ev->random[14] * 256u + c->ev->random[15]) % BUSY_RETRY_MS;
    if (!p)
        return BUSY_RETRY_MS + some;
    int64_t at = p->account->retry_at + RETRY_SPACING_MS;
    if (at < soonest || at > c->now + RETRY_LATEST_MS)
        at = soonest;
    p->account->retry_at = at;
    return (uint64_t)(at - c->now) + some;
}

void out_fail_busy(struct bcore *c, uint64_t req, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    send_error(c, 0, req, REFUSAL_BUSY, retry_of(c), fmt, ap);
    va_end(ap);
}

void out_done(struct bcore *c, uint64_t req, uint64_t rests_on, const char *text)
{
    SEND(c, c->ev->peer, rests_on, done, .req = req, .text = span_str(text));
}
