/* ask.c - see ask.h. */
#include "broker/shell/ask.h"

struct shell_ask {
    struct shell *shell;
    struct hash who;
    enum budget budget;
    uint64_t amount;
    store_hear *hear;
    void *self;
};

void ask_owner(const struct shell_peer *p, struct store_question *q)
{
    q->who = p->key;
    q->session = p->handle;
}

static void hear(void *self, const struct store_answer *answer)
{
    struct shell_ask *a = self;
    budgets_give(a->shell->budgets, &a->who, a->budget, a->amount);
    a->hear(a->self, answer);
    mem_free(&a);
}

int ask_store(struct shell *sh, const struct shell_peer *p, enum budget budget, uint64_t amount,
              const struct store_question *q, store_hear *heard, void *self, struct error *err)
{
    struct store_question mine = *q;
    int rc = budgets_take(sh->budgets, &p->key, budget, amount, err);
    if (rc < 0)
        return rc;
    struct shell_ask *a = mem_alloc(sizeof *a);
    *a = (struct shell_ask){.shell = sh,
                            .who = p->key,
                            .budget = budget,
                            .amount = amount,
                            .hear = heard,
                            .self = self};
    ask_owner(p, &mine);
    store_ask(sh->store, &mine, hear, a);
    return 0;
}

static void on_peer_gone(void *self, uint64_t peer)
{
    const struct shell *sh = self;
    store_cancel(sh->store, peer);
}

void ask_listen(struct shell *sh)
{
    shell_listen(sh, &(struct shell_listener){.self = sh, .peer_gone = on_peer_gone});
}
