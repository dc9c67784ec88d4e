/* address.c - see address.h. */
#include "net/address.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char SCHEME[] = "tcp://";

static int bad(const char *text, const char *why, struct error *err)
{
    return error_set(err, -EINVAL,
                     "address '%s': %s; write host:port, e.g. wh0:%d or [2001:db8::1]:%d", text,
                     why, NET_PORT, NET_PORT);
}

static bool port_is_good(const char *port, bool port_free)
{
    unsigned value = 0;
    if (port_free && strcmp(port, "*") == 0)
        return true;
    for (const char *c = port; *c; c++) {
        if (!isdigit((unsigned char)*c) || c - port >= 5)
            return false;
        value = value * 10 + (unsigned)(*c - '0');
    }
    return *port && value <= 65535 && (value > 0 || port_free);
}

/* Where the host ends: after its brackets, or at its only colon. NULL: it is not a host. */
static const char *host_end(const char *host)
{
    if (*host == '[') {
        const char *end = strchr(host, ']');
        return end && end > host + 1 ? end + 1 : NULL;
    }
    return host + strcspn(host, ":");
}

int net_endpoint(const char *text, bool port_free, char ret[NET_ENDPOINT_MAX], struct error *err)
{
    const char *host =
        strncmp(text, SCHEME, sizeof SCHEME - 1) == 0 ? text + sizeof SCHEME - 1 : text;
    const char *end = host_end(host);

    for (const char *c = host; *c; c++)
        if (!isgraph((unsigned char)*c) || strchr("/;\\'\"", *c))
            return bad(text, "it has a character that is not allowed", err);
    if (!end || end == host)
        return bad(text, "it has no host", err);
    if (*end && *end != ':')
        return bad(text, "there is text between host and port", err);
    if (*end && !port_is_good(end + 1, port_free))
        return bad(text,
                   strchr(end + 1, ':') ? "an IPv6 address needs brackets"
                                        : "the port must be 1 to 65535",
                   err);
    char port[8];
    snprintf(port, sizeof port, ":%d", NET_PORT);
    if (snprintf(ret, NET_ENDPOINT_MAX, "%s%s%s", SCHEME, host, *end ? "" : port) >=
        NET_ENDPOINT_MAX)
        return bad(text, "it is too long", err);
    return 0;
}
