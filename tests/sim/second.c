/* second.c - see second.h. */
#include "tests/sim/second.h"

#include "common/mem.h"
#include "tests/sim/line.h"

struct second {
    struct world *w;
    struct laws *laws;
    struct process *process;
    struct line *line;
    struct id spool, boot;
};

static void say_hello(void *self, struct m_hello *m)
{
    struct second *s = self;
    m->spool = s->spool;
    m->boot = s->boot;
    m->slots = 1;
}

static void on_up(void *self, struct span welcome)
{
    struct second *s = self;
    struct buf b = {0};
    (void)welcome;
    TRACE(s->w, s->process->name, "a second worker under this name is let in");
    m_have_end_encode(&(struct m_have_end){.count = 0}, &b);
    line_send(s->line, buf_span(&b));
    buf_free(&b);
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    struct second *s = self;
    (void)message;
    if (kind == KIND_M_EXECUTE)
        law_break(s->laws, LAW_NOT_AGAIN_UNASKED,
                  "a worker that attests no job at %s is handed a run", s->process->name);
}

static const struct line_calls calls = {.hello = say_hello, .up = on_up, .message = on_message};

struct second *second_new(struct world *w, struct network *n, struct laws *l, struct cable *cable,
                          struct process *process, struct clock_sim *clock)
{
    struct second *s = mem_zalloc(1, sizeof *s);
    s->w = w;
    s->laws = l;
    s->process = process;
    process_init(s->process, cable->name, clock);
    s->process->up = true;
    s->process->luck = rng_next(&w->rng); /* not that of whose name it bears */
    world_random_bytes(w, &s->spool, sizeof s->spool);
    world_random_bytes(w, &s->boot, sizeof s->boot);
    s->line = line_new(w, n, cable, s->process, &calls, s);
    line_start(s->line);
    return s;
}

void second_free(struct second **s)
{
    if (!*s)
        return;
    line_free(&(*s)->line);
    mem_free(s);
}
