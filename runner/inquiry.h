/* inquiry.h - internal: what verify.c (the checks) and inquirylaunch.c (what a step is started
 * with) share. */
#ifndef LB_RUNNER_INQUIRY_H
#define LB_RUNNER_INQUIRY_H

#include "runner/bind.h"
#include "runner/installed.h"
#include "runner/proxies.h"
#include "runner/verify.h"

struct verifier {
    const struct runner_paths *paths;
    struct policy *policy;
    struct proxies *proxies;
    struct replay *replay;
    bool doubt; /* the keepers' files have lost entries */
    struct intact *intact;
    struct attempts *attempts;
    struct secretuse *secrets;
    attempts_holds_fn *holds; /* NULL: nothing is held */
    void *holds_self;
    bool first_form;  /* see verifier_form */
    struct hash ends; /* of the last verify_step; zero: it ends no try */
    bool plan;        /* nothing is going to run */
    char host[LIMIT_NAME + 1];
    struct verified_roots roots;
};

/* One request on its way through the checks; each may rely on those above it. */
struct inquiry {
    struct verifier *v;
    const struct s_step *request;
    int64_t now;
    int64_t begun; /* when the first step of this attempt was taken; 0: this is the first */
    const struct certificate *caller; /* NULL: it runs by hand */
    struct span principal;
    struct d_call call;
    struct steps_job job;
    struct d_step step;
    struct attempts_step turn;
    bool has_turn; /* `turn` is known, and it is this try's */
    bool early;
    struct installed package;
    struct hash fingerprint; /* of the package; zero: it has none */
    bool has_package;
    struct bound bound;
    struct buf secrets; /* d_secret_uses; empty: none */
    struct proxy_found proxy;
    struct buf context;
    struct seen_step seen;
    enum seen_answer answer;
    enum refusal code; /* the code of a refusal by the current check */
};

bool inquiry_is_package(struct span job); /* the job of a package that was called by itself */
struct span inquiry_server(const struct inquiry *q);
struct span inquiry_hash(const struct hash *h);
/* Appends the S_LAUNCH of a step that has passed the checks. */
void inquiry_launch(const struct inquiry *q, struct buf *out);

#endif
