/* unpack_hostile_test.c - hostile archives from a builder with a trusted key: each is refused with
 * a sentence that names its fault, and nothing is written. */
#include "package/fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>

/* One entry as it is put into the archive; zero fields: a file of mode 0644. */
struct hostile_archive {
    const char *path, *content;
    unsigned type, mode;
    const char *link, *hard;
    bool xattr, acl, sparse;
    size_t zeros; /* instead of content */
};

static struct archive_entry *entry_of(const struct hostile_archive *m, size_t size)
{
    struct archive_entry *e = archive_entry_new();
    archive_entry_set_pathname(e, m->path);
    archive_entry_set_filetype(e, m->type ? m->type : AE_IFREG);
    archive_entry_set_perm(e, m->mode ? m->mode : 0644);
    archive_entry_set_size(e, (la_int64_t)size);
    if (m->link)
        archive_entry_set_symlink(e, m->link);
    if (m->hard)
        archive_entry_set_hardlink(e, m->hard);
    if (m->xattr)
        archive_entry_xattr_add_entry(e, "user.x", "y", 1);
    if (m->acl) {
        archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_USER,
                                    12345, NULL);
        archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 7, ARCHIVE_ENTRY_ACL_MASK, -1,
                                    NULL);
    }
    if (m->sparse)
        archive_entry_sparse_add_entry(e, 4096, 1);
    archive_entry_set_rdev(e, 0x103);
    return e;
}

static void put_entry(struct archive *a, const struct hostile_archive *m)
{
    char *zeros = mem_zalloc(m->zeros, 1);
    const char *content = m->zeros ? zeros : m->content ? m->content : "";
    size_t n = m->zeros ? m->zeros : strlen(content);
    struct archive_entry *e = entry_of(m, n);
    if (archive_write_header(a, e) < ARCHIVE_WARN)
        fail_msg("%s: %s", m->path, archive_error_string(a));
    if (n)
        archive_write_data(a, content, n);
    archive_entry_free(e);
    mem_free(&zeros);
}

/* <folder>/p.lbp with these entries, signed by the one key that the server trusts. */
static void craft(void **state, const char *manifest, const struct hostile_archive *entries,
                  size_t n)
{
    const char *out = testing_path(state, "p.lbp");
    struct archive *a = archive_write_new();
    archive_write_set_format_pax(a);
    archive_write_add_filter_zstd(a);
    archive_write_set_format_option(a, NULL, "hdrcharset", "BINARY");
    assert_int_equal(archive_write_open_filename(a, out), ARCHIVE_OK);
    if (manifest)
        put_entry(a, &(struct hostile_archive){.path = "manifest.json", .content = manifest});
    for (size_t i = 0; i < n; i++)
        put_entry(a, &entries[i]);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    fixture_sign(out, "extract", "1.2.0", testing_path(state, "signers"));
}

/* A manifest that lists these files: "path" with content, or "path" -> "target" by link. */
static char *manifest_of(const struct hostile_archive *files, size_t n)
{
    struct manifest m;
    struct problems ps = {0};
    struct buf json = {0};
    if (manifest_parse_yaml("p",
                            span_str("name: extract\nversion: 1.2.0\nsubsystem: shell\nentry: a\n"),
                            &m, &ps) < 0)
        fail_msg("%s", ps.v[0].text);
    problems_free(&ps);
    m.files = mem_zalloc(n, sizeof *m.files);
    m.n_files = n;
    for (size_t i = 0; i < n; i++) {
        const char *content = files[i].content ? files[i].content : "";
        m.files[i] =
            (struct manifest_file){.path = mem_strdup(files[i].path),
                                   .link = files[i].link ? mem_strdup(files[i].link) : NULL,
                                   .size = files[i].zeros ? files[i].zeros : strlen(content)};
        if (!files[i].zeros)
            crypto_generichash(m.files[i].hash.b, 32, (const uint8_t *)content, strlen(content),
                               NULL, 0);
    }
    manifest_to_json(&m, &json);
    manifest_free(&m);
    return (char *)buf_str(&json);
}

