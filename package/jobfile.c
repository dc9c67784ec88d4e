/* jobfile.c - the steps of a job file. */
#include "package/jobfile.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "common/suggest.h"
#include "package/jobfile_inner.h"
#include "package/manifest_parameter.h"
#include "proto/outcome.h"
#include "proto/packagejob.h"
#include "trust/envelope.h"
#include "trust/subsystem.h"

static const char *const job_keys[] = {"job",        "version", "concurrency",
                                       "parameters", "steps",   NULL};
static const char *const step_keys[] = {
    "name",    "package", "subsystem",          "run",        "proxy",      "parameters", "retry",
    "timeout", "always",  "success_exit_codes", "on_success", "on_failure", NULL};
static const char *const retry_keys[] = {"attempts", "interval", "backoff", "exit_codes", NULL};
static const char *const actions[] = {"next", "quit-success", "quit-failure", "goto", NULL};

/* A text within bounds, or NULL and the sentence. */
static const char *take_text(const struct yaml_node *node, const char *what, size_t most,
                             struct error *err)
{
    const char *text;
    if (yaml_str(node, &text, err) < 0)
        return NULL;
    if (*text && strlen(text) <= most)
        return text;
    yaml_error(node, err, "%s has 1 to %zu bytes", what, most);
    return NULL;
}

static int take_name(const struct yaml_node *node, const char *what, const char **ret,
                     struct error *err)
{
    const char *text = take_text(node, what, LIMIT_NAME, err);
    if (!text)
        return -EINVAL;
    if (name_check_name(what, span_str(text), err) < 0)
        return yaml_place(node, err);
    *ret = text;
    return 0;
}

static int take_int(const struct yaml_node *node, int64_t least, int64_t most, uint64_t *ret,
                    struct error *err)
{
    int64_t v;
    int rc = yaml_int(node, &v, err);
    if (rc < 0)
        return rc;
    if (v < least || v > most)
        return yaml_error(node, err, "%lld is not between %lld and %lld", (long long)v,
                          (long long)least, (long long)most);
    *ret = (uint64_t)v;
    return 0;
}

static int take_duration(const struct yaml_node *node, int64_t least, uint64_t *ret,
                         struct error *err)
{
    int64_t ms;
    int rc = yaml_duration(node, &ms, err);
    if (rc == 0 && ms < least)
        return yaml_error(node, err, "a duration of at least %lld ms is expected here",
                          (long long)least);
    if (rc == 0)
        *ret = (uint64_t)ms;
    return rc;
}

/* A list of exit codes to one byte a code, ascending, none twice. */
static int take_codes(const struct yaml_node *node, struct buf *out, struct error *err)
{
    bool there[256] = {false};
    int rc = yaml_expect_seq(node, err);
    if (rc == 0 && yaml_count(node) == 0)
        return yaml_error(node, err, "the list of exit codes is empty");
    for (size_t i = 0; rc == 0 && i < yaml_count(node); i++) {
        uint64_t code = 0;
        if ((rc = take_int(yaml_item(node, i), 0, 255, &code, err)) == 0)
            there[code] = true;
    }
    for (unsigned code = 0; rc == 0 && code < 256; code++)
        if (there[code])
            buf_add(out, &(uint8_t){(uint8_t)code}, 1);
    return rc;
}

/* ---- First pass: names, and the packages that bindings are checked against. */

static int find_runnable(const struct yaml_node *node, struct jobfile_step *s,
                         jobfile_find_package find, void *self, struct hash *ret_hash,
                         struct error *err)
{
    const char *name = take_text(node, "a package's name", LIMIT_NAME + 1 + LIMIT_SHORT, err);
    struct span bytes;
    if (!name)
        return -EINVAL;
    const char *at = strchr(name, '@');
    struct span bare = span_of(name, at ? (size_t)(at - name) : strlen(name));
    if (name_check_name("the name of a package", bare, err) < 0 ||
        (at && manifest_version_check(span_str(at + 1), err) < 0))
        return yaml_place(node, err);
    if (find(self, name, ret_hash, &bytes, err) < 0)
        return yaml_place(node, err);
    s->runnable = buf_dup(bytes);
    if (d_runnable_decode(buf_span(&s->runnable), &s->decoded, err) < 0)
        return yaml_place(node, err);
    return 0;
}

