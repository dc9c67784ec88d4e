/* attest.c - tells the broker what this server can run now: ATTEST. */
#include "worker/worker.h"

#include <errno.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "package/signature.h"

static void add_jobs(const struct worker *w, struct buf *items, uint32_t *count)
{
    const struct job_here *j;
    for (size_t i = 0; (j = jobs_at(w->jobs, i)) && *count < LIMIT_JOBS; i++) {
        wire_add_bin(items, buf_span(&j->attested));
        ++*count;
    }
}

/* The number of a builder's key, as minisign and lbpkg print it; or that there is none. Of a key
 * that is no longer trusted only the first digits are known. */
static void name_signer(const struct builder *trusted, size_t n, const struct hash *key,
                        char out[MINISIGN_NUMBER_TEXT])
{
    const struct builder *by = builders_find(trusted, n, key);
    if (hash_is_zero(key))
        snprintf(out, MINISIGN_NUMBER_TEXT, "unsigned");
    else if (by)
        minisign_number(by->key.number, out);
    else
        key_short(key, out);
}

static void load_signers(const struct worker *w, struct builder **ret, size_t *ret_n)
{
    char path[PATHS_MAX];
    if (path_join(path, sizeof path, NULL, w->paths.config, "trust/signers", NULL) == 0)
        signature_load_signers(path, ret, ret_n, NULL);
}

static void add_packages(const struct worker *w, struct buf *items, uint32_t *count)
{
    const struct installed_package *p;
    struct builder *trusted = NULL;
    struct buf one = {0};
    size_t n_trusted = 0;
    char signer[MINISIGN_NUMBER_TEXT];
    load_signers(w, &trusted, &n_trusted);
    for (size_t i = 0; (p = installed_at(jobs_packages(w->jobs), i)) && *count < LIMIT_JOBS; i++) {
        struct d_attested_package a = {
            .package = p->hash, .size = p->size, .trouble = span_str(p->trouble)};
        if (a.trouble.n > LIMIT_TEXT)
            a.trouble.n = LIMIT_TEXT;
        if (!p->trouble) {
            a.name = p->runnable.name;
            a.version = p->runnable.version;
            name_signer(trusted, n_trusted, &p->runnable.signer_key, signer);
            a.signer = span_str(signer);
        }
        buf_clear(&one);
        d_attested_package_encode(&a, &one);
        wire_add_bin(items, buf_span(&one));
        ++*count;
    }
    buf_free(&one);
    mem_free(&trusted);
    desired_troubles(w->desired, items, count);
}

static void add_fact(struct buf *items, uint32_t *count, const char *name, const char *text)
{
    value_add_str(items, span_str(name));
    value_add_str(items, span_str(text));
    ++*count;
}

static void add_number(struct buf *items, uint32_t *count, const char *name, int64_t n)
{
    value_add_str(items, span_str(name));
    value_add_int(items, n);
    ++*count;
}

/* Which packages the server takes from anybody. */
static void add_unsigned(const struct worker *w, struct buf *items, uint32_t *count)
{
    struct builder *trusted = NULL;
    struct buf names = {0};
    size_t n = 0;
    load_signers(w, &trusted, &n);
    for (size_t i = 0; i < n && names.n < LIMIT_SHORT; i++)
        if (trusted[i].is_unsigned)
            buf_printf(&names, "%s%s", names.n ? "," : "", trusted[i].packages);
    if (names.n > LIMIT_SHORT)
        names.n = LIMIT_SHORT;
    if (names.n)
        add_fact(items, count, "unsigned", buf_str(&names));
    buf_free(&names);
    mem_free(&trusted);
}

