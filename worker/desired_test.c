#include "worker/desired.h"

#include <errno.h>
#include <unistd.h>

#include "common/id.h"
#include "common/testing.h"

/* Broker and runner in one: the latest request to each. */
struct desired_peers {
    struct desired *d;
    struct buf asked, install;
    unsigned asks, installs, changes;
    bool broker, runner;
    struct hash here; /* an installed package */
};

static int send_to_broker(void *self, struct span m)
{
    struct desired_peers *p = self;
    if (!p->broker)
        return -ENOTCONN;
    buf_clear(&p->asked);
    buf_add(&p->asked, m.p, m.n);
    p->asks++;
    return 0;
}

static bool send_to_runner(void *self, struct span m)
{
    struct desired_peers *p = self;
    if (!p->runner)
        return false;
    buf_clear(&p->install);
    buf_add(&p->install, m.p, m.n);
    p->installs++;
    return true;
}

static bool has(void *self, const struct hash *h)
{
    return hash_eq(&((struct desired_peers *)self)->here, h);
}

static void changed(void *self)
{
    ((struct desired_peers *)self)->changes++;
}

static struct hash hash_of(unsigned n)
{
    struct hash h = {{(uint8_t)n, 7}};
    return h;
}

static void begin(void **state, struct desired_peers *p)
{
    struct error err = {0};
    const struct desired_calls calls = {p, send_to_broker, send_to_runner, has, changed};
    p->broker = p->runner = true;
    assert_int_equal(desired_open(&p->d, testing_path(state, "incoming"), &calls, &err), 0);
}

static void end(struct desired_peers *p)
{
    desired_close(&p->d);
    buf_free(&p->asked);
    buf_free(&p->install);
}

static void add_deployed(struct buf *items, unsigned n, const char *signer, bool removed)
{
    struct buf body = {0}, signed_body = {0}, deployed = {0};
    struct d_deployment d = {.package = hash_of(n),
                             .name = span_str("extract"),
                             .version = span_str("1.0"),
                             .address = span_str("all"),
                             .remove = removed};
    d_deployment_encode(&d, &body);
    struct d_signed s = {.signer = span_str(signer), .serial = 9, .body = buf_span(&body)};
    d_signed_encode(&s, &signed_body);
    struct d_deployed x = {.deployment = buf_span(&signed_body), .size = 10};
    d_deployed_encode(&x, &deployed);
    wire_add_bin(items, buf_span(&deployed));
    buf_free(&body);
    buf_free(&signed_body);
    buf_free(&deployed);
}

static void want(struct desired_peers *p, unsigned first, unsigned n, const char *signer)
{
    struct buf items = {0};
    for (unsigned i = first; i < first + n; i++)
        add_deployed(&items, i, signer, false);
    struct m_desired m = {.packages = wire_list_from(&items, n)};
    desired_set(p->d, &m, 1000);
    buf_free(&items);
}

static struct m_get get_of(const struct desired_peers *p)
{
    struct m_get m = {.req = 0};
    struct error err = {0};
    if (m_get_decode(buf_span(&p->asked), &m, &err) < 0)
        fail_msg("%s", err.text);
    return m;
}

static void give(struct desired_peers *p, uint64_t offset, const char *data)
{
    struct m_get g = get_of(p);
    struct m_chunk c = {.req = g.req,
                        .package = g.package,
                        .offset = offset,
                        .size = 10,
                        .data = span_str(data),
                        .signature = span_str("signed")};
    desired_chunk(p->d, &c, 2000);
}

static void give_certificate(struct desired_peers *p, const char *certificate)
{
    struct m_certificate ask;
    struct error err = {0};
    struct buf items = {0};
    assert_int_equal(m_certificate_decode(buf_span(&p->asked), &ask, &err), 0);
    assert_true(span_eq_str(ask.name, "anna"));
    assert_int_equal(ask.serial, 9);
    if (certificate)
        wire_add_bin(&items, span_str(certificate));
    struct m_certificates m = {.req = ask.req,
                               .certificates = wire_list_from(&items, certificate != NULL)};
    desired_certificates(p->d, &m, 2000);
    buf_free(&items);
}