static void read_step_head(struct jobfile *j, const struct yaml_node *node, struct hash *ret_hash,
                           jobfile_find_package find, void *self)
{
    struct jobfile_step *s = &j->steps[j->n];
    struct error err;
    const struct yaml_node *name,
        *action[2] = {yaml_get(node, "on_success"), yaml_get(node, "on_failure")};
    if (!jobfile_note(j, yaml_expect_map(node, &err), &err))
        return;
    manifest_note_unknown_keys(node, step_keys, j->problems);
    name = yaml_require(node, "name", &err);
    if (!jobfile_note(j, name ? take_name(name, "the name of a step", &s->name, &err) : -EINVAL,
                      &err))
        return;
    if (jobfile_find_step(j, span_str(s->name)) >= 0) {
        jobfile_note(j, yaml_error(name, &err, "there are two steps named '%s'", s->name), &err);
        return;
    }
    s->node = node;
    j->n++;
    if (yaml_get(node, "always"))
        jobfile_note(j, yaml_bool(yaml_get(node, "always"), &s->always, &err), &err);
    for (size_t i = 0; i < 2; i++)
        j->jumps = j->jumps ||
                   (yaml_text(action[i]).n > 5 && memcmp(yaml_text(action[i]).p, "goto ", 5) == 0);
    if (yaml_get(node, "package"))
        s->unknown = !jobfile_note(
            j, find_runnable(yaml_get(node, "package"), s, find, self, ret_hash, &err), &err);
}

/* ---- Second pass: everything of one step. */

/* Of a subsystem that it does not know, the server's runner says so. */
static bool takes_text(const char *subsystem)
{
    struct buf document = {0};
    struct d_subsystem d;
    const int i = subsystem_builtin_find(span_str(subsystem));
    if (i < 0)
        return true;
    subsystem_builtin((unsigned)i, &document);
    const bool takes =
        d_subsystem_decode(buf_span(&document), &d, NULL) == 0 && d.text_argv.count > 0;
    buf_free(&document);
    return takes;
}

static int read_what(const struct jobfile_step *s, struct d_step *d, struct error *err)
{
    const struct yaml_node *package = yaml_get(s->node, "package"),
                           *subsystem = yaml_get(s->node, "subsystem"),
                           *run = yaml_get(s->node, "run");
    const char *word, *text;
    if (package && (subsystem || run))
        return yaml_error(run ? run : subsystem, err,
                          "step '%s' has a package, which decides what runs and how", s->name);
    if (package) {
        d->subsystem = s->decoded.subsystem;
        d->package_name = s->decoded.name;
        return 0;
    }
    if (!subsystem || !run)
        return yaml_error(s->node, err,
                          "step '%s' needs a package, or subsystem: shell and run: TEXT", s->name);
    if (take_name(subsystem, "the name of a subsystem", &word, err) < 0)
        return -EINVAL;
    if (!takes_text(word))
        return yaml_error(subsystem, err,
                          "subsystem %s has no run: TEXT; make a package (lbpkg new)", word);
    if (!(text = take_text(run, "'run'", LIMIT_JOB_BODY / 2, err)) ||
        jobfile_check_run(run, text, err) < 0)
        return -EINVAL;
    d->subsystem = span_str(word);
    d->run = span_str(text);
    return 0;
}

static int read_retry(const struct yaml_node *node, struct d_step *d, struct buf *codes,
                      struct error *err)
{
    const struct yaml_node *attempts = yaml_get(node, "attempts"),
                           *interval = yaml_get(node, "interval"),
                           *backoff = yaml_get(node, "backoff"),
                           *exits = yaml_get(node, "exit_codes");
    int rc;
    d->attempts = 1;
    if (!node)
        return 0;
    if ((rc = yaml_expect_map(node, err)) < 0 || (rc = yaml_check_keys(node, retry_keys, err)) < 0)
        return rc;
    if (!yaml_require(node, "attempts", err))
        return -EINVAL;
    if ((rc = take_int(attempts, 1, LIMIT_TRIES, &d->attempts, err)) < 0)
        return rc;
    if (interval && (rc = take_duration(interval, 0, &d->interval_ms, err)) < 0)
        return rc;
    if (backoff && (rc = take_int(backoff, 1, 100, &d->backoff, err)) < 0)
        return rc;
    return exits ? take_codes(exits, codes, err) : 0;
}

