/* context.c - see context.h. */
#include "runner/context.h"

#include <errno.h>

/* As root only a step whose proxy names root. */
#define CONTEXT_ROOT "root"

static uint32_t big_endian(const uint8_t b[4])
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int take_user(const struct d_context *c, struct privilege_user *ret, struct error *err)
{
    /* the largest number of each means "leave it as it is" to the system */
    if (c->uid >= UINT32_MAX || c->gid >= UINT32_MAX || c->groups.n % 4 ||
        c->groups.n / 4 > LIMIT_GROUPS)
        return error_set(err, -EBADMSG, "user, group or groups of the step are not valid");
    *ret = (struct privilege_user){.uid = (uid_t)c->uid, .gid = (gid_t)c->gid};
    for (; ret->n_groups < c->groups.n / 4; ret->n_groups++)
        ret->groups[ret->n_groups] = big_endian(c->groups.p + ret->n_groups * (size_t)4);
    return 0;
}

int context_take(const struct runner_paths *paths, const struct d_context *c,
                 struct privilege_user *ret_user, bool *ret_switched, struct error *err)
{
    *ret_switched = paths->separated;
    int rc = take_user(c, ret_user, err);
    if (rc < 0)
        return rc;
    if (!paths->separated) {
        if (c->uid && ret_user->uid != paths->worker.uid)
            return error_set(err, -EPERM,
                             "the step is for user '" SPAN_FMT
                             "', and only a runner that was started as root can switch users",
                             SPAN_ARG(c->user));
        return 0;
    }
    if (ret_user->uid == 0 && !span_eq_str(c->user, CONTEXT_ROOT))
        return error_set(err, -EPERM,
                         "nobody says as which user the step runs; as root only what "
                         "names root");
    if (ret_user->uid == paths->worker.uid || ret_user->uid == paths->unpack.uid)
        return error_set(err, -EPERM, "a step does not run as the worker's or the unpacker's user");
    return 0;
}