static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    unsigned n = 0;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n <= 2;
}

static void refused(void **state, const char *sentence)
{
    struct error err = {0};
    int rc = fixture_install(state, testing_path(state, "p.lbp"), &err);
    if (rc != -EBADMSG || !strstr(err.text, sentence))
        fail_msg("expected '%s', not %d: '%s'", sentence, rc, err.text);
    assert_true(is_empty(testing_path(state, "store")));
    assert_int_equal(access(testing_path(state, "escaped"), F_OK), -1);
}

/* The archive holds `evil` (and before it a file "a"), the manifest says that it holds a and b. */
static void refuse_entry(void **state, struct hostile_archive evil, const char *sentence)
{
    struct hostile_archive honest[] = {{.path = "a", .content = "1"},
                                       {.path = "b", .content = "2"}};
    char *manifest = manifest_of(honest, 2);
    struct hostile_archive entries[] = {{.path = "files/a", .content = "1"}, evil};
    craft(state, manifest, entries, 2);
    refused(state, sentence);
    mem_free(&manifest);
}

static void an_honest_archive_made_the_same_way_is_accepted(void **state)
{
    struct error err = {0};
    struct hostile_archive honest[] = {{.path = "a", .content = "1"},
                                       {.path = "b", .content = "2"}};
    char *manifest = manifest_of(honest, 2);
    struct hostile_archive entries[] = {{.path = "files/a", .content = "1"},
                                        {.path = "files/b", .content = "2"}};
    craft(state, manifest, entries, 2);
    must(fixture_install(state, testing_path(state, "p.lbp"), &err));
    mem_free(&manifest);
}

static void paths_that_lead_outside_are_refused(void **state)
{
    static const char *const paths[] = {
        "files/../../escaped", "../escaped", "files/..", "files//b", "files/./b",
        "/etc/escaped",        "/b",         "files/b/", "b",        "manifest.json/../../escaped"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        refuse_entry(state, (struct hostile_archive){.path = paths[i], .content = "2"},
                     "the archive");
}

static void entries_that_are_not_plain_files_are_refused(void **state)
{
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .hard = "files/a"},
                 "is a hard link");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .hard = "/etc/passwd"},
                 "is a hard link");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .type = AE_IFCHR},
                 "is a device");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .type = AE_IFBLK},
                 "is a device");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .type = AE_IFIFO}, "is a FIFO");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .type = AE_IFDIR},
                 "the archive");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "2", .mode = 04644},
                 "has a set-id or sticky bit");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "2", .mode = 02644},
                 "has a set-id or sticky bit");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "2", .mode = 01644},
                 "has a set-id or sticky bit");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "2", .xattr = true},
                 "has extended attributes");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "2", .acl = true},
                 "has an access control list");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .zeros = 8192, .sparse = true},
                 "is sparse");
}

static void entries_that_differ_from_the_manifest_are_refused(void **state)
{
    refuse_entry(state, (struct hostile_archive){.path = "files/c", .content = "2"},
                 "'files/c' is not in the manifest");
    refuse_entry(state, (struct hostile_archive){.path = "files/a", .content = "1"},
                 "is listed twice or out of order");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "3"},
                 "does not have the hash that the manifest says");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "22"},
                 "is not of the kind, size or mode");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "2", .mode = 0755},
                 "is not of the kind, size or mode");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .content = "2", .mode = 0666},
                 "is not of the kind, size or mode");
    refuse_entry(state, (struct hostile_archive){.path = "files/b", .type = AE_IFLNK, .link = "a"},
                 "is not of the kind, size or mode");
    refuse_entry(state, (struct hostile_archive){.path = "files/B", .content = "2"},
                 "is not in the manifest");
    refuse_entry(state, (struct hostile_archive){.path = "manifest.json", .content = "2"},
                 "is not in the manifest");
}

