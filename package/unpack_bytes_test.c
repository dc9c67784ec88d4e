/* unpack_bytes_test.c - archives that no library writes: tar made byte by byte, packed in odd ways,
 * and signed by a trusted builder. Each is refused with a sentence, and nothing is left of it. */
#include "package/fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <sodium.h>

#include "common/id.h"

enum { BLOCK = 512 };

/* ---- Tar by hand */

static void pad(struct buf *tar)
{
    static const uint8_t zeros[BLOCK];
    buf_add(tar, zeros, (BLOCK - tar->n % BLOCK) % BLOCK);
}

static void add_header(struct buf *tar, char type, const char *name, const char *size_field)
{
    uint8_t h[BLOCK] = {0};
    unsigned sum = 0;
    memcpy(h, name, strnlen(name, 100));
    memcpy(h + 100, "0000644", 8);
    memcpy(h + 108, "0000000", 8);
    memcpy(h + 116, "0000000", 8);
    memcpy(h + 124, size_field, 12);
    memcpy(h + 136, "00000000000", 12);
    memset(h + 148, ' ', 8);
    h[156] = (uint8_t)type;
    memcpy(h + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += h[i];
    char text[8];
    snprintf(text, sizeof text, "%06o", sum & 0777777);
    memcpy(h + 148, text, 7);
    buf_add(tar, h, sizeof h);
}

static void add_entry(struct buf *tar, char type, const char *name, struct span data)
{
    char size[13];
    snprintf(size, sizeof size, "%011llo", (unsigned long long)data.n & 077777777777);
    add_header(tar, type, name, size);
    buf_add(tar, data.p, data.n);
    pad(tar);
}

/* An extended header with one record. */
static void add_pax(struct buf *tar, const char *key, struct span value)
{
    struct buf record = {0};
    size_t n = strlen(key) + value.n + 3, digits = 1;
    for (size_t all = n + 1; all >= 10; all /= 10)
        digits++;
    if (snprintf(NULL, 0, "%zu", n + digits) != (int)digits)
        digits++;
    buf_printf(&record, "%zu %s=", n + digits, key);
    buf_add(&record, value.p, value.n);
    buf_add_str(&record, "\n");
    add_entry(tar, 'x', "PaxHeader", buf_span(&record));
    buf_free(&record);
}

static void add_end(struct buf *tar)
{
    static const uint8_t zeros[2 * BLOCK];
    buf_add(tar, zeros, sizeof zeros);
}

/* The manifest of a package with the files a, "1", and b, "2"; and its entry. */
static void add_manifest(struct buf *tar)
{
    struct manifest m;
    struct problems ps = {0};
    struct buf json = {0};
    if (manifest_parse_yaml("p",
                            span_str("name: extract\nversion: 1.2.0\nsubsystem: shell\nentry: a\n"),
                            &m, &ps) < 0)
        fail_msg("%s", ps.v[0].text);
    problems_free(&ps);
    m.files = mem_zalloc(2, sizeof *m.files);
    m.n_files = 2;
    for (size_t i = 0; i < 2; i++) {
        m.files[i] = (struct manifest_file){.path = mem_strdup(i ? "b" : "a"), .size = 1};
        crypto_generichash(m.files[i].hash.b, 32, (const uint8_t *)(i ? "2" : "1"), 1, NULL, 0);
    }
    manifest_to_json(&m, &json);
    add_entry(tar, '0', "manifest.json", buf_span(&json));
    manifest_free(&m);
    buf_free(&json);
}

static void add_head(struct buf *tar)
{
    add_manifest(tar);
    add_entry(tar, '0', "files/a", span_str("1"));
}

static void add_whole(struct buf *tar)
{
    add_head(tar);
    add_entry(tar, '0', "files/b", span_str("2"));
    add_end(tar);
}

/* ---- Packing */

static void pack(struct span data, struct buf *out)
{
    size_t most = data.n + (1 << 20), used = 0;
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    archive_write_set_format_raw(a);
    archive_write_add_filter_zstd(a);
    archive_write_set_bytes_in_last_block(a, 1);
    uint8_t *bytes = mem_alloc(most);
    assert_int_equal(archive_write_open_memory(a, bytes, most, &used), ARCHIVE_OK);
    archive_entry_set_pathname(e, "data");
    archive_entry_set_filetype(e, AE_IFREG);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, data.p, data.n), (la_ssize_t)data.n);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    archive_entry_free(e);
    buf_add(out, bytes, used);
    mem_free(&bytes);
}