static int read_action(const struct jobfile *j, const struct jobfile_step *s, const char *key,
                       const char *otherwise, struct span *ret, struct error *err)
{
    const struct yaml_node *node = yaml_get(s->node, key);
    const char *text;
    char hint[SUGGEST_TEXT];
    *ret = span_str(s->always ? "" : otherwise);
    if (!node)
        return 0;
    if (s->always)
        return yaml_error(node, err, "step '%s' always runs: it takes no on_success or on_failure",
                          s->name);
    if (!(text = take_text(node, "an action", 2 * LIMIT_NAME, err)))
        return -EINVAL;
    *ret = span_str(text);
    if (strncmp(text, "goto ", 5) == 0) {
        int to = jobfile_find_step(j, span_str(text + 5));
        const char **names = mem_zalloc(j->n + 1, sizeof *names);
        for (size_t i = 0; i < j->n; i++)
            names[i] = j->steps[i].name;
        int rc = 0;
        if (to < 0)
            rc = yaml_error(node, err, "this job has no step '%.64s'%s", text + 5,
                            suggest_hint(text + 5, names, hint));
        else if (j->steps[to].always)
            rc = yaml_error(node, err,
                            "step '%s' always runs at the end: it cannot be a goto target",
                            text + 5);
        else if (strlen(text) > LIMIT_NAME)
            rc = yaml_error(node, err, "a step that a goto names has at most %d bytes in its name",
                            LIMIT_NAME - 5);
        mem_free(&names);
        return rc;
    }
    int action = step_action_parse(span_str(text));
    if (action == ACTION_NEXT || action == ACTION_QUIT_SUCCESS || action == ACTION_QUIT_FAILURE)
        return 0;
    return yaml_error(
        node, err,
        "unknown action '%.64s'%s; actions are next, quit-success, quit-failure, goto STEP", text,
        suggest_hint(text, actions, hint));
}

static void compile_step(struct jobfile *j, size_t at, const struct hash *package,
                         struct buf *items)
{
    const struct jobfile_step *s = &j->steps[at];
    struct error err;
    const struct yaml_node *proxy = yaml_get(s->node, "proxy"),
                           *timeout = yaml_get(s->node, "timeout"),
                           *codes = yaml_get(s->node, "success_exit_codes");
    const char *proxy_name = PACKAGEJOB_PROXY;
    struct d_step d = {.name = span_str(s->name), .always = s->always, .package = *package};
    struct buf bindings = {0}, retry = {0}, success = {0}, step = {0};
    uint32_t n = 0;
    if (!s->unknown)
        jobfile_note(j, read_what(s, &d, &err), &err);
    if (proxy)
        jobfile_note(j, take_name(proxy, "the name of a proxy", &proxy_name, &err), &err);
    jobfile_note(j, read_retry(yaml_get(s->node, "retry"), &d, &retry, &err), &err);
    if (timeout)
        jobfile_note(j, take_duration(timeout, 1, &d.timeout_ms, &err), &err);
    if (codes)
        jobfile_note(j, take_codes(codes, &success, &err), &err);
    jobfile_note(j, read_action(j, s, "on_success", "next", &d.on_success, &err), &err);
    jobfile_note(j, read_action(j, s, "on_failure", "quit-failure", &d.on_failure, &err), &err);
    jobfile_bind(j, at, yaml_get(s->node, "parameters"), &bindings, &n);
    if (!j->problems->errors) {
        d.proxy = span_str(proxy_name);
        d.retry_codes = buf_span(&retry);
        d.success_codes = buf_span(&success);
        d.bindings = wire_list_from(&bindings, n);
        d_step_encode(&d, &step);
        wire_add_bin(items, buf_span(&step));
    }
    buf_free(&bindings);
    buf_free(&retry);
    buf_free(&success);
    buf_free(&step);
}

static void compile_steps(struct jobfile *j, const struct yaml_node *seq, jobfile_find_package find,
                          void *self, struct buf *items)
{
    struct error err;
    const size_t n = yaml_count(seq);
    size_t always = 0;
    int rc = yaml_expect_seq(seq, &err);
    if (rc == 0 && (n == 0 || n > LIMIT_STEPS))
        rc = yaml_error(seq, &err, "a job has 1 to %d steps", LIMIT_STEPS);
    if (!jobfile_note(j, rc, &err))
        return;
    struct hash *packages = mem_zalloc(n, sizeof *packages);
    j->steps = mem_zalloc(n, sizeof *j->steps);
    for (size_t i = 0; i < n; i++)
        read_step_head(j, yaml_item(seq, i), &packages[j->n], find, self);
    for (size_t i = 0; i < j->n; i++)
        always += j->steps[i].always;
    if (always == n)
        jobfile_note(j, yaml_error(seq, &err, "a job needs a step that is not `always`"), &err);
    for (size_t i = 0; i < j->n; i++)
        compile_step(j, i, &packages[i], items);
    if (j->n == n) /* else a step that was not read may use them */
        jobfile_check_unused(j);
    mem_free(&packages);
}

