/* pkg_cases.c - lbpkg test: runs the cases of a package by hand, one after the other, on the path
   of `lbpkg run`, and judges what comes of them. */
#include "admin/pkg_cases.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/pkg_hand.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/termout.h"
#include "proto/outcome.h"

enum { OUTPUT_MAX = 64 << 10, OUTPUT_SHOWN = 2 << 10 };

static const struct option_row rows[] = {
    {"case", 'k', OPTION_STR, NULL, 0, 0, false, "TEXT", "only cases whose name contains this"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object for each case"},
    {"junit", 0, OPTION_STR, NULL, 0, 0, false, "FILE", "write the results as JUnit's XML, too"},
};

static const char examples[] =
    "  lbpkg test extract\n"
    "  lbpkg test extract -k 'no rows' --junit results.xml\n"
    "\n"
    "The cases stand in " CASEFILE_NAME ", at the top of the package's folder:\n"
    "\n"
    "  cases:\n"
    "    - name: two rows\n"
    "      parameters: {table: orders}\n"
    "      timeout: 30s                   default: 1m\n"
    "      as_of: 2026-11-21              default: now\n"
    "      needs_command: psql            skipped where there is no such program\n"
    "      expect:\n"
    "        outcome: succeeded           the default; or failed, cancelled,\n"
    "                                     timed_out, refused\n"
    "        exit_code: 0\n"
    "        message: two rows            or message_matches: '[a-z]+ rows'\n"
    "        outputs: {rows: 2}           others may be there\n"
    "        output_has: done             in what it writes to standard output\n"
    "\n"
    "Each case is run as `lbpkg run` does. Exit codes: 0 all cases have passed, or\n"
    "were skipped; 1 some have failed; 2 wrong usage, or nothing to run; 3 refused:\n"
    "the package or its cases are wrong, or you are root.\n";

struct pkg_test_run {
    struct pkg_case_result *result;
    struct buf out; /* its standard output */
};

/* ---- One run */

static void keep(struct buf *kept, struct span data)
{
    const size_t room = kept->n < OUTPUT_MAX ? OUTPUT_MAX - kept->n : 0;
    buf_add(kept, data.p, data.n < room ? data.n : room);
}

static void take_output(void *arg, unsigned stream, struct span data)
{
    struct pkg_test_run *t = arg;
    keep(&t->result->output, data);
    if (stream == 1)
        keep(&t->out, data);
}

/* A package is a job with one step; of several tries the last counts. */
static void take_outcome(void *arg, const struct d_outcome *o)
{
    struct pkg_case_result *r = ((struct pkg_test_run *)arg)->result;
    struct wire_iter it = wire_iter(&o->steps);
    struct buf text = {0};
    struct span item, message = o->message;
    struct d_step_outcome s;
    while (wire_next(&it, &item)) {
        if (wire_decode(&d_step_outcome_schema, item, true, &s, NULL) < 0)
            continue;
        message = s.message.n ? s.message : message;
        r->exit_code = s.exit_code;
        buf_clear(&text);
        wire_map_to_json(&s.outputs, &text);
    }
    r->outcome = o->delivery == DELIVERY_REFUSED ? "refused" : status_text(o->status);
    buf_add(&r->message, message.p, message.n);
    if (text.n) {
        json_decref(r->outputs);
        r->outputs = json_parse("outputs", buf_span(&text), NULL);
    }
    buf_free(&text);
}

static void take_refused(void *arg, uint64_t code, struct span text)
{
    struct pkg_case_result *r = ((struct pkg_test_run *)arg)->result;
    (void)code;
    r->outcome = "refused";
    buf_add(&r->message, text.p, text.n);
}

static void cut_output(struct buf *output)
{
    const char note[] = "...\n";
    if (output->n <= OUTPUT_SHOWN)
        return;
    struct buf tail = {0};
    buf_add_str(&tail, note);
    buf_add(&tail, output->p + output->n - OUTPUT_SHOWN, OUTPUT_SHOWN);
    buf_free(output);
    *output = tail;
}

static int run_case(char **argv, const struct pkg_hand *h, struct pkg_case_result *r,
                    struct error *err)
{
    struct pkg_test_run t = {.result = r};
    struct buf items = {0};
    struct wire_list parameters;
    struct handrun_watch watch = {.parameters = &parameters,
                                  .as_of = r->of->as_of,
                                  .timeout_ms = r->of->timeout_ms,
                                  .on_output = take_output,
                                  .on_outcome = take_outcome,
                                  .on_refused = take_refused,
                                  .arg = &t};
    const int64_t began = clock_boot_ms();
    r->outputs = json_object();
    int code = HANDRUN_FAILED,
        rc = values_map_from_json(r->of->parameters, NULL, &items, &parameters, err);
    if (rc == 0)
        code = handrun(&(struct handrun){.program = argv[0],
                                         .watch = &watch,
                                         .package = h->package,
                                         .home = h->home,
                                         .settings = h->settings,
                                         .undeployed = true});
    r->took_ms = clock_boot_ms() - began;
    if (rc == 0 && code == HANDRUN_INTERRUPTED)
        rc = error_set(err, -EINTR, "stopped; the cases after '%s' were not run", r->of->name);
    else if (rc == 0 && !r->outcome)
        rc = error_set(err, -EIO, "the case '%s' could not be run", r->of->name);
    if (rc == 0) {
        const struct casefile_end end = {.outcome = r->outcome,
                                         .exit_code = r->exit_code,
                                         .message = buf_span(&r->message),
                                         .output = buf_span(&t.out),
                                         .outputs = r->outputs,
                                         .late = watch.late};
        casefile_judge(r->of, &end, &r->why);
        r->verdict = r->why.n ? PKG_CASE_FAILED : PKG_CASE_PASSED;
    }
    cut_output(&r->output);
    buf_free(&t.out);
    buf_free(&items);
    return rc;
}

/* ---- All of them */

/* As a child would find it. */
static bool has_command(const char *name)
{
    static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                          "/usr/bin",        "/sbin",          "/bin"};
    bool found = *name == '/' && access(name, X_OK) == 0;
    for (size_t i = 0; *name != '/' && !found && i < COUNT_OF(folders); i++) {
        char *path = mem_printf("%s/%s", folders[i], name);
        found = access(path, X_OK) == 0;
        mem_free(&path);
    }
    return found;
}

