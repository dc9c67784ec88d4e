/* who.c - see who.h. */
#include "client/who.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/termout.h"

static bool lets_watch(const char *grant)
{
    return strncmp(grant, "watch ", 6) == 0 || strncmp(grant, "operate ", 8) == 0 ||
           strncmp(grant, "admin ", 6) == 0;
}

static bool take_me(void *self, struct span json)
{
    struct who *w = self;
    struct buf grants = {0};
    size_t i;
    json_t *grant, *me = json_parse_shown("the broker's answer", json, NULL);
    const char *name = json_string_value(json_object_get(me, "name")),
               *role = json_string_value(json_object_get(me, "role"));
    snprintf(w->name, sizeof w->name, "%s", name ? name : "");
    w->administrator = role && strcmp(role, "administrator") == 0;
    w->may_watch = w->administrator;
    json_array_foreach (json_object_get(me, "grants"), i, grant) {
        const char *text = json_string_value(grant);
        buf_printf(&grants, "%s%s", i ? ", " : "", text ? text : "");
        w->may_watch |= text && lets_watch(text);
    }
    w->grants = mem_strdup(grants.n ? buf_str(&grants) : "none");
    buf_free(&grants);
    json_decref(me);
    return false;
}

int who_ask(struct longboat *lb, struct who *ret, struct error *err)
{
    *ret = (struct who){0};
    int rc = longboat_query(lb, "whoami", NULL, take_me, ret, err);
    if (rc == 0 && !*ret->name)
        rc = error_set(err, -EPROTO, "the broker does not say who we are");
    if (rc < 0)
        who_free(ret);
    return rc;
}

void who_free(struct who *w)
{
    mem_free(&w->grants);
}

void who_may_not_watch(const struct who *w, const char *command)
{
    term_say(stderr,
             "%s: '%s' may not watch any server (grants: %s). An administrator can run:\n"
             "  lbctl certificates renew %s --grant 'watch *@all'\n",
             command, w->name, w->grants, w->name);
}

void who_sees_own(const struct who *w, const char *command)
{
    term_say(stderr,
             "%s: '%s' sees only the runs that they started (grants: %s). To show them all, an "
             "administrator\ncan run:  lbctl certificates renew %s --grant 'watch *@all'\n",
             command, w->name, w->grants, w->name);
}
