/* channelloop.c - see channelloop.h. */
#include "common/channelloop.h"

#include <sys/epoll.h>

int channelloop_flush(struct channel *c, struct loop *l, struct error *err)
{
    int rc = channel_flush(c, err);
    if (rc < 0)
        return rc;
    uint32_t events = channel_wants_write(c) ? EPOLLIN | EPOLLOUT : EPOLLIN;
    return loop_mod(l, channel_fd(c), events, err);
}

void channelloop_close(struct channel **c, struct loop *l)
{
    if (*c)
        loop_del(l, channel_fd(*c));
    channel_close(c);
}
