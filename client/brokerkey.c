/* brokerkey.c - see brokerkey.h. */
#include "client/brokerkey.h"

int brokerkey_welcome(struct client_config *c, struct dialer *d, const struct m_welcome *welcome,
                      int64_t now, struct error *err)
{
    int rc = 0;
    if (dialer_is_on_next_key(d) && c->broker_next.signed_bytes.n) {
        rc = client_config_pin_next(c, err);
        dialer_pin_next_key(d);
    }
    if (rc == 0 && welcome->next.n) {
        rc = client_config_next_broker(c, welcome->next, now, err);
        if (rc > 0)
            dialer_set_next_key(d, &c->broker_next.transport_key);
    }
    return rc < 0 ? rc : 0;
}
