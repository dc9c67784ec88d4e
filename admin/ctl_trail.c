/* ctl_trail.c - see ctl_trail.h.
 *
 * Whoever holds the broker's key can write a whole trail anew. Only one who knows a checkpoint from
 * before can tell; so the newest one that was verified is kept in this home, and the next trail
 * must go on from it. */
#include "admin/ctl_trail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/config.h"
#include "common/file.h"
#include "common/id.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/paths.h"
#include "common/termout.h"
#include "trust/audit.h"
#include "trust/envelope.h"

#define KEPT_FILE "trust/audit-checkpoint"

struct ctl_trail {
    const struct ctl_trail_order *order;
    struct trust_anchors anchors;
    struct audit_walk walk;
    bool whole;
    struct buf known, last; /* checkpoints: from before; the newest of this trail */
    struct buf bytes, certificate;
    FILE *to;
    off_t sealed_end; /* of the copy, behind its newest checkpoint */
    char kept[PATHS_MAX];
    size_t row;
    struct error err;
    int rc; /* of the first fault */
};

/* ---- Rows */
static bool bytes_of(json_t *row, const char *name, struct buf *out)
{
    const char *text = json_string_value(json_object_get(row, name));
    buf_clear(out);
    return text && b64_parse(text, out, NULL) == 0;
}

static int malformed(struct ctl_trail *t)
{
    return error_set(&t->err, -EBADMSG, "line %zu is no piece of an audit trail", t->row);
}

/* Of an auditor who has nothing but the administrators' keys: the trail says of which cluster it
 * is, and the certificates with it must say the same. */
static int name_cluster(struct ctl_trail *t, struct span checkpoint)
{
    struct d_signed s;
    struct d_checkpoint c;
    if (*t->anchors.cluster)
        return 0;
    int rc = d_signed_decode(checkpoint, &s, &t->err);
    if (rc == 0)
        rc = d_checkpoint_decode(s.body, &c, &t->err);
    if (rc == 0)
        span_copy_str(c.cluster, t->anchors.cluster, sizeof t->anchors.cluster);
    return rc;
}

static int take_checkpoint(struct ctl_trail *t, json_t *row)
{
    if (!bytes_of(row, "checkpoint", &t->bytes) || !bytes_of(row, "certificate", &t->certificate))
        return malformed(t);
    int rc = name_cluster(t, buf_span(&t->bytes));
    if (rc == 0)
        rc = audit_walk_checkpoint(&t->walk, buf_span(&t->bytes), buf_span(&t->certificate),
                                   &t->err);
    if (rc == 0) {
        buf_clear(&t->last);
        buf_add(&t->last, t->bytes.p, t->bytes.n);
        t->sealed_end = t->to ? ftello(t->to) : 0;
    }
    return rc;
}

static int take_entry(struct ctl_trail *t, json_t *row)
{
    struct hash hash;
    const char *hex = json_string_value(json_object_get(row, "hash"));
    if (!bytes_of(row, "entry", &t->bytes) || !hex || strlen(hex) != 2 * sizeof hash.b ||
        hex_parse(hex, hash.b, sizeof hash.b) < 0)
        return malformed(t);
    return audit_walk_entry(&t->walk, (uint64_t)ctl_int(row, "number"), buf_span(&t->bytes), &hash,
                            NULL, &t->err);
}

static bool take_row(void *self, struct span text)
{
    struct ctl_trail *t = self;
    t->row++;
    if (t->to && (!term_bytes(t->to, text) || !term_bytes(t->to, span_str("\n")))) {
        t->rc = error_errno(&t->err, errno, "%s", t->order->to);
        return false;
    }
    if (t->rc < 0)
        return t->to != NULL; /* the rest of the copy is wanted all the same */
    json_t *row = json_parse("row", text, NULL);
    t->rc = !row                                 ? malformed(t)
            : json_object_get(row, "checkpoint") ? take_checkpoint(t, row)
                                                 : take_entry(t, row);
    json_decref(row);
    return t->rc == 0 || t->to;
}

/* ---- Sources */
static int read_file(struct ctl_trail *t)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    FILE *f = fopen(t->order->from, "re");
    if (!f)
        return error_errno(&t->err, errno, "%s", t->order->from);
    while ((n = getline(&line, &size, f)) > 0)
        if (!take_row(t, span_of(line, (size_t)n - (line[n - 1] == '\n'))))
            break;
    free(line);
    fclose(f);
    return 0;
}