static void a_link_that_differs_from_the_manifest_is_refused(void **state)
{
    struct hostile_archive honest[] = {{.path = "a", .content = "1"}, {.path = "b", .link = "a"}};
    struct hostile_archive entries[] = {
        {.path = "files/a", .content = "1"},
        {.path = "files/b", .type = AE_IFLNK, .link = "../../escaped"}};
    char *manifest = manifest_of(honest, 2);
    craft(state, manifest, entries, 2);
    refused(state, "is not the symbolic link that the manifest says");
    mem_free(&manifest);
}

static void missing_and_extra_files_are_refused(void **state)
{
    struct hostile_archive files[] = {{.path = "a", .content = "1"}, {.path = "b", .content = "2"}};
    struct hostile_archive entries[] = {{.path = "files/a", .content = "1"},
                                        {.path = "files/b", .content = "2"}};
    char *two = manifest_of(files, 2), *one = manifest_of(files, 1);
    craft(state, two, entries, 1);
    refused(state, "the archive lacks 'b'");
    craft(state, one, entries, 2);
    refused(state, "'files/b' is not in the manifest");
    craft(state, NULL, entries, 2);
    refused(state, "does not begin with manifest.json");
    craft(state, NULL, entries, 0);
    refused(state, "the archive");
    mem_free(&one);
    mem_free(&two);
}

/* The manifest itself lists something evil: its own rules refuse it, before a file is made. */
static void refuse_listed(void **state, const struct hostile_archive *files, size_t n,
                          const char *sentence)
{
    char *manifest = manifest_of(files, n);
    struct hostile_archive *entries = mem_zalloc(n, sizeof *entries);
    for (size_t i = 0; i < n; i++) {
        entries[i] = files[i];
        entries[i].path = mem_printf("files/%s", files[i].path);
        if (files[i].link)
            entries[i].type = AE_IFLNK;
    }
    craft(state, manifest, entries, n);
    refused(state, sentence);
    for (size_t i = 0; i < n; i++)
        free((char *)entries[i].path);
    mem_free(&entries);
    mem_free(&manifest);
}

static void manifests_that_list_paths_outside_are_refused(void **state)
{
    static const char *const targets[] = {"/etc/passwd", "..", "../..", "../escaped",
                                          "x/../../..",  "",   "b//c",  "./c"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct hostile_archive files[] = {{.path = "a", .content = "1"},
                                          {.path = "b", .link = targets[i]}};
        refuse_listed(state, files, 2,
                      *targets[i] ? "the symbolic link 'b' points" : "points nowhere");
    }
    struct hostile_archive dots[] = {{.path = "../escaped", .content = "x"},
                                     {.path = "a", .content = "1"}};
    refuse_listed(state, dots, 2, "has an empty, '.' or '..' part");
    struct hostile_archive absolute[] = {{.path = "/tmp/escaped", .content = "x"},
                                         {.path = "a", .content = "1"}};
    refuse_listed(state, absolute, 2, "is absolute");
}

/* A link as a folder, and a file below it: written through the link it would land elsewhere. */
static void manifests_that_write_through_a_link_are_refused(void **state)
{
    struct hostile_archive through[] = {{.path = "a", .content = "1"},
                                        {.path = "d", .link = "a"},
                                        {.path = "d/escaped", .content = "x"}};
    refuse_listed(state, through, 3, "'d' is both a file and a folder");
    struct hostile_archive file_as_folder[] = {{.path = "a", .content = "1"},
                                               {.path = "a/b", .content = "x"}};
    refuse_listed(state, file_as_folder, 2, "'a' is both a file and a folder");
    struct hostile_archive up[] = {{.path = "a", .content = "1"},
                                   {.path = "b/up", .link = ".."},
                                   {.path = "c", .link = "b/up/.."}};
    refuse_listed(state, up, 3, "the symbolic link 'c' points to 'b/up/..'");
}