static void free_steps(struct jobfile *j)
{
    for (size_t i = 0; i < j->n; i++)
        buf_free(&j->steps[i].runnable);
    mem_free(&j->steps);
    jobfile_free_parameters(j);
}

/* Name, version, concurrency. */
static void read_head(struct jobfile *j, const struct yaml_node *root, const char *file,
                      struct d_job *job)
{
    struct error err;
    const char *name, *version;
    const struct yaml_node *node = yaml_require(root, "job", &err);
    int rc = node ? take_name(node, "the name of a job", &name, &err) : -EINVAL;
    if (rc == 0 && file &&
        (strncmp(file, name, strlen(name)) != 0 || strcmp(file + strlen(name), ".yaml") != 0))
        rc = yaml_error(node, &err, "job '%s' must be in a file named %s.yaml", name, name);
    if (jobfile_note(j, rc, &err))
        job->name = span_str(name);
    if ((node = yaml_get(root, "version"))) {
        version = take_text(node, "a version", LIMIT_SHORT, &err);
        rc = version ? manifest_version_check(span_str(version), &err) : -EINVAL;
        if (version && rc < 0)
            yaml_place(node, &err);
        if (jobfile_note(j, rc, &err))
            job->version = span_str(version);
    }
    if ((node = yaml_get(root, "concurrency")))
        jobfile_note(j, take_int(node, 1, LIMIT_SLOTS, &job->concurrency, &err), &err);
}

static void compile(struct jobfile *j, const struct yaml_node *root, const char *file,
                    jobfile_find_package find, void *self, struct buf *out)
{
    struct d_job job = {0};
    struct error err;
    struct buf items = {0};
    const size_t was = out->n;
    if (!jobfile_note(j, yaml_expect_map(root, &err), &err))
        return;
    manifest_note_unknown_keys(root, job_keys, j->problems);
    read_head(j, root, file, &job);
    jobfile_read_parameters(j, yaml_get(root, "parameters"));
    const struct yaml_node *steps = yaml_require(root, "steps", &err);
    if (jobfile_note(j, steps ? 0 : -EINVAL, &err))
        compile_steps(j, steps, find, self, &items);
    if (!j->problems->errors) {
        job.steps = wire_list_from(&items, (uint32_t)j->n);
        job.parameters = buf_span(&j->bytes);
        d_job_encode(&job, out);
        if (out->n - was > LIMIT_JOB_BODY || job.parameters.n > LIMIT_MANIFEST) {
            jobfile_note(j,
                         yaml_error(root, &err, "the compiled job has %zu bytes; the limit is %d",
                                    out->n - was, LIMIT_JOB_BODY),
                         &err);
            out->n = was;
        }
    }
    buf_free(&items);
}

static int compile_yaml(struct yaml **yaml, int rc, const struct error *err, const char *file,
                        jobfile_find_package find, void *self, struct buf *out,
                        struct problems *problems)
{
    struct jobfile j = {.problems = problems};
    if (jobfile_note(&j, rc, err))
        compile(&j, yaml_root(*yaml), file, find, self, out);
    free_steps(&j);
    yaml_free(yaml);
    problems_cut(problems, JOBFILE_PROBLEMS_MAX);
    return problems->errors ? rc < 0 ? rc : -EINVAL : 0;
}

bool jobfile_note(struct jobfile *j, int rc, const struct error *err)
{
    if (rc < 0)
        problems_add_error(j->problems, err);
    return rc >= 0;
}

int jobfile_compile(const char *path, jobfile_find_package find, void *self, struct buf *out,
                    struct problems *problems)
{
    struct yaml *yaml = NULL;
    struct error err = {0};
    const char *slash = strrchr(path, '/');
    int rc = yaml_read_file(path, &yaml, &err);
    return compile_yaml(&yaml, rc, &err, slash ? slash + 1 : path, find, self, out, problems);
}

int jobfile_compile_bytes(const char *name, struct span text, jobfile_find_package find, void *self,
                          struct buf *out, struct problems *problems)
{
    struct yaml *yaml = NULL;
    struct error err = {0};
    int rc = yaml_read_bytes(name, text, &yaml, &err);
    return compile_yaml(&yaml, rc, &err, NULL, find, self, out, problems);
}

void jobfile_of_package(const struct d_runnable *runnable, struct buf *out)
{
    packagejob_compile(runnable, out, NULL);
}

void jobfile_hash(struct span job, struct hash *ret)
{
    envelope_hash(job, ret);
}
