/* jobfile_fuzz.c - arbitrary bytes as a job's file: refused with its place, or a job that worker
 * and runner read, and that is the same when it is made again. */
/* needs: package/jobfile.c package/jobfile_binding.c package/manifest.c package/manifest_yaml.c */
/* needs: package/manifest_parameter.c package/manifest_files.c package/values.c */
/* needs: package/values_map.c package/values_yaml.c */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "package/jobfile.h"
#include "proto/steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One package is installed here: `extract`, which takes `table` and gives `rows`. */
static struct buf runnable;

static void install(void)
{
    struct buf item = {0}, parameters = {0}, outputs = {0};
    d_parameter_encode(&(struct d_parameter){.name = span_str("table"), .type = span_str("string")},
                       &item);
    wire_add_bin(&parameters, buf_span(&item));
    buf_clear(&item);
    d_parameter_encode(&(struct d_parameter){.name = span_str("rows"), .type = span_str("int")},
                       &item);
    wire_add_bin(&outputs, buf_span(&item));
    d_runnable_encode(&(struct d_runnable){.name = span_str("extract"),
                                           .version = span_str("1.2.0"),
                                           .package = {{1}},
                                           .subsystem = span_str("exec"),
                                           .entry = span_str("main"),
                                           .parameters = wire_list_from(&parameters, 1),
                                           .outputs = wire_list_from(&outputs, 1)},
                      &runnable);
    buf_free(&item);
    buf_free(&parameters);
    buf_free(&outputs);
}

static int find(void *self, const char *name_at_version, struct hash *ret_hash,
                struct span *ret_runnable, struct error *err)
{
    (void)self;
    if (strcmp(name_at_version, "extract") != 0 && strcmp(name_at_version, "extract@1.2.0") != 0)
        return error_set(err, -ENOENT, "no package '%s' is installed", name_at_version);
    *ret_hash = (struct hash){{1}};
    *ret_runnable = buf_span(&runnable);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span text = span_of(data, size);
    struct buf made = {0}, again = {0};
    struct steps_job job = {0};
    struct error err = {0};
    if (!runnable.n)
        install();
    if (jobfile_compile_bytes("etl.yaml", text, find, NULL, &made, &err) == 0) {
        assert(steps_job_read(buf_span(&made), &job, &err) == 0);
        assert(jobfile_compile_bytes("etl.yaml", text, find, NULL, &again, &err) == 0);
        assert(span_eq(buf_span(&made), buf_span(&again)));
    } else
        assert(!made.n && strncmp(err.text, "etl.yaml", 8) == 0);
    steps_job_free(&job);
    buf_free(&made);
    buf_free(&again);
    return 0;
}
