/* proxy_fuzz.c - arbitrary bytes as a proxy's or a subsystem's file: refused with places, or a
 * document that our strict reader takes, and that is the same when it is written as a file anew. */
/* needs: package/proxyfile.c package/proxyfile_limits.c package/proxyfile_format.c */
/* needs: package/proxyfile_edit.c package/subsystemfile.c package/manifest.c */
/* needs: package/manifest_yaml.c package/manifest_parameter.c package/manifest_files.c */
/* needs: package/values.c package/values_map.c package/values_yaml.c */
#include <assert.h>
#include <string.h>

#include "package/proxyfile.h"
#include "package/proxyfile_edit.h"
#include "package/subsystemfile.h"
#include "trust/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void without_lines(struct d_proxy *p, struct buf *out)
{
    p->user_line = p->subsystems_line = p->principals_line = p->signers_line = 0;
    d_proxy_encode(p, out);
}

static void a_proxy(struct span text)
{
    struct buf document = {0}, again = {0}, second = {0}, bytes[2] = {{0}};
    struct problems ps = {0};
    struct d_proxy p, q;
    struct error err;
    if (proxyfile_compile("etl.yaml", text, &document, &ps) == 0) {
        assert(document.n <= LIMIT_PROXY);
        assert(d_proxy_decode(buf_span(&document), &p, &err) == 0);
        proxyfile_format(&p, &again);
        assert(proxyfile_compile("etl.yaml", buf_span(&again), &second, &ps) == 0);
        assert(d_proxy_decode(buf_span(&second), &q, &err) == 0);
        without_lines(&p, &bytes[0]);
        without_lines(&q, &bytes[1]);
        assert(span_eq(buf_span(&bytes[0]), buf_span(&bytes[1])));
    } else {
        assert(ps.errors && !document.n);
        for (size_t i = 0; i < ps.n; i++)
            assert(strncmp(ps.v[i].text, "etl.yaml", 8) == 0);
    }
    problems_free(&ps);
    buf_free(&document);
    buf_free(&again);
    buf_free(&second);
    buf_free(&bytes[0]);
    buf_free(&bytes[1]);
}

static void an_edit(struct span text, const char *key, const char *value, bool add)
{
    const struct proxyfile_edit e = {"etl.yaml", text, key, value, add};
    struct buf out = {0};
    struct error err;
    bool lost;
    int rc = proxyfile_edit(&e, &out, &lost, &err);
    assert(rc <= 1 && (rc == 1) == (out.n > 0));
    buf_free(&out);
}

static void a_subsystem(struct span text)
{
    struct buf document = {0};
    struct problems ps = {0};
    struct d_subsystem s;
    struct error err;
    if (subsystemfile_compile("etl.yaml", text, &document, &ps) == 0)
        assert(d_subsystem_decode(buf_span(&document), &s, &err) == 0);
    else
        assert(ps.errors && !document.n);
    problems_free(&ps);
    buf_free(&document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span text = span_of(data, size);
    static bool begun;
    begun = begun || trust_init(NULL) == 0;
    a_proxy(text);
    an_edit(text, "principals", "anna", true);
    an_edit(text, "principals", "anna", false);
    an_edit(text, "subsystems", "exec", false);
    a_subsystem(text);
    return 0;
}
