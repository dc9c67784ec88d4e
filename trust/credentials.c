/* credentials.c - see credentials.h. */
#include "trust/credentials.h"

#include <errno.h>
#include <unistd.h>

#include "common/file.h"
#include "common/ownfile.h"

static int open_it(struct span name, struct span path, uid_t also, int *ret_fd, struct error *err)
{
    char text[LIMIT_PATH + 1];
    if (!span_copy_str(path, text, sizeof text))
        return error_set(err, -ENAMETOOLONG, "the path of credential '" SPAN_FMT "' is too long",
                         SPAN_ARG(name));
    int rc = ownfile_open_secret(text, also, ret_fd, err);
    return rc < 0 ? error_prefix(err, "credential '" SPAN_FMT "'", SPAN_ARG(name)) : 0;
}

int credentials_read(struct span name, struct span path, uid_t also, struct buf *out,
                     struct error *err)
{
    int fd, rc = open_it(name, path, also, &fd, err);
    if (rc < 0)
        return rc;
    ssize_t n = file_read_all(fd, buf_grow(out, CREDENTIAL_BYTES + 1), CREDENTIAL_BYTES + 1);
    close(fd);
    if (n < 0)
        return error_errno(err, (int)-n, "cannot read credential '" SPAN_FMT "'", SPAN_ARG(name));
    if (n > CREDENTIAL_BYTES)
        return error_set(err, -EFBIG, "credential '" SPAN_FMT "' has more than %d bytes",
                         SPAN_ARG(name), (int)CREDENTIAL_BYTES);
    out->n += (size_t)n;
    return 0;
}

int credentials_check(const struct wire_list *credentials, uid_t also, struct error *err)
{
    struct wire_iter it = wire_iter(credentials);
    struct span name;
    struct value path;
    int rc = 0, fd;
    while (rc == 0 && wire_next_pair(&it, &name, &path))
        if ((rc = open_it(name, path.bytes, also, &fd, err)) == 0)
            close(fd);
    return rc;
}