static struct s_install install_of(const struct desired_peers *p)
{
    struct s_install s;
    struct error err = {0};
    if (s_install_decode(buf_span(&p->install), &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static void installed(struct desired_peers *p, unsigned n, enum refusal code, const char *text)
{
    struct s_installed s = {.package = hash_of(n), .code = code, .text = span_str(text)};
    desired_installed(p->d, &s, 3000);
}

static void assert_trouble(const struct desired_peers *p, const char *text)
{
    struct buf items = {0};
    uint32_t count = 0;
    struct error err = {0};
    desired_troubles(p->d, &items, &count);
    assert_int_equal(count, text != NULL);
    if (text) {
        struct wire_list l = wire_list_from(&items, count);
        struct wire_iter it = wire_iter(&l);
        struct span item;
        struct d_attested_package a;
        assert_true(wire_next(&it, &item));
        assert_int_equal(d_attested_package_decode(item, &a, &err), 0);
        char *got = span_dup_str(a.trouble);
        assert_contains(got, text);
        mem_free(&got);
        assert_true(span_eq_str(a.name, "extract"));
    }
    buf_free(&items);
}

static void a_package_is_fetched_in_chunks_certified_and_installed(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "anna");
    assert_trouble(&p, "on its way");
    assert_int_equal(get_of(&p).offset, 0);
    give(&p, 0, "0123456");
    assert_int_equal(get_of(&p).offset, 7);
    give(&p, 7, "789");
    give_certificate(&p, "certificate of anna");
    struct s_install s = install_of(&p);
    struct buf content = {0};
    struct error err = {0};
    char *path = span_dup_str(s.archive);
    assert_int_equal(file_read(path, 100, &content, &err), 0);
    assert_true(span_eq_str(buf_span(&content), "0123456789"));
    assert_true(span_eq_str(s.signature, "signed") &&
                span_eq_str(s.certificate, "certificate of anna"));
    installed(&p, 1, REFUSAL_NONE, "");
    assert_trouble(&p, NULL);
    assert_int_equal(access(path, F_OK), -1);
    mem_free(&path);
    buf_free(&content);
    end(&p);
}

static void a_deployment_by_a_key_without_a_name_needs_no_certificate(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "");
    give(&p, 0, "0123456789");
    assert_int_equal(p.installs, 1);
    assert_int_equal(install_of(&p).certificate.n, 0);
    end(&p);
}

static void packages_that_are_here_or_to_be_removed_are_not_fetched(void **state)
{
    struct desired_peers p = {.here = hash_of(1)};
    struct buf items = {0};
    begin(state, &p);
    add_deployed(&items, 1, "anna", false);
    add_deployed(&items, 2, "anna", true);
    struct m_desired m = {.packages = wire_list_from(&items, 2)};
    desired_set(p.d, &m, 1000);
    assert_int_equal(p.asks, 0);
    assert_trouble(&p, NULL);
    buf_free(&items);
    end(&p);
}

static void a_transfer_resumes_after_a_broken_session(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "anna");
    give(&p, 0, "0123");
    p.broker = false;
    desired_again(p.d, 2000);
    p.broker = true;
    desired_again(p.d, 2000);
    assert_int_equal(get_of(&p).offset, 4);
    want(&p, 1, 1, "anna"); /* the broker repeats its list: that changes nothing */
    give(&p, 4, "456789");
    give_certificate(&p, "c");
    assert_int_equal(p.installs, 1);
    end(&p);
}

static void a_transfer_resumes_in_a_new_process(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "anna");
    give(&p, 0, "0123456789");
    end(&p);
    p = (struct desired_peers){0};
    begin(state, &p);
    want(&p, 1, 1, "anna");
    assert_int_equal(get_of(&p).offset, 9); /* everything is here but the signature */
    give(&p, 9, "9");
    give_certificate(&p, "c");
    assert_int_equal(p.installs, 1);
    end(&p);
}

static void an_unsolicited_answer_is_ignored(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "anna");
    struct m_get g = get_of(&p);
    struct m_chunk c = {
        .req = g.req + 1, .package = g.package, .size = 10, .data = span_str("0123456789")};
    desired_chunk(p.d, &c, 2000);
    c.req = g.req;
    c.package = hash_of(5);
    desired_chunk(p.d, &c, 2000);
    struct m_error e = {.req = g.req + 1, .text = span_str("no")};
    desired_error(p.d, &e, 2000);
    struct m_certificates m = {.req = g.req};
    desired_certificates(p.d, &m, 2000);
    installed(&p, 1, REFUSAL_NONE, "");
    assert_trouble(&p, "on its way");
    assert_int_equal(p.asks, 1);
    end(&p);
}

static void a_wrong_chunk_is_reported_and_retried_later(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "anna");
    give(&p, 5, "56789");
    assert_trouble(&p, "the wrong piece");
    assert_int_equal(desired_deadline(p.d), 2000 + DESIRED_RETRY_MS);
    desired_tick(p.d, 2000 + DESIRED_RETRY_MS);
    assert_int_equal(p.asks, 2);
    give(&p, 0, "01234567890"); /* longer than it claims to be */
    assert_trouble(&p, "the wrong piece");
    desired_tick(p.d, 1999 + DESIRED_RETRY_MS);
    assert_int_equal(p.asks, 2);
    /* an administrator who has fixed it need not wait */
    desired_retry(p.d, 1999 + DESIRED_RETRY_MS);
    assert_int_equal(p.asks, 3);
    end(&p);
}

