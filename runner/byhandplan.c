/* byhandplan.c - what each step of a job would run: judged as in earnest, and prepared by what
 * prepares it in earnest, up to the moment before the child would start. */
#include <stdio.h>

#include "runner/byhandinside.h"
#include "runner/child.h"
#include "runner/planned.h"

static bool plan_step(struct byhand *h, struct child *c, unsigned at)
{
    const struct s_step r = byhand_request(h, at, 1);
    enum refusal code = REFUSAL_INTERNAL;
    const char *check = "";
    struct error err = {0};
    buf_clear(&h->launch);
    buf_clear(&h->scratch);
    bool good = verify_step(h->verifier, &r, loop_now_wall(h->loop), &h->launch, &code, &check,
                            &err) == VERDICT_RUN &&
                child_plan(c, buf_span(&h->launch), &h->scratch, &code, &err) == 0;
    if (!good)
        planned_refused(r.step, code, err.text, &h->scratch);
    byhand_tell(h, buf_span(&h->scratch));
    return good;
}

void byhand_plan(struct byhand *h)
{
    struct child *c = NULL;
    struct error err = {0};
    unsigned refused = 0;
    if (child_new(h->paths, 1, false, h->loop, h->report, NULL, NULL, &c, &err) < 0) {
        byhand_refuse(h, REFUSAL_INTERNAL, err.text);
        return;
    }
    for (unsigned i = 0; i < h->def.n; i++)
        refused += !plan_step(h, c, i);
    child_free(&c);
    snprintf(err.text, sizeof err.text, "%u of %u steps would be refused", refused, h->def.n);
    byhand_refuse(h,
                  refused      ? REFUSAL_DENIED
                  : h->lacks.n ? REFUSAL_STATE
                               : REFUSAL_NONE,
                  refused ? err.text : buf_str(&h->lacks));
}
