/* golden_test.c - promise 16: today's code reads what earlier versions wrote. Each folder of
 * tests/golden holds what one version wrote: schema.txt (every message, document, record and spool
 * entry, as its fields' names and types and its bytes), spool.log, certificate, call, and a
 * broker's journal.db with what it loads, journal.txt.
 *
 * usage: golden_test               reads all folders, as a test
 *        golden_test --write DIR   writes today's (tools/golden.sh) */
#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#include "broker/store/store.h"
#include "common/spoolfile.h"
#include "trust/call.h"
#include "trust/fixture.h"

static const char *const TYPES[] = {"u64", "i64",  "flag", "str",  "bin",
                                    "id",  "hash", "strs", "bins", "map"};

enum { SPOOL_KINDS = 300, SPOOL_KINDS_END = 400, TEXT_MAX = 4 << 20, RECORDS_WRITTEN = 7 };

/* ---- A sample of a schema, by a rule that depends only on the field's name, type, place and
   most */
static void fill_list(const struct wire_field *f, struct buf *items, uint8_t *msg)
{
    uint32_t n = 0;
    if (f->type == WIRE_map) {
        value_add_str(items, span_str("a"));
        value_add_int(items, -5);
        value_add_str(items, span_str("b"));
        value_add_str(items, span_str("text"));
        n = 2;
    } else {
        for (; n < 2 && n < f->most; n++)
            f->type == WIRE_strs ? wire_add_str(items, span_str("item"))
                                 : wire_add_bin(items, span_str("item"));
    }
    struct wire_list l = wire_list_from(items, n);
    memcpy(msg + f->offset, &l, sizeof l);
}

static void fill_field(const struct wire_field *f, unsigned i, struct buf *items, uint8_t *msg)
{
    uint64_t u = 100 + i < f->most ? 100 + i : f->most;
    int64_t v = -(int64_t)(i * 1000003);
    size_t n = strlen(f->name) < f->most ? strlen(f->name) : (size_t)f->most;
    struct span text = span_of(f->name, n);
    switch (f->type) {
    case WIRE_u64:
        memcpy(msg + f->offset, &u, sizeof u);
        break;
    case WIRE_i64:
        memcpy(msg + f->offset, &v, sizeof v);
        break;
    case WIRE_flag:
        *(bool *)(msg + f->offset) = true;
        break;
    case WIRE_str:
    case WIRE_bin:
        memcpy(msg + f->offset, &text, sizeof text);
        break;
    case WIRE_id:
    case WIRE_hash:
        memset(msg + f->offset, (int)i + 1, f->type == WIRE_id ? 16 : 32);
        break;
    default:
        fill_list(f, items, msg);
    }
}

static void sample(const struct wire_schema *s, struct buf *out)
{
    _Alignas(16) uint8_t msg[1024] = {0};
    struct buf items[64] = {{0}};
    assert_true(s->count <= 64 && s->size <= sizeof msg);
    for (unsigned i = 0; i < s->count; i++)
        fill_field(&s->fields()[i], i, &items[i], msg);
    wire_encode(s, msg, out);
    for (unsigned i = 0; i < s->count; i++)
        buf_free(&items[i]);
}

/* ---- Text */
static void add_hex(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_printf(out, "%02x", s.p[i]);
}

static struct buf bytes_of(const char *hex)
{
    struct buf out = {0};
    size_t n = strlen(hex) / 2;
    uint8_t *p = buf_grow(&out, n ? n : 1);
    assert_int_equal(hex_parse(hex, p, n), 0);
    out.n = n;
    return out;
}

static void describe(const struct wire_schema *s, unsigned count, struct buf *out)
{
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "%s%s:%s", i ? " " : "", s->fields()[i].name, TYPES[s->fields()[i].type]);
}

