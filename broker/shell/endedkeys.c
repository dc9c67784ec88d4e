/* endedkeys.c - see endedkeys.h. */
#include "broker/shell/endedkeys.h"

#include <errno.h>

#include "broker/shell/turn.h"
#include "common/log.h"

struct ended_keys {
    struct shell *shell;
    uint64_t after, upto;
};

static void ask_page(struct ended_keys *k);

static void give(const struct ended_keys *k, const struct store_answer *a)
{
    struct bcore_ended_key keys[STORE_PAGE_MAX];
    for (unsigned i = 0; i < a->n_keys; i++)
        keys[i] = (struct bcore_ended_key){a->keys[i].principal, a->keys[i].key, a->keys[i].parent};
    turn_step(k->shell,
              &(struct bcore_event){
                  .kind = BCORE_ENDED_KEYS, .keys = keys, .n_keys = a->n_keys, .last = !a->next});
}

static void hear_page(void *self, const struct store_answer *a)
{
    struct ended_keys *k = self;
    if (a->rc == -ECANCELED) {
        mem_free(&k);
        return;
    }
    if (a->rc == 0) { /* or someone's shell has the file locked */
        give(k, a);
        k->after = a->next;
    }
    if (a->rc == 0 && !a->next)
        mem_free(&k);
    else
        ask_page(k);
}

static void ask_page(struct ended_keys *k)
{
    store_ask(k->shell->store,
              &(struct store_question){.what = STORE_ENDED_KEYS,
                                       .after = k->after,
                                       .upto = k->upto,
                                       .lsn = k->upto,
                                       .most = STORE_PAGE_MAX},
              hear_page, k);
}

void endedkeys_read(struct shell *sh)
{
    struct ended_keys *k;
    if (!store_left_out(sh->store))
        return;
    k = mem_zalloc(1, sizeof *k);
    k->shell = sh;
    k->upto = store_left_out(sh->store);
    ask_page(k);
}