static int install_bytes(void **state, struct span bytes, struct error *ret)
{
    struct error err = {0};
    const char *path = testing_path(state, "p.lbp");
    must(file_write_atomic(path, bytes, 0644, &err));
    fixture_sign(path, "extract", "1.2.0", testing_path(state, "signers"));
    return fixture_install(state, path, ret);
}

static unsigned names_in(const char *folder)
{
    DIR *dir = opendir(folder);
    unsigned n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n < 2 ? 0 : n - 2;
}

/* Nothing in the store, and beside it only what the test has put there. */
static void assert_refused(void **state, int rc, const struct error *err, const char *sentence)
{
    if (rc != -EBADMSG || !strstr(err->text, sentence))
        fail_msg("expected '%s', not %d: '%s'", sentence, rc, err->text);
    assert_int_equal(names_in(testing_path(state, "store")), 0);
    assert_int_equal(names_in(*state), 4); /* p.lbp, its signature, signers, store */
}

static void refuse_packed(void **state, struct buf *bytes, const char *sentence)
{
    struct error err = {0};
    int rc = install_bytes(state, buf_span(bytes), &err);
    assert_refused(state, rc, &err, sentence);
    buf_free(bytes);
}

static void refuse_tar(void **state, struct buf *tar, const char *sentence)
{
    struct buf bytes = {0};
    pack(buf_span(tar), &bytes);
    buf_free(tar);
    refuse_packed(state, &bytes, sentence);
}

/* A form that libarchive takes for a plain file is refused, or it is that file: what is installed
 * has what the manifest says, for that is what is compared. */
static void refuse_or_same(void **state, struct buf *tar)
{
    struct buf bytes = {0}, b = {0};
    struct error err = {0};
    pack(buf_span(tar), &bytes);
    int rc = install_bytes(state, buf_span(&bytes), &err);
    if (rc < 0) {
        assert_refused(state, rc, &err, "the archive");
    } else {
        char hex[65];
        struct hash hash;
        crypto_generichash(hash.b, 32, bytes.p, bytes.n, NULL, 0);
        char *path =
            mem_printf("%s/%s/files/b", testing_path(state, "store"), hex_format(hash.b, 32, hex));
        struct stat st;
        must(file_read(path, 10, &b, &err));
        assert_string_equal(buf_str(&b), "2");
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0444);
        assert_int_equal(st.st_nlink, 1);
        must(file_remove_tree(testing_path(state, "store"), &err));
        mem_free(&path);
    }
    buf_free(&b);
    buf_free(&bytes);
    buf_free(tar);
}

/* ---- The tests */

static void an_honest_tar_made_by_hand_is_accepted(void **state)
{
    struct error err = {0};
    struct buf tar = {0}, bytes = {0};
    add_whole(&tar);
    buf_add(&tar, (const uint8_t[16 * BLOCK]){0}, 16 * BLOCK); /* a record's padding */
    pack(buf_span(&tar), &bytes);
    must(install_bytes(state, buf_span(&bytes), &err));
    assert_int_equal(names_in(testing_path(state, "store")), 1);
    buf_free(&tar);
    buf_free(&bytes);
}