static char *in(const char *folder, const char *name)
{
    static char path[2][600];
    static unsigned next;
    char *out = path[next++ % 2];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static void must_write(const char *path, struct span bytes)
{
    struct error err = {0};
    if (file_write_atomic(path, bytes, 0644, &err) < 0)
        fail_msg("%s", err.text);
}

static struct buf must_read(const char *path)
{
    struct buf b = {0};
    struct error err = {0};
    if (file_read(path, TEXT_MAX, &b, &err) < 0)
        fail_msg("%s", err.text);
    return b;
}

/* ---- The journal: two runs, one of them ended, a parent, and a decision */
static struct d_call the_call(void)
{
    return (struct d_call){.cluster = span_str("test"),
                           .caller = span_str("anna"),
                           .key = span_str("key-1"),
                           .job = span_str("nightly-load"),
                           .job_hash = {{1}},
                           .address = span_str("etl"),
                           .issued_at = NOW,
                           .expires = NOW + HOUR};
}

static void sign_the_call(struct buf *out)
{
    struct key k = fixture_key('a');
    struct d_call c = the_call();
    struct error err = {0};
    if (call_sign(&c, &k, "anna", 7, out, &err) < 0)
        fail_msg("%s", err.text);
}

static void records_of_a_life(struct buf *v)
{
    struct buf call = {0}, parent = {0}, signed_parent = {0}, outcome = {0};
    struct id run = {{1}}, other = {{2}}, of_parent = {{3}};
    uint8_t none[64] = {0};
    sign_the_call(&call);
    d_parent_encode(&(struct d_parent){.cluster = span_str("test"),
                                       .caller = span_str("anna"),
                                       .key = span_str("parent-1"),
                                       .name = span_str("nightly"),
                                       .tasks = 1},
                    &parent);
    d_signed_encode(&(struct d_signed){.signer = span_str("anna"),
                                       .body = buf_span(&parent),
                                       .signature = {none, 64}},
                    &signed_parent);
    d_outcome_encode(&(struct d_outcome){.status = STATUS_FAILED,
                                         .job = JOB_FAILED,
                                         .package = PACKAGE_FAILED,
                                         .message = span_str("no such table"),
                                         .ended_at = NOW + 50},
                     &outcome);
    r_epoch_encode(&(struct r_epoch){.at = NOW, .software = span_str("golden")}, &v[0]);
    r_called_encode(
        &(struct r_called){
            .at = NOW + 1, .run = run, .principal = span_str("anna"), .call = buf_span(&call)},
        &v[1]);
    r_called_encode(
        &(struct r_called){
            .at = NOW + 2, .run = other, .principal = span_str("anna"), .call = buf_span(&call)},
        &v[2]);
    r_parent_begun_encode(&(struct r_parent_begun){.at = NOW + 3,
                                                   .run = of_parent,
                                                   .principal = span_str("anna"),
                                                   .parent = buf_span(&signed_parent)},
                          &v[3]);
    r_assigned_encode(
        &(struct r_assigned){.at = NOW + 4, .run = run, .attempt = 1, .server = span_str("etl1")},
        &v[4]);
    r_ended_encode(&(struct r_ended){.at = NOW + 60,
                                     .run = run,
                                     .attempt = 1,
                                     .server = span_str("etl1"),
                                     .outcome = buf_span(&outcome)},
                   &v[5]);
    r_operated_encode(&(struct r_operated){.at = NOW + 70,
                                           .by = span_str("root"),
                                           .verb = span_str("drain"),
                                           .target = span_str("etl1"),
                                           .reason = span_str("golden")},
                      &v[6]);
    buf_free(&call), buf_free(&parent), buf_free(&signed_parent), buf_free(&outcome);
}

static void committed(void *self, uint64_t lsn)
{
    *(uint64_t *)self = lsn;
}

static void full(void *self, bool yes)
{
    (void)self;
    assert_false(yes);
}

static int add_loaded(void *self, uint64_t lsn, struct span body, struct error *err)
{
    (void)err;
    buf_printf(self, "%llu ", (unsigned long long)lsn);
    add_hex(self, body);
    buf_add_str(self, "\n");
    return 0;
}

/* What the file at `path` loads, as text. */
static void load(const char *path, struct store **ret, struct buf *text)
{
    struct error err = {0};
    struct store_options o = {
        .path = path, .no_pregrow = true, .reserve_bytes = 1, .now = NOW + 100};
    if (store_open(ret, &o, &err) < 0 || store_load(*ret, add_loaded, text, &err) < 0)
        fail_msg("%s: %s", path, err.text);
}

static void write_journal(const char *folder)
{
    struct buf v[RECORDS_WRITTEN] = {{0}}, text = {0};
    struct store *s;
    struct error err = {0};
    uint64_t lsn = 0;
    char *path = mem_strdup(in(folder, "journal.db"));
    load(path, &s, &text);
    assert_int_equal(store_start(s, &(struct store_calls){&lsn, committed, full}, &err), 0);
    records_of_a_life(v);
    for (unsigned i = 0; i < RECORDS_WRITTEN; i++) {
        store_append(s, &(struct bcore_record){i + 1, buf_span(&v[i])}, 1);
        buf_free(&v[i]);
    }
    while (lsn < RECORDS_WRITTEN) {
        poll(&(struct pollfd){.fd = store_fd(s), .events = POLLIN}, 1, 20000);
        store_dispatch(s);
    }
    store_close(&s);
    /* written back completely, and read from a copy as any successor does */
    struct buf whole = must_read(path);
    char *copy = mem_printf("%s.copy", path), *lock = mem_printf("%s.lock", path);
    must_write(copy, buf_span(&whole));
    buf_clear(&text);
    load(copy, &s, &text);
    store_close(&s);
    must_write(in(folder, "journal.txt"), buf_span(&text));
    static const char *const left[] = {"", "-wal", "-shm", ".lock"};
    for (unsigned i = 0; i < 4; i++) {
        char *name = mem_printf("%s%s", copy, left[i]);
        unlink(name);
        mem_free(&name);
    }
    unlink(lock);
    mem_free(&path), mem_free(&copy), mem_free(&lock);
    buf_free(&whole), buf_free(&text);
}

/* ---- Writing */
static void write_all(const char *folder)
{
    struct buf text = {0}, one = {0};
    struct spoolfile *spool = NULL;
    struct error err = {0};
    struct certificate_order anna = fixture_anna();
    const struct wire_schema *s;
    assert_int_equal(trust_init(&err), 0);
    assert_int_equal(spoolfile_open_append(in(folder, "spool.log"), 0644, &spool, NULL, &err), 0);
    for (unsigned i = 0; (s = messages_schema_at(i)); i++) {
        buf_clear(&one);
        sample(s, &one);
        buf_printf(&text, "%llu\t%s\t", (unsigned long long)s->kind, s->name);
        describe(s, s->count, &text);
        buf_add_str(&text, "\t");
        add_hex(&text, buf_span(&one));
        buf_add_str(&text, "\n");
        if (s->kind >= SPOOL_KINDS && s->kind < SPOOL_KINDS_END)
            assert_int_equal(spoolfile_append(spool, buf_span(&one), &err), 0);
    }
    spoolfile_close(&spool);
    must_write(in(folder, "schema.txt"), buf_span(&text));
    struct buf certificate = fixture_certificate_bytes(&anna);
    must_write(in(folder, "certificate"), buf_span(&certificate));
    buf_clear(&one);
    sign_the_call(&one);
    must_write(in(folder, "call"), buf_span(&one));
    write_journal(folder);
    buf_free(&text), buf_free(&one), buf_free(&certificate);
}

/* ---- Reading: each version's folder. `make` runs the tests in the top folder of the tree. */
static void in_each_version(void read(const char *folder))
{
    DIR *d = opendir("tests/golden");
    unsigned n = 0;
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] == 'v') {
            char *folder = mem_printf("tests/golden/%s", e->d_name);
            read(folder);
            mem_free(&folder);
            n++;
        }
    closedir(d);
    assert_true(n > 0);
}

