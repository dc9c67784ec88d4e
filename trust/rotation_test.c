#include "trust/rotation.h"

#include <errno.h>
#include <unistd.h>

#include "common/id.h"
#include "trust/fixture.h"

static char *request_of(char old, char next)
{
    struct certificate_order order = fixture_anna();
    struct certificate me = fixture_certificate(&order);
    struct key old_key = fixture_key(old), next_key = fixture_key(next);
    char *text = NULL;
    struct error err = {0};
    if (rotation_request(&me, &old_key, &next_key, NOW, &text, &err) < 0)
        fail_msg("%s", err.text);
    certificate_free(&me);
    return text;
}

static void a_request_names_both_keys_and_the_certificate(void **state)
{
    (void)state;
    char *text = request_of('a', 'n');
    struct rotation r;
    assert_int_equal(rotation_open(text, NOW + HOUR, &r, NULL), 0);
    assert_string_equal(r.cluster, "test");
    assert_string_equal(r.name, "anna");
    assert_int_equal(r.serial, 7);
    assert_memory_equal(&r.old_key, fixture_key('a').sign.b, sizeof r.old_key);
    assert_memory_equal(&r.new_key, fixture_key('n').sign.b, sizeof r.new_key);
    mem_free(&text);
}

/* Whoever the certificate belongs to, the request says which key signed it: the administrator
 * compares. */
static void a_request_by_a_stranger_names_the_strangers_key(void **state)
{
    (void)state;
    char *text = request_of('x', 'n');
    struct rotation r;
    assert_int_equal(rotation_open(text, NOW, &r, NULL), 0);
    assert_memory_equal(&r.old_key, fixture_key('x').sign.b, sizeof r.old_key);
    mem_free(&text);
}

static void an_altered_or_cut_request_is_refused(void **state)
{
    (void)state;
    char *text = request_of('a', 'n');
    struct rotation r;
    size_t n = strlen(text);
    for (size_t i = strlen("longboat-rotation:"); i < n; i++) {
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        assert_true(rotation_open(text, NOW, &r, NULL) < 0);
        text[i] = was;
    }
    text[n - 1] = 0;
    assert_true(rotation_open(text, NOW, &r, NULL) < 0);
    struct error err = {0};
    assert_int_equal(rotation_open("longboat-join:abc", NOW, &r, &err), -EINVAL);
    assert_contains(err.text, "longboat-rotation:");
    mem_free(&text);
}

/* The new key of another cannot be put into a request: it must have signed the same name. */
static void a_request_around_anothers_new_key_is_refused(void **state)
{
    (void)state;
    struct d_rotation d = {.cluster = span_str("test"),
                           .name = span_str("bert"),
                           .serial = 7,
                           .sign_key = fixture_key('n').sign,
                           .issued_at = NOW};
    struct buf body = {0}, inner = {0}, outer = {0};
    struct key next = fixture_key('n'), thief = fixture_key('a');
    struct rotation r;
    struct error err = {0};
    d_rotation_encode(&d, &body);
    envelope_sign(ENVELOPE_ROTATION, &next, "", 0, buf_span(&body), &inner, NULL);
    envelope_sign(ENVELOPE_ROTATION_REQUEST, &thief, "anna", 7, buf_span(&inner), &outer, NULL);
    char *encoded = b64_format(buf_span(&outer)),
         *text = mem_printf("longboat-rotation:%s", encoded);
    assert_int_equal(rotation_open(text, NOW, &r, &err), -EBADMSG);
    assert_contains(err.text, "not signed by the keys that it names");
    mem_free(&encoded);
    mem_free(&text);
    buf_free(&body);
    buf_free(&inner);
    buf_free(&outer);
}

static void a_request_is_good_for_a_week(void **state)
{
    (void)state;
    char *text = request_of('a', 'n');
    struct rotation r;
    assert_int_equal(rotation_open(text, NOW + ROTATION_REQUEST_MAX_AGE_MS + 1LL, &r, NULL),
                     -ETIME);
    assert_int_equal(rotation_open(text, NOW - CLOCK_SKEW_MS - 1LL, &r, NULL), -ETIME);
    mem_free(&text);
}

static void the_next_key_is_made_once_and_put_in_place_only_for_its_certificate(void **state)
{
    char *path = mem_strdup(testing_path(state, "sign.key"));
    struct key next = {0}, again = {0};
    struct hash other = fixture_key('o').sign;
    assert_int_equal(rotation_finish(path, &other, NULL), 0);
    assert_int_equal(key_file_create(path, fixture_key('a').seed, NULL), 0);
    assert_int_equal(rotation_stage(path, NULL, &next, NULL), 0);
    assert_int_equal(rotation_stage(path, NULL, &again, NULL), 0);
    assert_memory_equal(&next.sign, &again.sign, sizeof next.sign);
    key_forget(&again);
    assert_int_equal(rotation_finish(path, &other, NULL), 0);
    assert_int_equal(key_load(path, &again, NULL), 0);
    assert_memory_equal(&again.sign, fixture_key('a').sign.b, sizeof again.sign);
    key_forget(&again);
    assert_int_equal(rotation_finish(path, &next.sign, NULL), 1);
    assert_int_equal(key_load(path, &again, NULL), 0);
    assert_memory_equal(&again.sign, &next.sign, sizeof again.sign);
    key_forget(&again);
    key_forget(&next);
    mem_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_names_both_keys_and_the_certificate),
        cmocka_unit_test(a_request_by_a_stranger_names_the_strangers_key),
        cmocka_unit_test(an_altered_or_cut_request_is_refused),
        cmocka_unit_test(a_request_around_anothers_new_key_is_refused),
        cmocka_unit_test(a_request_is_good_for_a_week),
        in_folder(the_next_key_is_made_once_and_put_in_place_only_for_its_certificate),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