static void data_after_the_end_is_refused(void **state)
{
    struct buf tar = {0}, bytes = {0};
    add_whole(&tar);
    add_entry(&tar, '0', "files/c", span_str("hidden"));
    add_end(&tar);
    refuse_tar(state, &tar, "has data after its end");
    add_whole(&tar);
    buf_add_str(&tar, "x");
    refuse_tar(state, &tar, "has data after its end");
    add_whole(&tar);
    for (unsigned i = 0; i < 200; i++) /* zeros, but more than any record has */
        add_end(&tar);
    refuse_tar(state, &tar, "has data after its end");
    add_whole(&tar);
    pack(buf_span(&tar), &bytes);
    pack(span_str("a second frame"), &bytes);
    refuse_packed(state, &bytes, "has data after its end");
    pack(buf_span(&tar), &bytes);
    buf_add_str(&bytes, "no frame at all");
    refuse_packed(state, &bytes, "the archive");
    buf_free(&tar);
}

static void an_archive_that_is_not_packed_once_is_refused(void **state)
{
    struct buf tar = {0}, once = {0}, twice = {0};
    add_whole(&tar);
    pack(buf_span(&tar), &once);
    pack(buf_span(&once), &twice);
    refuse_packed(state, &twice, "not one tar compressed once");
    refuse_packed(state, &tar, "not one tar compressed once");
    buf_free(&once);
    buf_add_str(&once, "neither zstd nor tar");
    refuse_packed(state, &once, "the archive");
    refuse_packed(state, &once, "the archive"); /* no byte at all */
}

static void a_stream_that_unpacks_to_far_more_than_it_is_is_refused(void **state)
{
    struct buf tar = {0};
    uint8_t *zeros = mem_zalloc(100 << 20, 1);
    add_manifest(&tar);
    add_entry(&tar, 'L', "././@LongLink", span_of(zeros, 100 << 20)); /* the name of an entry */
    refuse_tar(state, &tar, "the archive");
    add_manifest(&tar);
    add_pax(&tar, "comment", span_of(zeros, 100 << 20));
    refuse_tar(state, &tar, "the archive");
    add_whole(&tar);
    buf_add(&tar, zeros, 100 << 20);
    refuse_tar(state, &tar, "the archive");
    mem_free(&zeros);
}

static void sizes_that_lie_are_refused(void **state)
{
    static const char *const sizes[] = {"77777777777", "-0000000001", "\x80\0\0\0\x7f\xff\xff\xff",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    struct buf tar = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char field[12] = {0};
        memcpy(field, sizes[i], i == 2 ? 8 : strlen(sizes[i]));
        add_head(&tar);
        add_header(&tar, '0', "files/b", field);
        buf_add_str(&tar, "2");
        pad(&tar);
        add_end(&tar);
        refuse_tar(state, &tar, "the archive");
    }
    add_head(&tar); /* the extended header says another size */
    add_pax(&tar, "size", span_str("512"));
    add_entry(&tar, '0', "files/b", span_str("2"));
    add_end(&tar);
    refuse_tar(state, &tar, "is not of the kind, size or mode");
}

static void sparse_files_in_all_forms_are_refused(void **state)
{
    struct buf tar = {0};
    add_head(&tar);
    add_entry(&tar, 'S', "files/b", span_str("2"));
    add_end(&tar);
    refuse_or_same(state, &tar); /* its map is empty */
    static const char *const records[][2] = {{"GNU.sparse.map", "0,1"},
                                             {"GNU.sparse.size", "1099511627776"},
                                             {"GNU.sparse.realsize", "1099511627776"},
                                             {"GNU.sparse.major", "1"},
                                             {"SUN.holesdata", " 0 1 2"}};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        add_head(&tar);
        add_pax(&tar, records[i][0], span_str(records[i][1]));
        add_entry(&tar, '0', "files/b", span_str("2"));
        add_end(&tar);
        refuse_or_same(state, &tar);
    }
}

