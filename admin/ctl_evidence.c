/* ctl_evidence.c - lbctl evidence: writes what proves how a run ended into a file, and checks such
 * a file without a broker, with the administrators' keys alone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/ctl_lists.h"
#include "admin/ctl_proof.h"
#include "client/config.h"
#include "common/file.h"
#include "common/json.h"
#include "common/paths.h"
#include "common/termout.h"

enum { EVIDENCE_FILE_MAX = 4 << 20 };

static const struct option_row rows[] = {
    {"output", 'o', OPTION_STR, NULL, 0, 0, false, "FILE", "write it there, not to stdout"},
    {"administrators", 0, OPTION_STR, NULL, 0, 0, false, "FILE",
     "verify: the file with the administrators' public keys (default: this home's)"},
    {"revocations", 0, OPTION_STR, NULL, 0, 0, false, "FILE",
     "verify: also judge by this signed list of revoked certificates; the newest counts"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "verify: each check as a JSON object"},
};

static const char examples[] =
    "  lbctl evidence last -o run.json       signed call and signed result, in a file\n"
    "  lbctl evidence verify run.json        is it true? no broker is asked\n"
    "  lbctl evidence verify run.json --administrators keys.txt --revocations list\n"
    "The list in the file is the broker's choice.  With this home's keys, the lists\n"
    "of this home (etc/trust/revocations, var/revocations) are read, too.\n";

/* ---- Writing */

static int write_it(char **argv, const struct ctl_proof *p, const char *path)
{
    struct error err = {0};
    struct buf text = {0};
    json_t *o = ctl_proof_to_json(p);
    char *dump = json_dumps(o, JSON_INDENT(2));
    buf_printf(&text, "%s\n", dump);
    free(dump);
    json_decref(o);
    int code = EXIT_DONE;
    if (!path)
        term_bytes(stdout, buf_span(&text));
    else if (file_write_atomic(path, buf_span(&text), 0644, &err) < 0)
        code = ctl_fail(argv, EXIT_REFUSED, &err);
    buf_free(&text);
    return code;
}

static int fetch(char **argv, struct longboat *lb, const char *text, const char *path)
{
    struct ctl_proof p = {.attempt = 0};
    struct error err = {0};
    struct id run;
    char id[ID_TEXT];
    int code = ctl_find(argv, lb, text, &run);
    if (code >= 0)
        return code;
    int rc = ctl_proof_fetch(lb, &run, &p, &err);
    if (rc < 0) {
        code = ctl_fail(argv, ctl_code(rc, REFUSAL_NONE), &err);
    } else if (!p.ended) {
        error_set(&err, -ESTALE, "run %s has not ended: there is no result yet",
                  id_format(run, id));
        code = ctl_fail(argv, EXIT_REFUSED, &err);
    } else {
        code = write_it(argv, &p, path);
    }
    ctl_proof_free(&p);
    return code;
}

/* ---- Verifying */

static void say(void *self, const char *part, bool good, const char *text)
{
    const bool *as_json = self;
    if (!*as_json) {
        term_say(stdout, "%-4s  %-18s  %s\n", good ? "good" : "BAD", part, text);
        return;
    }
    json_t *o = json_pack("{s:i,s:s,s:b,s:s}", "v", 1, "part", part, "good", good, "text", text);
    char *dump = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (dump)
        term_say(stdout, "%s\n", dump);
    free(dump);
    json_decref(o);
}

/* The keys of the file or, without one, of this home. */
static int load_keys(const char *file, const char *cluster, struct trust_anchors *ret,
                     struct error *err)
{
    char path[PATHS_MAX];
    struct paths paths;
    int rc;
    if (file)
        return anchors_load(file, cluster, ret, err);
    if ((rc = paths_resolve(&paths, err)) == 0 &&
        (rc = path_join(path, sizeof path, err, paths.config, ADMINISTRATORS_FILE, NULL)) == 0)
        rc = anchors_load(path, cluster, ret, err);
    return ctl_needs_administrators(rc, err);
}

struct evidence_options {
    const char *keys, *revocations; /* NULL: the home's */
    bool as_json;
};

/* Beside the bundle's. The home's lists are of the home's cluster, as its keys are. */
static int load_lists(const struct evidence_options *o, struct ctl_lists *ret, struct error *err)
{
    int rc = o->keys ? 0 : ctl_lists_add_home(ret, err);
    return rc == 0 && o->revocations ? ctl_lists_add(ret, o->revocations, err) : rc;
}

/* The home's lists are not looked at where the keys are given. */
static void say_no_list(char **argv, const char *file, const struct evidence_options *o,
                        const struct evidence_bundle *e)
{
    if (!e->revocations.n && !e->n_lists)
        term_say(stderr,
                 "%s: %s has no list of revoked certificates, %s: so it is not known whether these "
                 "certificates have been revoked; ask `lbctl certificates list`, or give "
                 "--revocations FILE\n",
                 argv[0], file, o->keys ? "and none was given" : "nor has this home");
}

static int verify(char **argv, const char *file, const struct evidence_options *how)
{
    bool as_json = how->as_json;
    struct ctl_lists lists = {.n = 0};
    struct ctl_proof p = {.attempt = 0};
    struct trust_anchors anchors = {.n = 0};
    struct error err = {0};
    struct buf text = {0};
    int code = EXIT_RAN_AND_FAILED, rc = trust_init(&err);
    if (rc == 0)
        rc = file_read(file, EVIDENCE_FILE_MAX, &text, &err);
    if (rc < 0) {
        buf_free(&text);
        return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    }
    json_t *o = json_parse(file, buf_span(&text), &err);
    if (!o) {
        ctl_fail(argv, code, &err);
    } else if (ctl_proof_from_json(o, &p, &err) < 0) {
        error_prefix(&err, "%s", file);
        ctl_fail(argv, code, &err);
    } else if (load_keys(how->keys, p.cluster, &anchors, &err) < 0 ||
               load_lists(how, &lists, &err) < 0) {
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else {
        struct evidence_bundle e = ctl_proof_evidence(&p);
        ctl_lists_offer(&lists, &e);
        code = evidence_verify(&e, &anchors, say, &as_json) ? EXIT_DONE : EXIT_RAN_AND_FAILED;
        say_no_list(argv, file, how, &e);
        if (code)
            term_say(stderr, "%s: %s proves nothing: see the checks that are BAD\n", argv[0], file);
    }
    anchors_free(&anchors);
    ctl_lists_free(&lists);
    ctl_proof_free(&p);
    json_decref(o);
    buf_free(&text);
    return code;
}

int ctl_evidence(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "RUN [-o FILE] | verify FILE",
                                examples, 1, 2, &v, &first);
    if (code >= 0)
        return code;
    const bool verifies = strcmp(argv[first], "verify") == 0;
    if ((first + 1 < argc) != verifies) {
        error_set(&err, -EINVAL, "usage: %s RUN [-o FILE] | verify FILE", argv[0]);
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else if (verifies) {
        const struct evidence_options how = {opt_str(&v, "administrators"),
                                             opt_str(&v, "revocations"), opt_flag(&v, "json")};
        code = verify(argv, argv[first + 1], &how);
    } else {
        struct longboat *lb = ctl_connect(argv);
        code = lb ? fetch(argv, lb, argv[first], opt_str(&v, "output")) : EXIT_REFUSED;
        longboat_close(&lb);
    }
    options_free(&v);
    return code;
}
