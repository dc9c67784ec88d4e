/* copy_test.c - what reaches the journal or syslog: one line for each entry, once it is on disk. In
 * the place of both stand functions of this file, which the linker prefers to the libraries'. */
#undef _FORTIFY_SOURCE /* else syslog.h has its own syslog */
#include "broker/audit/auditor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "trust/fixture.h"

/* What was sent: a field a line. */
static struct buf sent;
static int answer; /* of the journal */

/* The journal's fields: formats, each followed by its arguments, up to NULL. */
int sd_journal_send_with_location(const char *file, const char *line, const char *func,
                                  const char *format, ...);
int sd_journal_send_with_location(const char *file, const char *line, const char *func,
                                  const char *format, ...)
{
    va_list ap;
    (void)file, (void)line, (void)func;
    va_start(ap, format);
    for (; format; format = va_arg(ap, const char *)) {
        const char *value = strchr(format, '%');
        buf_add(&sent, format, value ? (size_t)(value - format) : strlen(format));
        if (value && strcmp(value, "%s") == 0)
            buf_add_str(&sent, va_arg(ap, const char *));
        else if (value && strcmp(value, "%llu") == 0)
            buf_printf(&sent, "%llu", va_arg(ap, unsigned long long));
        else if (value)
            fail_msg("an unknown format: %s", format);
        buf_add_str(&sent, "\n");
    }
    va_end(ap);
    return answer;
}

static void take_line(int priority, const char *format, va_list ap)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, ap);
    buf_printf(&sent, "<%d>%s\n", priority, text);
}

void syslog(int priority, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    take_line(priority, format, ap);
    va_end(ap);
}

/* What a fortified program calls. */
void __syslog_chk(int priority, int flag, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list ap;
    (void)flag;
    va_start(ap, format);
    take_line(priority, format, ap);
    va_end(ap);
}

static const char HASH[] = "0700000000000000000000000000000000000000000000000000000000000000";

static void send_one(enum copy to)
{
    const struct d_audit entry = {.number = 17,
                                  .principal = span_str("anna"),
                                  .verb = span_str("drain"),
                                  .object = span_str("etl1\nPRIORITY=0"),
                                  .reason = span_str("%s%n"),
                                  .decision = AUDIT_DENIED,
                                  .count = 3};
    const struct hash hash = {{7}};
    buf_clear(&sent);
    copy_send(to, &entry, &hash);
}

static void the_journal_gets_a_line_and_the_number_and_hash_as_fields(void **state)
{
    char want[512];
    (void)state;
    send_one(COPY_JOURNALD);
    snprintf(want, sizeof want,
             "MESSAGE=audit entry 17 hash %s: anna drain denied (3)\nPRIORITY=5\n"
             "SYSLOG_IDENTIFIER=lbbroker\nLONGBOAT_AUDIT_NUMBER=17\nLONGBOAT_AUDIT_HASH=%s\n",
             HASH, HASH);
    assert_string_equal(buf_str(&sent), want);
}

static void syslog_gets_the_same_line_for_those_who_keep_security_messages(void **state)
{
    char want[512];
    (void)state;
    send_one(COPY_SYSLOG);
    snprintf(want, sizeof want, "<%d>audit entry 17 hash %s: anna drain denied (3)\n",
             LOG_AUTHPRIV | LOG_NOTICE, HASH);
    assert_string_equal(buf_str(&sent), want);
}

static void without_a_copy_nothing_is_sent(void **state)
{
    (void)state;
    send_one(COPY_NONE);
    assert_int_equal(sent.n, 0);
}

static void an_entry_is_copied_once_it_is_on_disk_whether_the_journal_takes_it_or_not(void **state)
{
    const struct store_audit_end nothing = {0};
    struct key key = fixture_key('b');
    struct certificate_order o = {.cluster = "test",
                                  .name = "broker",
                                  .role = ROLE_BROKER,
                                  .serial = 3,
                                  .sign_key = key.sign,
                                  .not_before = NOW - HOUR,
                                  .not_after = NOW + HOUR};
    struct buf certificate = fixture_certificate_bytes(&o);
    struct auditor_options options = {.cluster = "test",
                                      .broker = "broker",
                                      .key = &key,
                                      .certificate = buf_span(&certificate),
                                      .serial = 3,
                                      .copy = COPY_JOURNALD};
    struct auditor *a = auditor_new(&options, &nothing, 1);
    (void)state;
    buf_clear(&sent);
    auditor_note(a, NOW, NULL, &(struct auditor_entry){.verb = "start"});
    auditor_note(a, NOW, NULL, &(struct auditor_entry){.verb = "stop"});
    auditor_taken(a);
    assert_int_equal(sent.n, 0); /* a crash may take them yet */
    answer = -ENOENT;            /* there is no journal: the trail goes on */
    auditor_committed(a, 1);
    assert_non_null(strstr(buf_str(&sent), "NUMBER=1\n"));
    assert_null(strstr(buf_str(&sent), "NUMBER=2\n"));
    buf_clear(&sent);
    answer = 0;
    auditor_committed(a, 2);
    assert_null(strstr(buf_str(&sent), "NUMBER=1\n"));
    assert_non_null(strstr(buf_str(&sent), "NUMBER=2\n"));
    auditor_free(&a);
    buf_free(&certificate);
}

static int forget(void **state)
{
    (void)state;
    buf_free(&sent);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_journal_gets_a_line_and_the_number_and_hash_as_fields),
        cmocka_unit_test(syslog_gets_the_same_line_for_those_who_keep_security_messages),
        cmocka_unit_test(without_a_copy_nothing_is_sent),
        cmocka_unit_test(an_entry_is_copied_once_it_is_on_disk_whether_the_journal_takes_it_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