static void manifests_with_duplicates_or_out_of_order_are_refused(void **state)
{
    struct hostile_archive twins[] = {{.path = "a", .content = "1"}, {.path = "a", .content = "1"}};
    refuse_listed(state, twins, 2, "'a' is listed twice");
    struct hostile_archive folded[] = {{.path = "A/x", .content = "1"},
                                       {.path = "a", .content = "1"}};
    refuse_listed(state, folded, 2, "differ only in upper and lower case");
    struct hostile_archive order[] = {{.path = "b", .content = "1"}, {.path = "a", .content = "1"}};
    refuse_listed(state, order, 2, "is not sorted");
    struct hostile_archive no_entry[] = {{.path = "b", .content = "1"}};
    refuse_listed(state, no_entry, 1, "the package has no file 'a'");
}

static void bombs_are_refused_before_they_grow(void **state)
{
    struct hostile_archive ratio[] = {{.path = "a", .content = "1"},
                                      {.path = "b", .zeros = 80 << 20}};
    refuse_listed(state, ratio, 2, "more than 200 times its size");
    struct hostile_archive size[] = {{.path = "a", .content = "1"}, {.path = "b", .content = "x"}};
    struct hostile_archive honest[] = {{.path = "files/a", .content = "1"},
                                       {.path = "files/b", .content = "x"}};
    char *manifest = manifest_of(size, 2), *at = strstr(manifest, "\"path\":\"b\",\"size\":1}");
    assert_non_null(at);
    char *huge = mem_printf("%.*s\"path\":\"b\",\"size\":99999999999999}%s", (int)(at - manifest),
                            manifest, at + 20);
    craft(state, huge, honest, 2);
    refused(state, "take more than 8 GiB");
    char deep[200] = "a";
    for (size_t i = 1; i < 80; i += 2)
        memcpy(deep + i, "/a", 3);
    struct hostile_archive depth[] = {{.path = deep, .content = "1"}};
    refuse_listed(state, depth, 1, "more than 32 folders deep");
    char name[301];
    memset(name, 'a', 300);
    name[300] = 0;
    struct hostile_archive length[] = {{.path = name, .content = "1"}};
    refuse_listed(state, length, 1, "has more than 255 bytes");
    mem_free(&huge);
    mem_free(&manifest);
}

static void a_manifest_that_is_too_large_or_not_canonical_is_refused(void **state)
{
    struct hostile_archive files[] = {{.path = "a", .content = "1"}};
    struct hostile_archive entries[] = {{.path = "files/a", .content = "1"}};
    char *manifest = manifest_of(files, 1), *loose = mem_printf("%s ", manifest);
    craft(state, loose, entries, 1);
    refused(state, "is not in its canonical form");
    craft(state, "{", entries, 1);
    refused(state, "manifest.json:1:");
    craft(state, "", entries, 1);
    refused(state, "manifest.json has 0 bytes");
    char *large = mem_alloc(LIMIT_MANIFEST + 2);
    memset(large, ' ', LIMIT_MANIFEST + 1);
    large[LIMIT_MANIFEST + 1] = 0;
    craft(state, large, entries, 1);
    refused(state, "manifest.json has 262145 bytes");
    mem_free(&large);
    mem_free(&loose);
    mem_free(&manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(an_honest_archive_made_the_same_way_is_accepted),
        in_folder(paths_that_lead_outside_are_refused),
        in_folder(entries_that_are_not_plain_files_are_refused),
        in_folder(entries_that_differ_from_the_manifest_are_refused),
        in_folder(a_link_that_differs_from_the_manifest_is_refused),
        in_folder(missing_and_extra_files_are_refused),
        in_folder(manifests_that_list_paths_outside_are_refused),
        in_folder(manifests_that_write_through_a_link_are_refused),
        in_folder(manifests_with_duplicates_or_out_of_order_are_refused),
        in_folder(bombs_are_refused_before_they_grow),
        in_folder(a_manifest_that_is_too_large_or_not_canonical_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
