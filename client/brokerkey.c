/* brokerkey.c - see brokerkey.h. */
#include "client/brokerkey.h"

int brokerkey_welcome(struct client_config *c, struct dialer *d, const struct m_welcome *welcome,
                      int64_t now, struct error *err)
{
    struct pinned *pinned = dialer_pinned(d);
    int rc = 0;
    if (pinned->on_next && c->broker_next.signed_bytes.n) {
        rc = client_config_pin_next(c, err);
        pinned_adopt(pinned);
    }
    if (rc == 0 && welcome->next.n) {
        rc = client_config_next_broker(c, welcome->next, now, err);
        if (rc > 0)
            pinned->next = c->broker_next.transport_key;
    }
    return rc < 0 ? rc : 0;
}
