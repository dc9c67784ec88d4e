/* name.c - see name.h. */
#include "common/name.h"

#include <errno.h>

static bool is_made_of(struct span s, bool dash)
{
    if (s.n == 0 || s.n > NAME_LENGTH_MAX || s.p[0] < 'a' || s.p[0] > 'z')
        return false;
    for (size_t i = 1; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && !(dash && c == '-'))
            return false;
    }
    return true;
}

bool name_is_identifier(struct span s)
{
    return is_made_of(s, false);
}

bool name_is_name(struct span s)
{
    return is_made_of(s, true);
}

static int check(const char *what, struct span s, bool dash, struct error *err)
{
    if (is_made_of(s, dash))
        return 0;
    if (s.n == 0)
        return error_set(err, -EINVAL, "%s is empty", what);
    if (s.n > NAME_LENGTH_MAX)
        return error_set(err, -EINVAL, "%s is longer than %d characters", what, NAME_LENGTH_MAX);
    return error_set(err, -EINVAL,
                     "%s must begin with a-z and have only a-z, 0-9%s and _, not '" SPAN_FMT "'",
                     what, dash ? ", -" : "", SPAN_ARG(s));
}

int name_check_identifier(const char *what, struct span s, struct error *err)
{
    return check(what, s, false, err);
}

int name_check_name(const char *what, struct span s, struct error *err)
{
    return check(what, s, true, err);
}
