/* ctl_show.h - what the two pages of lbctl show, of a run and of a parent, share. */
#ifndef LB_ADMIN_CTL_SHOW_H
#define LB_ADMIN_CTL_SHOW_H

#include "admin/ctl.h"
#include "common/mem.h"

struct show {
    char **argv;
    struct longboat *lb;
    struct term term;
    struct buf out; /* the page, written in one go */
    const char *indent;
    bool zone_said; /* once a page */
};

/* "label         value", wrapped to the page after the label; nothing without a value. */
void show_line(struct show *s, const char *label, const char *value);
void show_linef(struct show *s, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void show_title(struct show *s, const char *title);
void show_table(struct show *s, const struct term_table *t);
void show_verdict(struct show *s, json_t *run);
/* A time of the row, with its day; the first of a page says the zone. */
void show_moment(struct show *s, const char *label, json_t *run, const char *key);
void show_events(struct show *s, json_t *run);
/* The texts of an array, one after the other. Yours. */
char *show_joined(json_t *array, const char *between);
/* ctl_showexecution.c: how a step that ran was run. What is as in the step above (NULL: there is
 * none) is left out. */
void show_execution(struct show *s, json_t *step, json_t *above);
/* A word of a command line, with $LB_PACKAGE for the folder of a package's files, whose long name
 * differs between servers. Yours. */
char *show_word(const char *word);
/* ctl_showdiff.c: prints what differs between two rows. Returns the exit code. */
int show_diff(struct show *s, json_t *run, json_t *other, bool as_json);

/* ctl_showparent.c. Returns the exit code. */
int show_parent(struct show *s, json_t *parent);

#endif