static void names_in_extended_headers_are_checked_as_well(void **state)
{
    static const char *const names[] = {"../escaped",     "/tmp/escaped", "files/../../escaped",
                                        "files/\xff\xfe", "files/b\x01",  "files/c"};
    struct buf tar = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        add_head(&tar);
        add_pax(&tar, "path", span_str(names[i]));
        add_entry(&tar, '0', "files/b", span_str("2"));
        add_end(&tar);
        refuse_tar(state, &tar, "the archive");
        add_head(&tar);
        add_entry(&tar, 'L', "././@LongLink", span_of(names[i], strlen(names[i]) + 1));
        add_entry(&tar, '0', "files/b", span_str("2"));
        add_end(&tar);
        refuse_tar(state, &tar, "the archive");
        add_head(&tar);
        add_entry(&tar, '0', names[i], span_str("2"));
        add_end(&tar);
        refuse_tar(state, &tar, "the archive");
    }
    char *longest = mem_alloc(100001);
    memset(longest, 'n', 100000);
    longest[100000] = 0;
    add_head(&tar);
    add_pax(&tar, "path", span_str(longest));
    add_entry(&tar, '0', "files/b", span_str("2"));
    add_end(&tar);
    refuse_tar(state, &tar, "the archive");
    mem_free(&longest);
}

static void types_and_attributes_in_all_forms_are_refused(void **state)
{
    struct buf tar = {0};
    for (const char *type = "12345678DIMNVgKZ"; *type; type++) {
        add_head(&tar);
        add_entry(&tar, *type, "files/b", span_str("2"));
        add_end(&tar);
        if (strchr("123456", *type)) /* links, devices, a folder, a FIFO */
            refuse_tar(state, &tar, "the archive");
        else
            refuse_or_same(state, &tar);
    }
    static const char *const records[][2] = {
        {"LIBARCHIVE.xattr.user.x", "eQ"}, {"SCHILY.xattr.user.x", "y"},
        {"RHT.security.selinux", "y"},     {"SCHILY.acl.access", "user::rw-,user:5:rwx,mask::rwx"},
        {"SCHILY.fflags", "schg"},         {"linkpath", "/etc/passwd"}};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        add_head(&tar);
        add_pax(&tar, records[i][0], span_str(records[i][1]));
        add_entry(&tar, strcmp(records[i][0], "linkpath") == 0 ? '2' : '0', "files/b",
                  span_str("2"));
        add_end(&tar);
        if (strncmp(records[i][0], "RHT.", 4) == 0) /* libarchive knows none of these */
            refuse_or_same(state, &tar);
        else
            refuse_tar(state, &tar, "the archive");
    }
}

static void entries_without_number_are_refused_at_the_first_too_many(void **state)
{
    struct buf tar = {0};
    char name[40];
    add_head(&tar);
    for (unsigned i = 0; i < 60000; i++) {
        snprintf(name, sizeof name, "files/b%u", i);
        add_entry(&tar, '0', name, SPAN_NONE);
    }
    add_end(&tar);
    refuse_tar(state, &tar, "is not in the manifest");
}

/* Bits all over a good archive's tar: refused, or the very same package. */
static void no_bit_of_a_tar_can_be_flipped_unnoticed(void **state)
{
    struct buf tar = {0};
    add_whole(&tar);
    for (size_t at = 0; at < tar.n; at += 67) {
        struct buf bytes = {0};
        struct error err = {0};
        tar.p[at] ^= (uint8_t)(1 << at % 8);
        pack(buf_span(&tar), &bytes);
        int rc = install_bytes(state, buf_span(&bytes), &err);
        if (rc < 0)
            assert_refused(state, rc, &err, "");
        else
            must(file_remove_tree(testing_path(state, "store"), &err));
        tar.p[at] ^= (uint8_t)(1 << at % 8);
        buf_free(&bytes);
    }
    buf_free(&tar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(an_honest_tar_made_by_hand_is_accepted),
        in_folder(data_after_the_end_is_refused),
        in_folder(an_archive_that_is_not_packed_once_is_refused),
        in_folder(a_stream_that_unpacks_to_far_more_than_it_is_is_refused),
        in_folder(sizes_that_lie_are_refused),
        in_folder(sparse_files_in_all_forms_are_refused),
        in_folder(names_in_extended_headers_are_checked_as_well),
        in_folder(types_and_attributes_in_all_forms_are_refused),
        in_folder(entries_without_number_are_refused_at_the_first_too_many),
        in_folder(no_bit_of_a_tar_can_be_flipped_unnoticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
