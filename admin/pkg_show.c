/* pkg_show.c - lbpkg show: what a package file says about itself. Nothing is verified; lbpkg verify
   does that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/pkg.h"
#include "common/duration.h"
#include "common/file.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/term.h"
#include "package/signature.h"

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "one JSON object: hash, size_bytes, signer, manifest"},
    {"files", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "list the files, too"},
};

static const char examples[] = "  lbpkg show extract-1.2.0.lbp\n"
                               "  lbpkg show extract-1.2.0.lbp --json | jq .manifest.needs\n";

struct shown {
    struct manifest m;
    struct buf json;
    struct hash hash;
    uint64_t size;
    char signer[MINISIGN_NUMBER_TEXT]; /* "": not signed */
};

static int read_all(const char *archive, struct shown *s, struct error *err)
{
    uint8_t digest[MINISIGN_DIGEST];
    struct buf signature = {0};
    struct minisign_signature sig;
    char *path = mem_printf("%s" SIGNATURE_SUFFIX, archive);
    int rc = archive_manifest(archive, &s->m, &s->json, err);
    if (rc == 0)
        rc = archive_digest(archive, &s->hash, digest, &s->size, err);
    if (rc == 0 && file_read(path, LIMIT_SIGNATURE, &signature, NULL) == 0 &&
        minisign_signature_parse(buf_span(&signature), &sig, NULL) == 0)
        minisign_number(sig.number, s->signer);
    mem_free(&path);
    buf_free(&signature);
    return rc;
}

static void show_json(const struct shown *s, struct buf *out)
{
    char hash[PACKAGE_HASH_TEXT];
    json_t *o = json_object();
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "hash", json_string(package_hash_format(&s->hash, hash)));
    json_object_set_new(o, "size_bytes", json_integer((json_int_t)s->size));
    json_object_set_new(o, "signer", *s->signer ? json_string(s->signer) : json_null());
    json_object_set_new(o, "manifest", json_parse("manifest", buf_span(&s->json), NULL));
    char *text = json_dump_canonical(o);
    buf_printf(out, "%s\n", text);
    free(text);
    json_decref(o);
}

static void line(struct buf *out, const char *title, const char *text)
{
    buf_printf(out, "%-13s", title);
    term_safe(out, span_str(text));
    buf_add_str(out, "\n");
}

static void show_parameters(const char *title, const struct manifest_parameter *list, size_t n,
                            struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct manifest_parameter *p = &list[i];
        struct span in = buf_span(&p->fallback);
        struct value v;
        struct buf text = {0};
        buf_printf(&text, "%s: %s%s%s", p->name, parameter_type_text(p->type),
                   p->required ? ", required" : "", p->sensitive ? ", sensitive" : "");
        if (value_read(&in, &v)) {
            buf_add_str(&text, ", default ");
            values_to_text(p->type, &v, &text);
        }
        if (*p->pattern)
            buf_printf(&text, ", pattern %s", p->pattern);
        line(out, i ? "" : title, buf_str(&text));
        buf_free(&text);
    }
}

static void limit(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "%s%s %s", out->n ? ", " : "", name, text);
}

static void show_limits(const struct manifest *m, struct buf *out)
{
    char text[DURATION_TEXT];
    struct buf b = {0};
    if (m->timeout_ms)
        limit(&b, "timeout", duration_format((int64_t)m->timeout_ms, text));
    if (m->memory)
        limit(&b, "memory", size_format((int64_t)m->memory, text));
    if (m->processes) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)m->processes);
        limit(&b, "processes", text);
    }
    if (m->output_cap)
        limit(&b, "output", size_format((int64_t)m->output_cap, text));
    line(out, "limits", b.n ? buf_str(&b) : "none");
    buf_free(&b);
}

static void show_files(const struct manifest *m, struct buf *out)
{
    for (size_t i = 0; i < m->n_files; i++) {
        const struct manifest_file *f = &m->files[i];
        char *text = f->link ? mem_printf("link  %10s  %s -> %s", "", f->path, f->link)
                             : mem_printf("%s  %10llu  %s", f->executable ? "0755" : "0644",
                                          (unsigned long long)f->size, f->path);
        line(out, i ? "" : "files", text);
        mem_free(&text);
    }
}

static void show_text(const struct shown *s, bool files, struct buf *out)
{
    const struct manifest *m = &s->m;
    char hash[PACKAGE_HASH_TEXT], size[DURATION_TEXT];
    char *title = mem_printf("%s %s", m->name, m->version), *count = mem_printf("%zu", m->n_files);
    line(out, "package", title);
    if (*m->description)
        line(out, "description", m->description);
    line(out, "hash", package_hash_format(&s->hash, hash));
    line(out, "size", size_format((int64_t)s->size, size));
    line(out, "signed by", *s->signer ? s->signer : "no one yet; run lbpkg sign");
    line(out, "subsystem", m->subsystem);
    line(out, "entry", m->entry);
    show_parameters("parameters", m->parameters, m->n_parameters, out);
    show_parameters("outputs", m->outputs, m->n_outputs, out);
    for (size_t i = 0; i < m->n_needs; i++)
        line(out, i ? "" : "needs", m->needs[i]);
    show_limits(m, out);
    for (size_t i = 0; i < m->n_exits; i++) {
        char *text = mem_printf("%llu %s", (unsigned long long)m->exits[i].code,
                                package_outcome_text(m->exits[i].outcome));
        line(out, i ? "" : "exit codes", text);
        mem_free(&text);
    }
    line(out, "idempotent", m->idempotent ? "yes" : "no");
    if (files)
        show_files(m, out);
    else
        line(out, "files", count);
    mem_free(&title);
    mem_free(&count);
}

int pkg_show(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    struct shown s = {0};
    struct buf out = {0};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "FILE [--files] [--json]", examples,
                              1, 1, &v, &first);
    if (rc >= 0)
        return rc;
    if ((rc = read_all(argv[first], &s, &err)) < 0)
        rc = pkg_fail(argv, pkg_code(rc), &err);
    else {
        if (opt_flag(&v, "json"))
            show_json(&s, &out);
        else
            show_text(&s, opt_flag(&v, "files"), &out);
        rc = pkg_print(argv, &out);
    }
    buf_free(&out);
    buf_free(&s.json);
    manifest_free(&s.m);
    options_free(&v);
    return rc;
}