static int ask_broker(struct ctl_trail *t, char **argv)
{
    struct wire_list where = {0};
    struct longboat *lb = ctl_connect(argv);
    if (!lb)
        return -ENOTCONN;
    int rc = longboat_query(lb, "trail", &where, take_row, t, &t->err);
    if (rc < 0)
        ctl_fail(argv, EXIT_REFUSED, &t->err);
    longboat_close(&lb);
    return rc;
}

/* ---- Begin and end */

/* Of a trail that is asked for: the broker's cluster and keys are those of one's identity. */
static int own_anchors(struct ctl_trail *t)
{
    struct client_config config = {0};
    int rc = client_config_load(&config, NULL, &t->err);
    if (rc == 0)
        anchors_from(config.anchors.cluster, config.anchors.administrators, config.anchors.n,
                     &t->anchors);
    client_config_free(&config);
    return rc;
}

/* Of a file: whoever has the keys need not belong to a cluster. Somebody who does means their own:
 * the same administrators may have several. "": none. */
static int home_cluster(const struct paths *paths, char ret[LIMIT_NAME + 1], struct error *err)
{
    char path[PATHS_MAX];
    struct buf bytes = {0};
    struct certificate me = {0};
    int rc = path_join(path, sizeof path, err, paths->config, CERTIFICATE_FILE, NULL);
    *ret = 0;
    if (rc < 0)
        return rc;
    if ((rc = file_read(path, LIMIT_CERTIFICATE, &bytes, err)) == 0 &&
        (rc = certificate_read(buf_span(&bytes), &me, err)) == 0)
        snprintf(ret, LIMIT_NAME + 1, "%s", me.cluster);
    certificate_free(&me);
    buf_free(&bytes);
    return rc == -ENOENT ? 0 : rc;
}

static int home_anchors(struct ctl_trail *t, const struct paths *paths)
{
    char path[PATHS_MAX], cluster[LIMIT_NAME + 1];
    int rc = home_cluster(paths, cluster, &t->err);
    if (rc == 0)
        rc = path_join(path, sizeof path, &t->err, paths->config, ADMINISTRATORS_FILE, NULL);
    return rc == 0 ? anchors_load(path, cluster, &t->anchors, &t->err) : rc;
}

static int open_anchors(struct ctl_trail *t)
{
    struct paths paths;
    const struct ctl_trail_order *o = t->order;
    int rc = 0;
    if (o->from && o->administrators) /* no home is needed */
        return anchors_load(o->administrators, "", &t->anchors, &t->err);
    if ((rc = paths_resolve(&paths, &t->err)) == 0)
        rc = path_join(t->kept, sizeof t->kept, &t->err, paths.config, KEPT_FILE, NULL);
    if (o->from)
        return ctl_needs_administrators(rc == 0 ? home_anchors(t, &paths) : rc, &t->err);
    if (rc == 0)
        rc = o->administrators ? anchors_load(o->administrators, "", &t->anchors, &t->err)
                               : own_anchors(t);
    return rc;
}

static int read_known(struct ctl_trail *t)
{
    const char *path = t->order->checkpoint ? t->order->checkpoint : t->kept;
    if (t->order->from && !t->order->checkpoint)
        return 0; /* an older copy ends before what is known today */
    int rc = file_read(path, LIMIT_CERTIFICATE, &t->known, &t->err);
    return rc == -ENOENT && !t->order->checkpoint ? 0 : rc;
}

