/* principals.c - what each principal uses of the broker, against its budgets: `principals`.
 *
 * The shell keeps its accounts by key, the core its own by name; a name has one key at a time, so
 * the rows are joined by name. */
#include <stdlib.h>
#include <string.h>

#include "broker/events/json.h"
#include "broker/query/inside.h"
#include "broker/shell/rights.h"
#include "common/json.h"
#include "common/mem.h"

struct principal_row {
    char name[LIMIT_NAME + 1];
    uint64_t used[BUDGET_COUNT], most[BUDGET_COUNT], refused[BUDGET_COUNT], parents, follows;
};
struct principal_rows {
    struct principal_row *v;
    size_t n, cap;
};

static struct principal_row *row_new(struct principal_rows *r, const char *name)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->v = mem_realloc(r->v, r->cap, sizeof *r->v);
    }
    struct principal_row *x = &r->v[r->n++];
    memset(x, 0, sizeof *x);
    span_copy_str(span_str(name), x->name, sizeof x->name);
    return x;
}

static void take_budgets(void *self, const struct budget_account *a)
{
    struct principal_row *x = row_new(self, a->name);
    memcpy(x->used, a->used, sizeof x->used);
    memcpy(x->most, a->most, sizeof x->most);
    memcpy(x->refused, a->refused, sizeof x->refused);
}

static void take_account(void *self, const struct view_account *a)
{
    struct principal_row *x = row_new(self, a->name);
    x->used[BUDGET_SESSIONS] = x->most[BUDGET_SESSIONS] = a->sessions;
    x->used[BUDGET_RUNS] = a->runs;
    x->most[BUDGET_RUNS] = a->most_runs;
    x->refused[BUDGET_RUNS] = a->refused_runs;
    x->used[BUDGET_MEMORY] = a->memory;
    x->most[BUDGET_MEMORY] = a->most_memory;
    x->refused[BUDGET_MEMORY] = a->refused_memory;
    x->used[BUDGET_EVIDENCE] = x->most[BUDGET_EVIDENCE] = a->evidence;
    x->refused[BUDGET_EVIDENCE] = a->refused_evidence;
    x->parents = a->parents;
    x->follows = a->follows;
}

static int by_name(const void *a, const void *b)
{
    const struct principal_row *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Each counts what the other does not, or both count the same. */
static void join(struct principal_row *to, const struct principal_row *from)
{
    for (unsigned i = 0; i < BUDGET_COUNT; i++) {
        to->used[i] = from->used[i] > to->used[i] ? from->used[i] : to->used[i];
        to->most[i] = from->most[i] > to->most[i] ? from->most[i] : to->most[i];
        to->refused[i] += from->refused[i];
    }
    to->parents += from->parents;
    to->follows += from->follows;
}

static void gather(const struct query *q, struct principal_rows *r)
{
    size_t n = 0;
    budgets_each(q->shell->budgets, take_budgets, r);
    view_accounts(q->shell->core, take_account, r);
    if (r->n)
        qsort(r->v, r->n, sizeof *r->v, by_name);
    for (size_t i = 0; i < r->n; i++)
        if (n && strcmp(r->v[n - 1].name, r->v[i].name) == 0)
            join(&r->v[n - 1], &r->v[i]);
        else
            r->v[n++] = r->v[i];
    r->n = n;
}

static json_t *principal_json(const struct query *q, const struct principal_row *x)
{
    json_t *o = json_row(), *budgets = json_object();
    json_set_word(o, "name", x->name);
    for (unsigned i = 0; i < BUDGET_COUNT; i++) {
        const struct budget_row *row = budget_row(i);
        json_t *b = json_object();
        json_set_number(b, "used", x->used[i]);
        json_set_number(b, "most", x->most[i]);
        json_set_number(b, row->kind == BUDGET_KIND_SHARE ? "percent" : "limit",
                        budgets_limit(q->shell->budgets, i));
        json_set_number(b, "refused", x->refused[i]);
        json_object_set_new(budgets, row->word, b);
    }
    json_object_set_new(o, "budgets", budgets);
    json_set_number(o, "parents", x->parents);
    json_set_number(o, "follows", x->follows);
    return o;
}

void query_principals(struct query *q)
{
    struct principal_rows r = {0};
    bool all = rights_cover(q->shell->core, q->who, VERB_ADMIN, "", "all") ||
               rights_cover(q->shell->core, q->who, VERB_WATCH, "", "all");
    gather(q, &r);
    for (size_t i = 0; i < r.n; i++) {
        const char *name = r.v[i].name;
        if (!*name || strcmp(name, q->after) <= 0 || !query_matches(q->name, name) ||
            (!all && strcmp(name, q->who->name) != 0))
            continue;
        if (!query_row(q, principal_json(q, &r.v[i]))) {
            span_copy_str(span_str(i ? r.v[i - 1].name : ""), q->next, sizeof q->next);
            break;
        }
    }
    mem_free(&r.v);
    query_answer(q);
}
