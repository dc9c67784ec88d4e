/* install.c - see install.h. */
#include "runner/install.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "runner/deployed.h"
#include "runner/outputs.h"
#include "runner/spawn.h"

enum {
    EXIT_UNPACK_REFUSED = 3, /* lbunpack's: wrong hash or signer, or a malformed archive */
    SAID_MAX = 4096          /* bytes of its standard error that are kept */
};

struct install_order {
    struct hash package;
    char *archive;
    struct buf signature;
    char *name, *version; /* as deployed */
    struct install_order *next;
};

struct installer {
    const struct runner_paths *paths;
    struct policy *policy;
    struct deployed *deployed;
    struct loop *loop;
    installed_fn *fn;
    void *self;
    struct install_order *first, **last;
    unsigned n;
    pid_t pid; /* of the lbunpack that works on `first`; 0: none */
    int said;  /* its standard error */
    char *signature_file;
    struct loop_timer timer;
};

struct installer *installer_new(const struct runner_paths *paths, struct policy *policy,
                                struct loop *loop, installed_fn *fn, void *self)
{
    struct installer *i = mem_zalloc(1, sizeof *i);
    i->paths = paths;
    i->policy = policy;
    i->deployed = deployed_new(paths->own);
    i->loop = loop;
    i->fn = fn;
    i->self = self;
    i->last = &i->first;
    i->said = -1;
    return i;
}

static void drop_first(struct installer *i)
{
    struct install_order *o = i->first;
    i->first = o->next;
    if (!i->first)
        i->last = &i->first;
    i->n--;
    mem_free(&o->archive);
    buf_free(&o->signature);
    mem_free(&o->name);
    mem_free(&o->version);
    mem_free(&o);
}

void installer_free(struct installer **pi)
{
    struct installer *i = *pi;
    if (!i)
        return;
    loop_timer_stop(i->loop, &i->timer);
    while (i->first)
        drop_first(i);
    if (i->said >= 0)
        close(i->said);
    mem_free(&i->signature_file);
    deployed_free(&i->deployed);
    mem_free(pi);
}

/* ---- May it be installed? */

static int judge_deployment(struct installer *i, const struct s_install *r, int64_t now,
                            enum refusal *code, struct error *err)
{
    const struct certificate *who, *self;
    struct d_signed s;
    struct d_deployment d;
    char name[LIMIT_NAME + 1], address[LIMIT_ADDRESS + 1];
    int rc = policy_refresh(i->policy, now, code, err);
    if (rc < 0)
        return rc;
    if (!r->deployment.n) {
        *code = REFUSAL_DENIED;
        return error_set(err, -EPERM, "nobody has signed a deployment of this package");
    }
    if ((rc = policy_asker(i->policy, r->certificate, now, &who, code, err)) < 0)
        return rc;
    *code = REFUSAL_BAD_SIGNATURE;
    if ((rc = envelope_open(ENVELOPE_DEPLOYMENT, r->deployment, &who->sign_key, &s, err)) < 0)
        return rc;
    *code = REFUSAL_MALFORMED;
    if ((rc = d_deployment_decode(s.body, &d, err)) < 0)
        return rc;
    *code = REFUSAL_DENIED;
    self = policy_self(i->policy);
    if (!span_eq_str(d.cluster, self->cluster) || !hash_eq(&d.package, &r->package) || d.remove)
        return error_set(err, -EPERM, "the deployment is for another cluster or package");
    if (!policy_is_addressed(i->policy, d.address))
        return error_set(err, -EPERM,
                         "the deployment is for '" SPAN_FMT "', which this server is not in",
                         SPAN_ARG(d.address));
    span_copy_str(d.name, name, sizeof name);
    span_copy_str(d.address, address, sizeof address);
    bool by_name = strcmp(address, self->name) == 0;
    rc = grant_check(who, VERB_DEPLOY, name, address,
                     by_name ? (const char *const *)self->pools : NULL, by_name ? self->n_pools : 0,
                     err);
    if (rc == 0 && (rc = deployed_take(i->deployed, &d, err)) < 0)
        *code = rc == -ESTALE ? REFUSAL_REPLAYED : REFUSAL_INTERNAL;
    return rc;
}

/* ---- One after the other */

static void start_next(struct installer *i);

static void finish(struct installer *i, enum refusal code, const char *sentence)
{
    struct hash package = i->first->package;
    loop_timer_stop(i->loop, &i->timer);
    if (i->signature_file)
        unlink(i->signature_file);
    mem_free(&i->signature_file);
    if (i->said >= 0)
        close(i->said);
    i->said = -1;
    i->pid = 0;
    drop_first(i);
    i->fn(i->self, &package, code, sentence);
    start_next(i);
}