/* Decoded by today's schema and encoded again as far as the old one went, it must be the same: then
   nothing was misread. */
static void assert_read(const struct wire_schema *s, unsigned count, struct span bytes)
{
    _Alignas(16) uint8_t msg[1024] = {0};
    struct wire_schema old = *s;
    struct buf again = {0};
    struct error err = {0};
    if (wire_decode(s, bytes, false, msg, &err) < 0)
        fail_msg("%s (today's reader over what an earlier version wrote)", err.text);
    old.count = count;
    wire_encode(&old, msg, &again);
    assert_int_equal(again.n, bytes.n);
    assert_memory_equal(again.p, bytes.p, bytes.n);
    buf_free(&again);
}

static unsigned count_of(const char *fields)
{
    unsigned n = *fields != 0;
    for (; *fields; fields++)
        n += *fields == ' ';
    return n;
}

static void read_schema(const char *folder)
{
    struct buf text = must_read(in(folder, "schema.txt"));
    char *lines = mem_strdup(buf_str(&text)), *rest = lines;
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        const char *kind = strsep(&line, "\t"), *name = strsep(&line, "\t"),
                   *fields = strsep(&line, "\t");
        const struct wire_schema *s = messages_schema_of_kind(strtoull(kind, NULL, 10), NULL);
        unsigned n = count_of(fields);
        struct buf today = {0}, bytes = bytes_of(line);
        if (!s || s->count < n)
            fail_msg("%s: %s (kind %s) is gone, or has lost fields", folder, name, kind);
        describe(s, n, &today);
        assert_string_equal(buf_str(&today), fields);
        assert_read(s, n, buf_span(&bytes));
        buf_free(&today), buf_free(&bytes);
    }
    mem_free(&lines);
    buf_free(&text);
}