/* For people who read `lbctl servers`; no decision depends on it. Sorted by name. */
static void add_facts(const struct worker *w, struct buf *items, uint32_t *count)
{
    struct utsname u;
    struct sysinfo s;
    char host[LIMIT_SHORT + 1] = "";
    gethostname(host, sizeof host - 1);
    add_number(items, count, "broker_ahead_ms", w->broker_ahead_ms);
    add_number(items, count, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
    add_fact(items, count, "host", host);
    add_number(items, count, "jobs_with_trouble", jobs_troubled(w->jobs));
    if (uname(&u) == 0)
        add_fact(items, count, "kernel", u.release);
    if (sysinfo(&s) == 0)
        add_number(items, count, "memory_mib", (int64_t)(s.totalram * s.mem_unit >> 20));
    add_fact(items, count, "runner",
             runnerlink_is_up(w->runner) ? "up" : runnerlink_trouble(w->runner));
    if (w->slots_trouble)
        add_fact(items, count, "slots_with_trouble", w->slots_trouble);
    add_fact(items, count, "software", "longboat " LB_VERSION);
    if (runnerlink_is_strange(w->runner))
        add_fact(items, count, "trouble", runnerlink_trouble(w->runner));
    else if (*spool_trouble(w->spool))
        add_fact(items, count, "trouble", spool_trouble(w->spool));
    add_unsigned(w, items, count);
}

/* Behind the needs that were probed: is each secret here that some job names? */
static void add_secrets(const struct worker *w, struct buf *items, struct wire_list *needs)
{
    struct buf all = {0}, one = {0};
    const struct wire_list secrets = jobs_secrets(w->jobs, &all);
    struct wire_iter it = wire_iter(&secrets);
    char trouble[LIMIT_SHORT * 2];
    uint32_t n = needs->count;
    struct span item;
    while (n < LIMIT_NEEDS && wire_next(&it, &item)) {
        const struct d_need d = {.need = item,
                                 .holds =
                                     secretstore_holds(w->secrets, item, trouble, sizeof trouble),
                                 .trouble = span_str(trouble),
                                 .probed_at = loop_now_wall(w->loop)};
        buf_clear(&one);
        d_need_encode(&d, &one);
        wire_add_bin(items, buf_span(&one));
        n++;
    }
    *needs = wire_list_from(items, n);
    buf_free(&all);
    buf_free(&one);
}

static void encode(struct worker *w, struct buf *out)
{
    struct buf jobs = {0}, packages = {0}, needs = {0}, facts = {0};
    uint32_t n_jobs = 0, n_packages = 0, n_facts = 0;
    struct m_attest m = {.slots = w->options.slots, .needs = answers_needs(w->answers, &needs)};
    jobs_add_refusals(w->jobs, loop_now_wall(w->loop), &needs, &m.needs.count);
    m.needs = wire_list_from(&needs, m.needs.count);
    add_secrets(w, &needs, &m.needs);
    add_jobs(w, &jobs, &n_jobs);
    add_packages(w, &packages, &n_packages);
    add_facts(w, &facts, &n_facts);
    m.jobs = wire_list_from(&jobs, n_jobs);
    m.packages = wire_list_from(&packages, n_packages);
    m.facts = wire_list_from(&facts, n_facts);
    m_attest_encode(&m, out);
    buf_free(&jobs);
    buf_free(&packages);
    buf_free(&needs);
    buf_free(&facts);
}

void attest_soon(struct worker *w, int64_t ms)
{
    int64_t at = loop_now(w->loop) + ms;
    if (!w->attest_at || at < w->attest_at)
        w->attest_at = at;
}

void attest_now(struct worker *w)
{
    struct buf b = {0};
    w->attest_at = 0;
    if (!w->dialer || !dialer_is_up(w->dialer))
        return; /* sent when a session opens */
    encode(w, &b);
    int rc = b.n > LIMIT_FRAME ? -EMSGSIZE : dialer_send(w->dialer, buf_span(&b));
    if (rc == -EMSGSIZE)
        log_error("too many jobs and packages for one message (%zu bytes); remove some", b.n);
    else if (rc == -ENOBUFS)
        attest_soon(w, ATTEST_MS);
    buf_free(&b);
}
