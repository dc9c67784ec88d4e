/* shell.c - see shell.h. */
#include "broker/shell/shell.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "broker/shell/hello.h"
#include "broker/shell/turn.h"

void shell_listen(struct shell *sh, const struct shell_listener *listener)
{
    assert(sh->n_listeners < SHELL_LISTENERS_MAX);
    sh->listeners[sh->n_listeners++] = *listener;
}

struct shell_peer *shell_find_peer(const struct shell *sh, uint64_t handle)
{
    struct shell_peer *p = NULL;
    HASH_FIND(hh, sh->peers, &handle, sizeof handle, p);
    return p;
}

void shell_read(const struct wire_schema *schema, struct span message, void *ret)
{
    const int rc = wire_decode(schema, message, false, ret, NULL);
    assert(rc == 0); /* dispatch.c hands on nothing else */
    (void)rc;
}

/* ---- Answers */
void shell_send(struct shell *sh, uint64_t peer, const struct wire_schema *schema,
                const void *message)
{
    buf_clear(&sh->scratch);
    wire_encode(schema, message, &sh->scratch);
    /* The peer is gone, or dropped because it does not read: `down` has reported it or will. */
    net_server_send(sh->net, peer, buf_span(&sh->scratch));
}

/* A sentence cut to the length of a field, between characters. */
static struct span sentence(char text[LIMIT_TEXT + 1], const char *fmt, va_list ap)
{
    int n = vsnprintf(text, LIMIT_TEXT + 1, fmt, ap);
    size_t size = n < 0 ? 0 : n > LIMIT_TEXT ? LIMIT_TEXT : (size_t)n;
    while (size && n > LIMIT_TEXT && ((uint8_t)text[size] & 0xc0) == 0x80)
        size--;
    return span_of(text, size);
}

void shell_error(struct shell *sh, uint64_t peer, uint64_t req, enum refusal code, const char *fmt,
                 ...)
{
    char text[LIMIT_TEXT + 1];
    va_list ap;
    va_start(ap, fmt);
    struct m_error m = {.req = req,
                        .code = code,
                        .text = sentence(text, fmt, ap),
                        .retry_ms = code == REFUSAL_BUSY ? BUSY_RETRY_MS : 0};
    va_end(ap);
    shell_refused(sh, peer, code, m.text);
    shell_send(sh, peer, &m_error_schema, &m);
}

void shell_refused(struct shell *sh, uint64_t peer, enum refusal code, struct span text)
{
    struct shell_taking *t = &sh->taking;
    if (t->peer != peer || t->code != REFUSAL_NONE)
        return;
    t->code = code;
    span_copy_str(text, t->text, sizeof t->text);
}

void shell_done(struct shell *sh, uint64_t peer, uint64_t req, const char *fmt, ...)
{
    char text[LIMIT_TEXT + 1];
    va_list ap;
    va_start(ap, fmt);
    struct m_done m = {.req = req, .text = sentence(text, fmt, ap)};
    va_end(ap);
    shell_send(sh, peer, &m_done_schema, &m);
}

void shell_note(struct shell *sh, const char *by, const char *verb, const char *target,
                const char *text)
{
    struct span on = span_str(target);
    on.n = on.n < LIMIT_SHORT ? on.n : LIMIT_SHORT;
    store_note(sh->store, &(struct r_operated){.at = loop_now_wall(sh->loop),
                                               .by = span_str(by),
                                               .verb = span_str(verb),
                                               .target = on,
                                               .reason = span_str(text)});
}

void shell_hidden(struct shell *sh, const struct shell_peer *p, const char *verb,
                  const struct id *run)
{
    char id[ID_TEXT];
    const struct ledger_who who = {.name = p->who.name,
                                   .role = p->who.role,
                                   .address = p->address,
                                   .key = p->key,
                                   .serial = p->certificate ? p->certificate->serial : 0};
    const struct auditor_entry e = {.verb = verb,
                                    .object = id_format(*run, id),
                                    .decision = AUDIT_DENIED,
                                    .code = REFUSAL_UNKNOWN_RUN,
                                    .reason = "the run is another's, and no grant shows it: the "
                                              "answer was that there is none"};
    auditor_deny(sh->auditor, loop_now(sh->loop), loop_now_wall(sh->loop), &who, &e);
}

void shell_drop(struct shell *sh, struct shell_peer *p, enum refusal code, const char *text)
{
    shell_refused(sh, p->handle, code, span_str(text));
    buf_clear(&sh->scratch);
    m_refused_encode(
        &(struct m_refused){.code = code, .text = span_str(text), .retry_ms = LEASE_MS},
        &sh->scratch);
    net_server_close_peer(sh->net, p->handle, buf_span(&sh->scratch));
    turn_peer_gone(sh, p->handle);
    hello_forget(sh, p);
}
