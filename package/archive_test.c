#include "package/fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

static void read_all(const char *path, struct buf *out)
{
    struct error err = {0};
    must(file_read(path, 64 << 20, out, &err));
}

static void same_bytes(const char *a, const char *b)
{
    struct buf x = {0}, y = {0};
    read_all(a, &x);
    read_all(b, &y);
    assert_true(x.n > 0 && span_eq(buf_span(&x), buf_span(&y)));
    buf_free(&x);
    buf_free(&y);
}

static void
the_same_content_gives_the_same_bytes_under_any_umask_zone_locale_user_time_and_order(void **state)
{
    struct hash here, there;
    const char *one = testing_path(state, "one"), *two = testing_path(state, "two");
    fixture_source(one, FIXTURE_YAML);
    fixture_build(one, testing_path(state, "one.lbp"), &here);
    char *lock = mem_printf("%s/bin/data", two);
    fixture_put(two, "data/empty", "", 0666); /* a different order, different modes and times */
    fixture_put(two, "data/größe.txt", "42\n", 0640);
    fixture_put(two, "bin/extract", "#!/bin/sh\necho hello\n", 0700);
    assert_int_equal(symlink("../data", lock), 0);
    fixture_put(two, "package.yaml", FIXTURE_YAML, 0444);
    fixture_put(two, "old.lbp", "not taken", 0644);
    fixture_put(two, ".git/HEAD", "not taken", 0644);
    fixture_put(two, "bin/__pycache__/x.pyc", "not taken", 0644);
    mem_free(&lock);
    assert_int_equal(chmod(*state, 0777), 0);
    chmod(testing_path(state, "two/bin/extract"), 0744);
    chmod(testing_path(state, "two/data/größe.txt"), 0644);
    pid_t pid = fork();
    if (pid == 0) {
        umask(0077);
        setenv("TZ", "Pacific/Kiritimati", 1);
        tzset();
        setlocale(LC_ALL, "C.UTF-8");
        if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(2);
        fixture_build(testing_path(state, "two"), testing_path(state, "two.lbp"), &there);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    same_bytes(testing_path(state, "one.lbp"), testing_path(state, "two.lbp"));
}

static void no_entry_reveals_the_builder_or_the_time(void **state)
{
    struct hash hash;
    struct archive_entry *e;
    unsigned n = 0;
    fixture_source(testing_path(state, "p"), FIXTURE_YAML);
    fixture_build(testing_path(state, "p"), testing_path(state, "p.lbp"), &hash);
    struct archive *a = archive_read_new();
    archive_read_support_filter_zstd(a);
    archive_read_support_format_tar(a);
    assert_int_equal(archive_read_open_filename(a, testing_path(state, "p.lbp"), 4096), ARCHIVE_OK);
    for (; archive_read_next_header(a, &e) == ARCHIVE_OK; n++) {
        assert_int_equal(archive_entry_mtime(e), 0);
        assert_true(archive_entry_uid(e) == 0 && archive_entry_gid(e) == 0);
        assert_true(!archive_entry_uname(e) || !*archive_entry_uname(e));
        assert_true(!archive_entry_gname(e) || !*archive_entry_gname(e));
        assert_int_equal(strcmp(archive_entry_pathname(e), "manifest.json") == 0, n == 0);
    }
    assert_int_equal(n, 6);
    archive_read_free(a);
}

static void different_content_mode_or_name_gives_a_different_hash(void **state)
{
    struct hash first, now;
    const char *folder = testing_path(state, "p"), *out = testing_path(state, "p.lbp");
    fixture_source(folder, FIXTURE_YAML);
    fixture_build(folder, out, &first);
    fixture_put(folder, "data/empty", "x", 0600);
    fixture_build(folder, out, &now);
    assert_false(hash_eq(&first, &now));
    fixture_put(folder, "data/empty", "", 0755);
    fixture_build(folder, out, &now);
    assert_false(hash_eq(&first, &now));
    fixture_put(folder, "data/empty", "", 0644);
    fixture_build(folder, out, &now);
    assert_true(hash_eq(&first, &now));
}

static void the_hash_is_that_of_the_file_and_the_manifest_can_be_read_back(void **state)
{
    struct error err = {0};
    struct hash hash, again;
    struct manifest m;
    struct buf json = {0};
    uint8_t digest[MINISIGN_DIGEST];
    uint64_t size;
    const char *folder = testing_path(state, "p"), *out = testing_path(state, "p.lbp");
    fixture_source(folder, FIXTURE_YAML);
    fixture_build(folder, out, &hash);
    must(archive_digest(out, &again, digest, &size, &err));
    assert_true(hash_eq(&hash, &again));
    must(archive_manifest(out, &m, &json, &err));
    assert_string_equal(m.name, "extract");
    assert_int_equal(m.n_files, 5);
    assert_true(manifest_find_file(&m, "bin/extract")->executable);
    assert_false(manifest_find_file(&m, "data/empty")->executable);
    assert_string_equal(manifest_find_file(&m, "bin/data")->link, "../data");
    assert_non_null(manifest_find_file(&m, "data/größe.txt"));
    assert_null(manifest_find_file(&m, "data"));
    manifest_free(&m);
    buf_free(&json);
}

/* The problems of a folder, one a line. */
static void expect_problem(const char *folder, const char *sentence)
{
    struct manifest m = {0};
    struct problems ps = {0};
    struct buf all = {0};
    assert_true(archive_examine(folder, &m, &ps) < 0);
    for (size_t i = 0; i < ps.n; i++)
        buf_printf(&all, "%s\n", ps.v[i].text);
    assert_contains(buf_str(&all), sentence);
    buf_free(&all);
    problems_free(&ps);
}

static void files_that_a_package_cannot_hold_are_refused_with_their_place(void **state)
{
    const char *folder = testing_path(state, "p");
    char where[600];
    fixture_source(folder, FIXTURE_YAML);
#define AT(name) (snprintf(where, sizeof where, "%s/%s", folder, name), where)
    assert_int_equal(mkfifo(AT("data/pipe"), 0600), 0);
    expect_problem(folder, "/p/data/pipe: a FIFO cannot be packed");
    unlink(AT("data/pipe"));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.90s", AT("data/s"));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    expect_problem(folder, "/p/data/s: a socket cannot be packed");
    close(fd);
    unlink(AT("data/s"));
    if (geteuid() == 0 && mknod(AT("data/null"), S_IFCHR | 0600, 0x103) == 0) {
        expect_problem(folder, "/p/data/null: a device cannot be packed");
        unlink(AT("data/null"));
    }
    static const char *const targets[] = {"/etc/passwd", "../../p2", "../data/../..", "..//x",
                                          NULL};
    for (size_t i = 0; targets[i]; i++) {
        assert_int_equal(symlink(targets[i], AT("data/out")), 0);
        expect_problem(folder, i ? "symbolic link 'data/out' points"
                                 : "'data/out' points to the absolute path '/etc/passwd'");
        unlink(AT("data/out"));
    }
    fixture_put(folder, "data/EMPTY", "", 0644);
    expect_problem(folder, "'data/EMPTY' and 'data/empty' differ only in upper and lower case");
    unlink(AT("data/EMPTY"));
    fixture_put(folder, "data/\xff", "", 0644);
    expect_problem(folder, "a path is not UTF-8");
    unlink(AT("data/\xff"));
    fixture_put(folder, "data/a\nb", "", 0644);
    expect_problem(folder, "control characters");
    unlink(AT("data/a\nb"));
    fixture_put(folder, "1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/1/2/3", "",
                0644);
    expect_problem(folder, "more than 32 folders deep");
}
#undef AT

static void a_package_without_its_entry_or_its_yaml_is_refused(void **state)
{
    const char *folder = testing_path(state, "p");
    fixture_source(folder, FIXTURE_YAML);
    chmod(testing_path(state, "p/bin/extract"), 0644);
    expect_problem(folder, "entry: 'bin/extract' is not executable; run: chmod +x bin/extract");
    unlink(testing_path(state, "p/bin/extract"));
    expect_problem(folder, "entry: the package has no file 'bin/extract'");
    unlink(testing_path(state, "p/package.yaml"));
    expect_problem(folder, "there is no package.yaml here");
    expect_problem(testing_path(state, "nowhere"), "there is no package.yaml here");
}

static void an_entry_that_cannot_be_executed_is_a_warning(void **state)
{
    static const struct {
        const char *entry, *sentence;
    } cases[] = {{"#!/bin/sh\r\necho\r\n", "ends with CR LF"},
                 {"#!/no/such/sh\necho\n", "'/no/such/sh', is not on this machine"},
                 {"echo\n", "has no #! line"},
                 {"", "is empty"},
                 {"#!/bin/sh\necho\n", NULL}};
    const char *folder = testing_path(state, "p");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct manifest m = {0};
        struct problems ps = {0};
        struct buf all = {0};
        struct error err = {0};
        fixture_put(folder, "package.yaml",
                    "name: a\nversion: 1.0.0\nsubsystem: exec\nentry: main\n", 0644);
        fixture_put(folder, "main", cases[i].entry, 0755);
        must(archive_examine(folder, &m, &ps));
        for (size_t k = 0; k < ps.n; k++)
            buf_printf(&all, "%s\n", ps.v[k].text);
        if (cases[i].sentence)
            assert_contains(buf_str(&all), cases[i].sentence);
        else
            assert_null(strstr(all.n ? buf_str(&all) : "", "/main"));
        assert_int_equal(ps.errors, 0);
        buf_free(&all);
        problems_free(&ps);
        manifest_free(&m);
    }
}

