/* rivalworker.c - see rivalworker.h. */
#include "tests/sim/rivalworker.h"

#include "common/mem.h"
#include "tests/sim/peerline.h"

struct rivalworker {
    struct world *w;
    struct laws *laws;
    struct process *process;
    struct peerline *line;
    struct rivalworker_self self;
};

static void say_hello(void *self, struct m_hello *m)
{
    struct rivalworker *s = self;
    m->spool = s->self.spool;
    m->boot = s->self.boot;
    m->incarnation = s->self.incarnation;
    m->process = span_str("rival");
    m->slots = 1;
}

/* It is hostile as well: it reports a result of a run that never was. */
static void forge_result(struct rivalworker *s)
{
    struct buf outcome = {0}, b = {0};
    struct id run;
    world_random_bytes(s->w, &run, sizeof run);
    d_outcome_encode(&(struct d_outcome){.delivery = DELIVERY_CALLED,
                                         .job = JOB_SUCCEEDED,
                                         .package = PACKAGE_SUCCEEDED,
                                         .status = STATUS_SUCCEEDED},
                     &outcome);
    m_result_encode(&(struct m_result){.run = run, .attempt = 1, .outcome = buf_span(&outcome)},
                    &b);
    peerline_send(s->line, buf_span(&b));
    buf_free(&outcome);
    buf_free(&b);
}

static void on_up(void *self, struct span welcome)
{
    struct rivalworker *s = self;
    struct buf b = {0};
    TRACE(s->w, s->process->name, "a second worker under this name is let in");
    s->self.let_in(s->self.first, welcome);
    m_have_end_encode(&(struct m_have_end){.count = 0}, &b);
    peerline_send(s->line, buf_span(&b));
    buf_free(&b);
    forge_result(s);
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct rivalworker *s = self;
    (void)message;
    if (kind == KIND_M_EXECUTE)
        law_break(s->laws, LAW_NOT_AGAIN_UNASKED,
                  "a worker that attests no job at %s receives a run", s->process->name);
}

static const struct peerline_calls calls = {.hello = say_hello, .up = on_up, .message = on_message};

struct rivalworker *rivalworker_new(struct world *w, struct network *n, struct laws *l,
                                    struct cable *cable, struct process *process,
                                    struct clock_sim *clock, const struct rivalworker_self *self)
{
    struct rivalworker *s = mem_zalloc(1, sizeof *s);
    s->w = w;
    s->laws = l;
    s->process = process;
    process_init(s->process, cable->name, clock);
    s->process->up = true;
    s->process->luck = rng_next(&w->rng); /* not its namesake's */
    s->self = *self;
    s->line = peerline_new(w, n, cable, s->process, &calls, s);
    peerline_start(s->line);
    return s;
}

void rivalworker_free(struct rivalworker **s)
{
    if (!*s)
        return;
    peerline_free(&(*s)->line);
    mem_free(s);
}