static void a_busy_broker_is_asked_again_when_it_said(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "");
    struct m_error e = {
        .req = get_of(&p).req, .code = REFUSAL_BUSY, .text = span_str("busy"), .retry_ms = 5000};
    desired_error(p.d, &e, 2000);
    assert_int_equal(desired_deadline(p.d), 7000);
    desired_tick(p.d, 6999);
    assert_int_equal(p.asks, 1);
    desired_tick(p.d, 7000);
    assert_int_equal(p.asks, 2);
    end(&p);
}

static void a_refusal_by_the_broker_is_reported_and_the_next_package_starts(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 2, "");
    struct m_error e = {.req = get_of(&p).req, .text = span_str("the depot has not got it")};
    desired_error(p.d, &e, 2000);
    struct hash second = hash_of(2);
    struct m_get g = get_of(&p);
    assert_true(hash_eq(&g.package, &second));
    give(&p, 0, "0123456789");
    installed(&p, 2, REFUSAL_NONE, "");
    assert_trouble(&p, "the depot has not got it");
    end(&p);
}

static void a_refusal_by_the_runner_is_reported_and_the_archive_refetched(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "");
    give(&p, 0, "0123456789");
    installed(&p, 1, REFUSAL_BAD_PACKAGE, "signed by nobody we trust");
    assert_trouble(&p, "signed by nobody");
    desired_tick(p.d, 3000 + DESIRED_RETRY_MS);
    assert_int_equal(get_of(&p).offset, 0);
    end(&p);
}

static void a_deployer_without_a_certificate_is_reported(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "anna");
    give(&p, 0, "0123456789");
    give_certificate(&p, NULL);
    assert_trouble(&p, "lacks the certificate");
    end(&p);
}

static void an_installation_is_requested_again_when_the_runner_is_back(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    p.runner = false;
    want(&p, 1, 1, "");
    give(&p, 0, "0123456789");
    assert_int_equal(p.installs, 0);
    p.runner = true;
    desired_again(p.d, 2000);
    assert_int_equal(p.installs, 1);
    desired_again(p.d, 2000);
    assert_int_equal(p.installs, 2);
    end(&p);
}

static void an_unanswered_request_is_sent_again(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "");
    desired_tick(p.d, 1000 + DESIRED_SILENCE_MS - 1);
    assert_int_equal(p.asks, 1);
    desired_tick(p.d, 1000 + DESIRED_SILENCE_MS);
    assert_int_equal(p.asks, 2);
    end(&p);
}

static void a_package_that_is_no_longer_wanted_is_dropped(void **state)
{
    struct desired_peers p = {0};
    begin(state, &p);
    want(&p, 1, 1, "");
    want(&p, 2, 1, "");
    struct hash second = hash_of(2);
    struct m_get g = get_of(&p);
    assert_true(hash_eq(&g.package, &second));
    want(&p, 0, 0, "");
    assert_trouble(&p, NULL);
    end(&p);
}

static void no_more_troubles_are_attested_than_fit(void **state)
{
    struct desired_peers p = {0};
    struct buf items = {0};
    uint32_t count = LIMIT_JOBS - 1; /* this many are installed */
    begin(state, &p);
    want(&p, 1, 3, "anna");
    desired_troubles(p.d, &items, &count);
    assert_int_equal(count, LIMIT_JOBS);
    buf_free(&items);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_package_is_fetched_in_chunks_certified_and_installed),
        in_folder(a_deployment_by_a_key_without_a_name_needs_no_certificate),
        in_folder(packages_that_are_here_or_to_be_removed_are_not_fetched),
        in_folder(a_transfer_resumes_after_a_broken_session),
        in_folder(a_transfer_resumes_in_a_new_process),
        in_folder(an_unsolicited_answer_is_ignored),
        in_folder(a_wrong_chunk_is_reported_and_retried_later),
        in_folder(a_busy_broker_is_asked_again_when_it_said),
        in_folder(a_refusal_by_the_broker_is_reported_and_the_next_package_starts),
        in_folder(a_refusal_by_the_runner_is_reported_and_the_archive_refetched),
        in_folder(a_deployer_without_a_certificate_is_reported),
        in_folder(an_installation_is_requested_again_when_the_runner_is_back),
        in_folder(an_unanswered_request_is_sent_again),
        in_folder(a_package_that_is_no_longer_wanted_is_dropped),
        in_folder(no_more_troubles_are_attested_than_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