static void a_file_that_changes_during_the_build_is_noticed(void **state)
{
    struct error err = {0};
    struct manifest m;
    struct problems ps = {0};
    struct hash hash;
    uint64_t size;
    const char *folder = testing_path(state, "p"), *out = testing_path(state, "p.lbp");
    fixture_source(folder, FIXTURE_YAML);
    must(archive_examine(folder, &m, &ps));
    fixture_put(folder, "data/größe.txt", "43\n", 0644);
    assert_int_equal(archive_build(folder, &m, out, &hash, &size, &err), -EBUSY);
    assert_contains(err.text, "'data/größe.txt' changed");
    fixture_put(folder, "data/größe.txt", "42\n43", 0644);
    assert_int_equal(archive_build(folder, &m, out, &hash, &size, &err), -EBUSY);
    fixture_put(folder, "data/größe.txt", "42", 0644);
    assert_int_equal(archive_build(folder, &m, out, &hash, &size, &err), -EBUSY);
    assert_int_equal(access(out, F_OK), -1); /* nothing half-built is left */
    manifest_free(&m);
    problems_free(&ps);
}

static void a_file_that_is_not_a_package_is_recognized(void **state)
{
    struct error err = {0};
    struct manifest m;
    fixture_put(*state, "text", "hello", 0644);
    assert_true(archive_manifest(testing_path(state, "text"), &m, NULL, &err) < 0);
    assert_contains(err.text, "is not a package");
    assert_true(archive_manifest(testing_path(state, "none"), &m, NULL, &err) < 0);
    assert_true(archive_manifest(*state, &m, NULL, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(
            the_same_content_gives_the_same_bytes_under_any_umask_zone_locale_user_time_and_order),
        in_folder(no_entry_reveals_the_builder_or_the_time),
        in_folder(different_content_mode_or_name_gives_a_different_hash),
        in_folder(the_hash_is_that_of_the_file_and_the_manifest_can_be_read_back),
        in_folder(files_that_a_package_cannot_hold_are_refused_with_their_place),
        in_folder(a_package_without_its_entry_or_its_yaml_is_refused),
        in_folder(an_entry_that_cannot_be_executed_is_a_warning),
        in_folder(a_file_that_changes_during_the_build_is_noticed),
        in_folder(a_file_that_is_not_a_package_is_recognized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
