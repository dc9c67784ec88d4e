/* ctl_doctor.c - lbctl doctor: what is wrong, or soon will be, with keys, files, clocks,
 * certificates, servers and disks, and what to do about it. It changes nothing. */
#include "admin/ctl_doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "common/clock.h"
#include "common/duration.h"
#include "common/mem.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"broker-home", 0, OPTION_STR, NULL, 0, 0, false, "FOLDER",
     "look at a broker's home on this machine, too"},
    {"local", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "do not ask the broker"},
    {"quiet", 'q', OPTION_FLAG, NULL, 0, 0, false, NULL, "leave out what is well"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const char examples[] =
    "  lbctl doctor                     this home, and all that the broker knows\n"
    "  lbctl doctor --json | jq 'select(.severity == \"bad\")'\n"
    "  lbctl doctor --local --broker-home /srv/longboat/broker\n"
    "On a server it also runs lbworker check.\n"
    "Not looked at: clocks of servers that are away or of an older version (of the\n"
    "others, what each said when its session began), disks of servers, callers.\n"
    "Exit codes: 0 nothing is bad; 1 something is.\n";

static bool quiet;

static const char *const words[] = {"ok", "note", "warn", "bad"};

static void print(enum doctor_severity s, const char *where, const char *remedy, const char *text)
{
    static const enum term_mood moods[] = {TERM_GOOD, TERM_FAINT, TERM_WARN, TERM_BAD};
    const struct term t = term_of(STDOUT_FILENO);
    struct buf out = {0}, body = {0};
    char label[8];
    snprintf(label, sizeof label, "%-6s", words[s]);
    term_paint(&out, &t, moods[s], label);
    if (*where)
        buf_printf(&body, "%s: ", where);
    buf_add_str(&body, text);
    struct buf safe = {0};
    term_safe(&safe, buf_span(&body));
    term_wrap(&out, buf_span(&safe), 6, term_page(&t));
    if (remedy && *remedy) {
        buf_clear(&safe);
        buf_add_str(&safe, "-> ");
        term_safe(&safe, span_str(remedy));
        buf_add_str(&out, "\n      ");
        term_wrap(&out, buf_span(&safe), 6, term_page(&t));
    }
    buf_add_str(&out, "\n");
    term_put(stdout, buf_span(&out));
    buf_free(&out);
    buf_free(&body);
    buf_free(&safe);
}

static void print_json(enum doctor_severity s, const char *finding, const char *where,
                       const char *remedy, const char *text)
{
    json_t *o = json_pack("{s:i, s:s, s:s, s:s}", "v", 1, "severity", words[s], "finding", finding,
                          "text", text);
    if (*where)
        json_object_set_new(o, "where", json_string(where));
    if (remedy && *remedy)
        json_object_set_new(o, "remedy", json_string(remedy));
    char *line = json_dumps(o, JSON_COMPACT);
    if (line)
        term_say(stdout, "%s\n", line);
    free(line);
    json_decref(o);
}

void doctor_say(struct doctor *d, enum doctor_severity s, const char *finding, const char *where,
                const char *remedy, const char *fmt, ...)
{
    char text[DOCTOR_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    d->found[s]++;
    if (quiet && s == DOCTOR_OK)
        return;
    if (d->as_json)
        print_json(s, finding, where, remedy, text);
    else
        print(s, where, remedy, text);
}

void doctor_expiry(struct doctor *d, const char *name, int64_t not_after, const char *remedy)
{
    const int64_t left = not_after - clock_wall_ms(), day = 86400000;
    char time[DURATION_TEXT];
    if (left <= 0)
        doctor_say(d, DOCTOR_BAD, "certificate", name, remedy, "the certificate has expired");
    else
        doctor_say(d,
                   left < DOCTOR_EXPIRY_BAD_DAYS * day    ? DOCTOR_BAD
                   : left < DOCTOR_EXPIRY_WARN_DAYS * day ? DOCTOR_WARN
                                                          : DOCTOR_OK,
                   "certificate", name, left < DOCTOR_EXPIRY_WARN_DAYS * day ? remedy : "",
                   "the certificate expires in %s", duration_format(left, time));
}

static void sum_up(const struct doctor *d)
{
    if (d->as_json)
        return;
    term_say(stdout, "\n%zu bad, %zu warnings, %zu notes, %zu ok\n", d->found[DOCTOR_BAD],
             d->found[DOCTOR_WARN], d->found[DOCTOR_NOTE], d->found[DOCTOR_OK]);
}

int ctl_doctor(int argc, char **argv)
{
    struct option_values v = {0};
    struct doctor d = {.argv = argv};
    int first,
        code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "[options]", examples, 0, 0, &v, &first);
    if (code >= 0)
        return code;
    d.as_json = opt_flag(&v, "json");
    quiet = opt_flag(&v, "quiet");
    doctor_home(&d);
    if (opt_str(&v, "broker-home"))
        doctor_broker_home(&d, opt_str(&v, "broker-home"));
    if (d.known && d.who.me.role == ROLE_SERVER)
        doctor_server(&d);
    else if (d.known && !opt_flag(&v, "local"))
        doctor_cluster(&d);
    sum_up(&d);
    if (d.known)
        client_config_free(&d.who);
    options_free(&v);
    return d.found[DOCTOR_BAD] ? EXIT_RAN_AND_FAILED : EXIT_DONE;
}