static int create(struct ctl_trail *t)
{
    if (!t->order->to)
        return 0;
    int fd = open(t->order->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(&t->err, errno, "%s", t->order->to);
    t->to = fdopen(fd, "w");
    return t->to ? 0 : error_errno(&t->err, errno, "%s", t->order->to);
}

static int begin(struct ctl_trail *t)
{
    int rc = trust_init(&t->err);
    if (rc == 0)
        rc = open_anchors(t);
    if (rc == 0)
        rc = read_known(t);
    if (rc == 0)
        rc = audit_walk_begin(&t->walk, &t->anchors, buf_span(&t->known), &t->err);
    return rc == 0 ? create(t) : rc;
}

static void end(struct ctl_trail *t)
{
    anchors_free(&t->anchors);
    buf_free(&t->known);
    buf_free(&t->last);
    buf_free(&t->bytes);
    buf_free(&t->certificate);
}

static void say_whole(const struct ctl_trail *t)
{
    char moment[TERM_TIME], hex[KEY_TEXT];
    const struct audit_walk *w = &t->walk;
    term_say(stdout, "whole: cluster %s, entries %llu to %llu, checkpoint %llu of %s\n",
             t->anchors.cluster, (unsigned long long)w->first, (unsigned long long)w->head.number,
             (unsigned long long)w->seq, term_moment(w->sealed_at, moment));
    term_say(stdout, "hash of entry %llu: %s\n", (unsigned long long)w->head.number,
             key_format(&w->head.hash, hex));
    if (w->known.seq)
        term_say(stdout, "it goes on from checkpoint %llu, about entry %llu, which was known\n",
                 (unsigned long long)w->known.seq, (unsigned long long)w->known.number);
    if (w->head.number > w->sealed)
        term_say(stdout,
                 "the last %llu entries are newer than the last checkpoint: nobody has signed them "
                 "yet%s\n",
                 (unsigned long long)(w->head.number - w->sealed),
                 t->order->to ? ", and they are not in the copy" : "");
}

static int keep_checkpoint(struct ctl_trail *t)
{
    return t->order->from ? 0 : file_write_atomic(t->kept, buf_span(&t->last), 0600, &t->err);
}

/* The broker goes on while it is read. A copy ends with a checkpoint, so that all of it is signed:
 * else whoever has it could drop the last checkpoint and alter what is before it. */
static bool cut_unsigned(struct ctl_trail *t)
{
    return !t->whole || t->walk.head.number == t->walk.sealed ||
           ftruncate(fileno(t->to), t->sealed_end) == 0;
}

static int check_signed(const struct ctl_trail *t, struct error *why)
{
    const struct audit_walk *w = &t->walk;
    if (!t->order->from || w->head.number == w->sealed)
        return 0;
    return error_set(why, -EBADMSG,
                     "entries %llu to %llu come after the last checkpoint, so nobody has signed "
                     "them; a copy that `lbctl audit export` has made ends with a checkpoint",
                     (unsigned long long)w->sealed + 1, (unsigned long long)w->head.number);
}

static int close_copy(struct ctl_trail *t)
{
    if (!t->to)
        return 0;
    bool good = fflush(t->to) == 0 && cut_unsigned(t) && fsync(fileno(t->to)) == 0;
    int rc = good ? 0 : error_errno(&t->err, errno, "%s", t->order->to);
    if (fclose(t->to) != 0 && good)
        rc = error_errno(&t->err, errno, "%s", t->order->to);
    t->to = NULL;
    return rc;
}

static int finish(struct ctl_trail *t, char **argv)
{
    struct error why = t->err;
    int rc = t->rc;
    if (rc == 0)
        rc = audit_walk_end(&t->walk, &why);
    if (rc == 0)
        rc = check_signed(t, &why);
    t->whole = rc == 0;
    int copied = close_copy(t);
    if (copied < 0)
        ctl_fail(argv, EXIT_RAN_AND_FAILED, &t->err);
    if (rc < 0)
        return ctl_fail(argv, EXIT_RAN_AND_FAILED, &why);
    if (copied < 0)
        return EXIT_RAN_AND_FAILED;
    say_whole(t);
    return keep_checkpoint(t) < 0 ? ctl_fail(argv, EXIT_RAN_AND_FAILED, &t->err) : EXIT_DONE;
}

int ctl_trail_verify(char **argv, const struct ctl_trail_order *o)
{
    struct ctl_trail t = {.order = o};
    int code;
    if (begin(&t) < 0) {
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &t.err);
    } else if (!o->from) {
        code = ask_broker(&t, argv) < 0 ? EXIT_REFUSED : finish(&t, argv);
    } else {
        code = read_file(&t) < 0 ? ctl_fail(argv, EXIT_ASKED_WRONGLY, &t.err) : finish(&t, argv);
    }
    close_copy(&t);
    end(&t);
    return code;
}
