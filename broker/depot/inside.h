/* inside.h - what the files of the depot share. */
#ifndef LB_BROKER_DEPOT_INSIDE_H
#define LB_BROKER_DEPOT_INSIDE_H

#include <sodium.h>

#include "broker/depot/depot.h"

/* An upload belongs to one principal: what others send for the same hash is theirs, so nobody's
 * wrong bytes or sizes spoil it. */
struct depot_upload_key {
    struct hash hash, who;
};

struct depot_upload {
    struct depot_upload_key key;
    char *part; /* its file */
    int fd;
    uint64_t offset, size;
    uint64_t cost; /* counts in the quota and in its principal's account */
    int64_t heard; /* boot ms, when its last byte came */
    crypto_generichash_state state;
    bool whole, naming;
    UT_hash_handle hh;
};

/* What somebody is found to hold when the depot opens, until their keys are known. */
struct depot_found {
    char name[LIMIT_NAME + 1];
    uint64_t cost;
    UT_hash_handle hh;
};

struct depot_plans;
struct depot {
    struct shell *shell; /* NULL: a test of the pieces */
    struct budgets *budgets;
    char *folder;
    uint64_t most_bytes, bytes; /* unfinished uploads count with their whole size */
    uint64_t parts;             /* files of uploads so far */
    struct depot_upload *uploads;
    struct depot_found *found;
    struct depot_plans *plans; /* NULL: without a shell */
};

/* FOLDER/<hash>ENDING. Yours. */
char *depot_path(const char *folder, const struct hash *hash, const char *ending);
/* The unfinished upload of this hash by this principal. NULL: none. */
struct depot_upload *depot_upload(struct depot *d, const struct hash *hash, const struct hash *who);
/* Charges `more` bytes to an upload. -EDQUOT: the quota or the share does not allow it. */
int depot_charge(struct depot *d, struct depot_upload *u, uint64_t more, struct error *err);
/* Its file has its name; what it cost stays charged. */
void depot_upload_free(struct depot *d, struct depot_upload *u);
/* Its file goes, and its charge is given back. */
void depot_upload_drop(struct depot *d, struct depot_upload *u);
/* The principal that uploaded what is here; "": not known. */
void depot_uploader(const char *folder, const struct hash *hash, char ret[LIMIT_NAME + 1]);
/* What a file here costs with those beside it; 0: it is not here. */
uint64_t depot_cost(const struct depot *d, const struct hash *hash);

/* ---- plans.c: plans go when no parent needs them */
struct depot_plans *plans_new(struct depot *d, uint64_t retention_ms);
void plans_free(struct depot_plans **p);
/* A plan is here: uploaded by `who` for `cost`, or (NULL) found. */
void plans_here(struct depot_plans *p, const struct hash *plan, const struct hash *who,
                uint64_t cost);
/* It is about to be used: its hour begins anew. */
void plans_ask(struct depot_plans *p, const struct hash *plan);
/* It is a package, too, and stays. */
void plans_forget(struct depot_plans *p, const struct hash *plan);

#endif
