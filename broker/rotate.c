/* rotate.c - see rotate.h.
 *
 * Everybody has pinned the broker's key, so the next one is announced before it is used: --take
 * puts its certificate beside the one of now, and the broker, once restarted, tells it in each
 * WELCOME. --now exchanges the two for the start after that. */
#include "broker/rotate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/options.h"
#include "common/paths.h"
#include "common/termout.h"
#include "trust/rotation.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_ASKED_WRONGLY };
enum { WORD_MAX = 64 << 10 };

static const struct option_row rows[] = {
    {"take", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "read the certificate for the new key from standard input"},
    {"now", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "use the new key from the next start on"},
};

static const char examples[] =
    "Sessions must hear of the new key before it is used, so the broker is restarted\n"
    "twice.\n"
    "At an administrator's:\n"
    "  ssh wh0 lbbroker rotate | lbctl certificates sign >broker.word\n"
    "  ssh wh0 lbbroker rotate --take <broker.word\n"
    "  ssh wh0 systemctl restart lbbroker   announces it; wait for all to connect\n"
    "  ssh wh0 lbbroker rotate --now\n"
    "  ssh wh0 systemctl restart lbbroker\n"
    "Who did not connect in between runs: lbctl certificates trust <broker.word\n";

struct rotating {
    char key[PATHS_MAX], own[PATHS_MAX], next[PATHS_MAX];
    struct trust_anchors anchors;
    struct key now;
    struct certificate me;
};

/* The cluster is the one that our certificate names. */
static int load(struct rotating *r, struct error *err)
{
    struct paths paths;
    char administrators[PATHS_MAX], cluster[LIMIT_NAME + 1];
    struct buf bytes = {0};
    struct d_signed s;
    struct d_certificate d;
    int rc = paths_resolve(&paths, err);
    if (rc < 0 ||
        (rc = path_join(r->key, PATHS_MAX, err, paths.config, "keys/broker.key", NULL)) < 0 ||
        (rc = path_join(r->own, PATHS_MAX, err, paths.config, "trust/broker", NULL)) < 0 ||
        (rc = path_join(r->next, PATHS_MAX, err, paths.config, "trust/broker" ROTATION_NEXT,
                        NULL)) < 0 ||
        (rc = path_join(administrators, PATHS_MAX, err, paths.config, "trust/administrators",
                        NULL)) < 0 ||
        (rc = file_read(r->own, LIMIT_CERTIFICATE, &bytes, err)) < 0)
        goto out;
    if ((rc = d_signed_decode(buf_span(&bytes), &s, err)) < 0 ||
        (rc = d_certificate_decode(s.body, &d, err)) < 0)
        goto out;
    span_copy_str(d.cluster, cluster, sizeof cluster);
    if ((rc = anchors_load(administrators, cluster, &r->anchors, err)) == 0 &&
        (rc = certificate_verify(buf_span(&bytes), &r->anchors, clock_wall_ms(), &r->me, NULL,
                                 err)) == 0)
        rc = key_load(r->key, &r->now, err);
out:
    buf_free(&bytes);
    return rc;
}

static int begin(struct rotating *r, struct error *err)
{
    struct key next = {0};
    char *word = NULL;
    int rc = rotation_stage(r->key, NULL, &next, err);
    if (rc == 0)
        rc = rotation_request(&r->me, &r->now, &next, clock_wall_ms(), &word, err);
    if (rc == 0)
        term_say(stdout, "%s\n", word);
    key_forget(&next);
    mem_free(&word);
    return rc;
}

static int take(struct rotating *r, struct error *err)
{
    char *text = mem_zalloc(1, WORD_MAX + 1);
    struct buf bytes = {0};
    struct certificate next = {0};
    ssize_t n = file_read_all(STDIN_FILENO, text, WORD_MAX);
    int rc = n <= 0 || n == WORD_MAX
                 ? error_set(err, -EINVAL, "no certificate came on standard input")
                 : rotation_certificate_parse(text, &bytes, err);
    if (rc == 0)
        rc = rotation_verify(r->key, &r->anchors, &r->me, buf_span(&bytes), clock_wall_ms(), &next,
                             err);
    if (rc == 0)
        rc = file_write_atomic(r->next, buf_span(&bytes), 0600, err);
    if (rc == 0)
        term_say(
            stdout,
            "The new key is known here, and not used yet. Restart lbbroker, so that sessions hear "
            "of it;\nwhen all have connected: lbbroker rotate --now\n");
    certificate_free(&next);
    buf_free(&bytes);
    mem_free(&text);
    return rc;
}

/* The certificate first: the start of the broker finishes what a crash between the two leaves. */
static int use_now(struct rotating *r, struct error *err)
{
    struct buf bytes = {0};
    struct certificate next = {0};
    int rc = file_read(r->next, LIMIT_CERTIFICATE, &bytes, err);
    if (rc == -ENOENT)
        error_set(err, rc, "there is no %s: lbbroker rotate --take writes it", r->next);
    if (rc == 0)
        rc = rotation_verify(r->key, &r->anchors, &r->me, buf_span(&bytes), clock_wall_ms(), &next,
                             err);
    if (rc == 0 && rename(r->next, r->own) < 0)
        rc = error_errno(err, errno, "cannot put the new certificate into %s", r->own);
    if (rc == 0)
        rc = rotation_finish(r->key, &next.sign_key, err);
    if (rc >= 0)
        term_say(stdout, "The next start of lbbroker uses the new key.\n");
    certificate_free(&next);
    buf_free(&bytes);
    return rc < 0 ? rc : 0;
}

int broker_rotate(int argc, char **argv)
{
    struct option_values v = {0};
    struct rotating r = {.key = ""};
    struct error err = {0};
    int first;
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &v, &first, &err) < 0 ||
        (first < argc && error_set(&err, -EINVAL, "unexpected argument '%s'", argv[first]) < 0)) {
        term_say(stderr, "lbbroker rotate: %s\n", err.text);
        options_free(&v);
        return EXIT_ASKED_WRONGLY;
    }
    if (options_answered(&v, "lbbroker rotate", "[--take | --now]", examples)) {
        options_free(&v);
        return EXIT_DONE;
    }
    int rc = trust_init(&err);
    if (rc == 0)
        rc = load(&r, &err);
    if (rc == 0)
        rc = opt_flag(&v, "take")  ? take(&r, &err)
             : opt_flag(&v, "now") ? use_now(&r, &err)
                                   : begin(&r, &err);
    if (rc < 0)
        term_say(stderr, "lbbroker rotate: %s\n", err.text);
    key_forget(&r.now);
    certificate_free(&r.me);
    anchors_free(&r.anchors);
    options_free(&v);
    return rc == -EINVAL ? EXIT_ASKED_WRONGLY : rc < 0 ? EXIT_FAILED : EXIT_DONE;
}