/* As the unpacker's user, in separated mode. It ends with us: the next runner is asked again. */
static int spawn_unpacker(struct installer *i, char *argv[], int said, struct error *err)
{
    static char path[] = "PATH=/usr/bin:/bin", lang[] = "LANG=C.UTF-8";
    char *envp[] = {path, lang, NULL};
    struct command c = {.argv = argv, .envp = envp};
    struct spawn s = {.command = &c,
                      .folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                      .null = open("/dev/null", O_RDWR | O_CLOEXEC),
                      .err = said,
                      .user = i->paths->separated ? &i->paths->unpack : NULL};
    s.out = s.null;
    int rc = s.folder < 0 || s.null < 0 ? error_errno(err, errno, "cannot start '%s'", argv[0])
                                        : spawn_child(&s, &i->pid, err);
    if (s.folder >= 0)
        close(s.folder);
    if (s.null >= 0)
        close(s.null);
    return rc;
}

static void on_too_long(struct loop *l, struct loop_timer *t, void *arg)
{
    (void)l;
    (void)t;
    struct installer *i = arg;
    if (i->pid)
        kill(i->pid, SIGKILL); /* it is reaped as usual */
}

static int start(struct installer *i, struct error *err)
{
    const struct install_order *o = i->first;
    char digits[65];
    int ends[2];
    hex_format(o->package.b, sizeof o->package.b, digits);
    i->signature_file = mem_printf("%s/install-%s.minisig", i->paths->run, digits);
    int rc = file_write_atomic(i->signature_file, buf_span(&o->signature), 0644, err);
    if (rc < 0)
        return rc;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_errno(err, errno, "cannot make a pipe");
    char *program = file_beside_program("lbunpack"), *hash = mem_printf("blake2b:%s", digits);
    char *signers = mem_printf("%s/signers", i->paths->trust),
         *store = mem_strdup(i->paths->packages);
    char *argv[] = {program,           o->archive, hash,       store, signers,
                    i->signature_file, o->name,    o->version, NULL};
    rc = spawn_unpacker(i, argv, ends[1], err);
    close(ends[1]);
    i->said = ends[0];
    if (rc == 0)
        loop_timer_set(i->loop, &i->timer, "unpack", loop_now(i->loop) + INSTALL_MAX_MS,
                       on_too_long, i);
    mem_free(&program);
    mem_free(&hash);
    mem_free(&signers);
    mem_free(&store);
    return rc;
}

static void start_next(struct installer *i)
{
    struct error err = {0};
    if (i->first && !i->pid && start(i, &err) < 0) {
        i->pid = 0;
        finish(i, REFUSAL_INTERNAL, err.text);
    }
}

/* The grant was checked for the name in the deployment, so the package must have that name. */
static void name_as_deployed(const struct s_install *r, struct install_order *o)
{
    struct d_signed s;
    struct d_deployment d;
    if (d_signed_decode(r->deployment, &s, NULL) < 0 || d_deployment_decode(s.body, &d, NULL) < 0)
        return;
    o->name = span_dup_str(d.name);
    o->version = span_dup_str(d.version);
}

void installer_take(struct installer *i, const struct s_install *r, int64_t now)
{
    struct error err = {0};
    enum refusal code = REFUSAL_BUSY;
    char archive[LIMIT_PATH + 1];
    int rc = -EBUSY;
    if (i->n >= INSTALLS_WAITING)
        error_set(&err, rc, "%d packages are waiting to be installed; try again later",
                  (int)INSTALLS_WAITING);
    else
        rc = judge_deployment(i, r, now, &code, &err);
    if (rc == 0 && (!span_copy_str(r->archive, archive, sizeof archive) || archive[0] != '/')) {
        code = REFUSAL_BAD_ARGUMENT;
        rc = error_set(&err, -EINVAL, "the archive's path must be absolute");
    }
    if (rc < 0) {
        i->fn(i->self, &r->package, code, err.text);
        return;
    }
    struct install_order *o = mem_zalloc(1, sizeof *o);
    o->package = r->package;
    o->archive = mem_strdup(archive);
    o->signature = buf_dup(r->signature);
    name_as_deployed(r, o);
    *i->last = o;
    i->last = &o->next;
    i->n++;
    start_next(i);
}

bool installer_reaped(struct installer *i, pid_t pid, int status)
{
    struct buf said = {0}, clean = {0};
    if (!i->pid || pid != i->pid)
        return false;
    ssize_t n = read(i->said, buf_grow(&said, SAID_MAX), SAID_MAX);
    said.n = n > 0 ? (size_t)n : 0;
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool refused = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNPACK_REFUSED;
    outputs_clean_text(buf_span(&said), LIMIT_TEXT, &clean);
    if (!well && !clean.n)
        buf_printf(&clean, "lbunpack ended with %s %d",
                   WIFSIGNALED(status) ? "signal" : "exit code",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    finish(i,
           well      ? REFUSAL_NONE
           : refused ? REFUSAL_BAD_PACKAGE
                     : REFUSAL_INTERNAL,
           buf_str(&clean));
    buf_free(&said);
    buf_free(&clean);
    return true;
}