static int run_or_skip(char **argv, const struct pkg_hand *h, struct pkg_case_result *r,
                       struct error *err)
{
    if (!r->of->needs_command || has_command(r->of->needs_command))
        return run_case(argv, h, r, err);
    r->verdict = PKG_CASE_SKIPPED;
    buf_printf(&r->why, "there is no program '%s' here\n", r->of->needs_command);
    return 0;
}

static size_t choose(const struct casefile *cases, const char *part, struct pkg_case_result *ret,
                     int *ret_width)
{
    size_t n = 0;
    *ret_width = 0;
    for (size_t i = 0; i < cases->n; i++) {
        const int width = (int)strlen(cases->v[i].name);
        if (part && !strstr(cases->v[i].name, part))
            continue;
        ret[n++].of = &cases->v[i];
        *ret_width = width > *ret_width && width <= 50 ? width : *ret_width;
    }
    return n;
}

static int summarize(char **argv, const struct option_values *v, const struct manifest *m,
                     const struct pkg_case_result *r, size_t n)
{
    const char *junit = opt_str(v, "junit");
    size_t count[PKG_CASE_VERDICTS] = {0};
    struct buf xml = {0};
    struct error err = {0};
    for (size_t i = 0; i < n; i++)
        count[r[i].verdict]++;
    term_say(stderr, "%s: %s %s: %zu passed, %zu failed, %zu skipped\n", argv[0], m->name,
             m->version, count[PKG_CASE_PASSED], count[PKG_CASE_FAILED], count[PKG_CASE_SKIPPED]);
    int code = count[PKG_CASE_FAILED] ? EXIT_RAN_AND_FAILED : EXIT_DONE;
    if (junit) {
        pkg_cases_junit(m, r, n, &xml);
        if (file_write_atomic(junit, buf_span(&xml), 0644, &err) < 0)
            code = pkg_fail(argv, EXIT_ASKED_WRONGLY, &err);
    }
    buf_free(&xml);
    return code;
}

static int run_all(char **argv, const struct option_values *v, const struct pkg_hand *h,
                   const struct casefile *cases)
{
    struct pkg_case_result *results = mem_zalloc(cases->n, sizeof *results);
    struct error err = {0};
    int width, code = EXIT_DONE, rc = 0;
    const size_t n = choose(cases, opt_str(v, "case"), results, &width);
    if (n == 0)
        rc = error_set(&err, -EINVAL, "no case has '%s' in its name", opt_str(v, "case"));
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct buf out = {0};
        if ((rc = run_or_skip(argv, h, &results[i], &err)) == 0) {
            if (opt_flag(v, "json"))
                pkg_cases_json(&h->manifest, &results[i], &out);
            else
                pkg_cases_text(&results[i], width, &out);
            code = pkg_print(argv, &out);
        }
        buf_free(&out);
    }
    if (rc < 0)
        code = pkg_fail(argv, rc == -EINTR ? HANDRUN_INTERRUPTED : EXIT_ASKED_WRONGLY, &err);
    else if (code == EXIT_DONE)
        code = summarize(argv, v, &h->manifest, results, n);
    for (size_t i = 0; i < n; i++) {
        buf_free(&results[i].why);
        buf_free(&results[i].message);
        buf_free(&results[i].output);
        json_decref(results[i].outputs);
    }
    mem_free(&results);
    return code;
}

static int test(char **argv, const struct option_values *v, const char *folder)
{
    struct pkg_hand h = {.home = NULL};
    struct casefile cases = {0};
    struct problems ps = {0};
    struct error err = {0};
    char *path = mem_printf("%s/" CASEFILE_NAME, folder);
    int code = EXIT_ASKED_WRONGLY;
    if (access(folder, F_OK) == 0 && access(path, F_OK) < 0) {
        error_set(&err, -ENOENT, "'%s' is not there; lbpkg test --help says what cases look like",
                  path);
        pkg_fail(argv, code, &err);
    } else if ((code = pkg_hand_open(argv, folder, &h)) == 0) {
        if (casefile_read(path, &h.manifest, &cases, &ps) == 0)
            code = run_all(argv, v, &h, &cases);
        else
            code = EXIT_REFUSED;
        for (size_t i = 0; i < ps.n; i++)
            term_say(stderr, "%s: %s\n", argv[0], ps.v[i].text);
    }
    pkg_hand_close(argv, &h);
    problems_free(&ps);
    casefile_free(&cases);
    mem_free(&path);
    return code;
}

int pkg_test(int argc, char **argv)
{
    struct option_values v = {0};
    int first,
        rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "FOLDER", examples, 1, 1, &v, &first);
    if (rc >= 0)
        return rc;
    if ((rc = pkg_hand_allowed(argv)) < 0)
        rc = test(argv, &v, argv[first]);
    options_free(&v);
    return rc;
}
