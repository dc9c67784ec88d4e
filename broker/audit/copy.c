/* copy.c - see copy.h. */
#include "broker/audit/copy.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "common/log.h"
#include "common/mem.h"

const char *copy_word(enum copy c)
{
#define X(n, w) [COPY_##n] = w,
    static const char *const words[] = {COPIES(X)};
#undef X
    return words[c];
}

int copy_parse(const char *word, enum copy *ret, struct error *err)
{
#define X(n, w) \
    if (strcmp(word, w) == 0) { \
        *ret = COPY_##n; \
        return 0; \
    }
    COPIES(X)
#undef X
    return error_set(err, -EINVAL, "audit-copy: '%.60s' is neither none, journald nor syslog",
                     word);
}

/* Names and verbs of the trail are plain words, so the line needs no escapes. What others wrote,
 * such as an object or a reason, is not in it. */
void copy_send(enum copy to, const struct d_audit *entry, const struct hash *hash)
{
    char hex[KEY_TEXT];
    if (to == COPY_NONE)
        return;
    char *line = mem_printf("audit entry %llu hash %s: " SPAN_FMT " " SPAN_FMT " %s (%llu)",
                            (unsigned long long)entry->number, key_format(hash, hex),
                            SPAN_ARG(entry->principal), SPAN_ARG(entry->verb),
                            audit_decision_word(entry->decision), (unsigned long long)entry->count);
    if (to == COPY_SYSLOG) {
        syslog(LOG_AUTHPRIV | LOG_NOTICE, "%s", line);
    } else {
        int rc = sd_journal_send("MESSAGE=%s", line, "PRIORITY=5", "SYSLOG_IDENTIFIER=lbbroker",
                                 "LONGBOAT_AUDIT_NUMBER=%llu", (unsigned long long)entry->number,
                                 "LONGBOAT_AUDIT_HASH=%s", hex, NULL);
        if (rc < 0)
            log_warn("the copy of the audit trail did not reach the journal: %s", strerror(-rc));
    }
    mem_free(&line);
}