static void every_message_document_record_and_entry_is_read(void **state)
{
    (void)state;
    in_each_version(read_schema);
}

static void read_spool(const char *folder)
{
    struct spoolfile_reader *r = NULL;
    struct error err = {0};
    struct span entry;
    unsigned n = 0;
    int rc;
    assert_int_equal(spoolfile_reader_open(in(folder, "spool.log"), SPOOLFILE_START, &r, &err), 0);
    while ((rc = spoolfile_reader_next(r, &entry, &err)) == 1) {
        uint64_t kind;
        size_t size;
        _Alignas(16) uint8_t msg[1024];
        assert_int_equal(wire_peek(entry, &kind, &size, &err), 0);
        const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
        assert_non_null(s);
        if (wire_decode(s, entry, false, msg, &err) < 0)
            fail_msg("%s", err.text);
        n++;
    }
    if (rc < 0)
        fail_msg("%s", err.text);
    assert_true(n > 5);
    spoolfile_reader_close(&r);
}

static void a_spool_is_read_to_its_end(void **state)
{
    (void)state;
    in_each_version(read_spool);
}

static void read_certificate_and_call(const char *folder)
{
    struct buf certificate = must_read(in(folder, "certificate")),
               call = must_read(in(folder, "call"));
    struct trust_anchors anchors = fixture_anchors();
    struct certificate anna = {0};
    struct call_scope scope = {.cluster = "test", .now = NOW};
    struct d_call c, expected = the_call();
    struct error err = {0};
    if (certificate_verify(buf_span(&certificate), &anchors, NOW, &anna, NULL, &err) < 0 ||
        call_verify(buf_span(&call), &anna, &scope, &c, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(anna.name, "anna");
    assert_int_equal(anna.n_grants, 2);
    assert_true(span_eq(c.key, expected.key) && span_eq(c.job, expected.job) &&
                span_eq(c.address, expected.address));
    assert_int_equal(c.expires, expected.expires);
    certificate_free(&anna);
    anchors_free(&anchors);
    buf_free(&certificate), buf_free(&call);
}

static void old_certificates_and_calls_are_still_valid(void **state)
{
    (void)state;
    in_each_version(read_certificate_and_call);
}

static void read_journal(const char *folder)
{
    void *place;
    struct store *s;
    struct error err = {0};
    struct buf whole = must_read(in(folder, "journal.db")),
               expected = must_read(in(folder, "journal.txt"));
    struct buf text = {0}, found = {0};
    assert_int_equal(testing_folder(&place), 0);
    char *path = mem_strdup(testing_path(&place, "journal.db"));
    must_write(path, buf_span(&whole));
    load(path, &s, &text);
    assert_string_equal(buf_str(&text), buf_str(&expected));
    store_close(&s);
    if (store_check(path, &found, &err) < 0)
        fail_msg("%s", err.text);
    mem_free(&path);
    testing_folder_end(&place);
    buf_free(&whole), buf_free(&expected), buf_free(&text), buf_free(&found);
}

static void an_old_journal_loads_as_it_did(void **state)
{
    (void)state;
    in_each_version(read_journal);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_document_record_and_entry_is_read),
        cmocka_unit_test(a_spool_is_read_to_its_end),
        cmocka_unit_test(old_certificates_and_calls_are_still_valid),
        cmocka_unit_test(an_old_journal_loads_as_it_did),
    };
    if (argc == 3 && strcmp(argv[1], "--write") == 0) {
        write_all(argv[2]);
        return 0;
    }
    trust_init(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
