/* rotate.c - see rotate.h. */
#include "client/rotate.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/paths.h"
#include "trust/rotation.h"

static char *path_in(const struct client_config *c, const char *name)
{
    return mem_printf("%s/%s", c->folder, name);
}

bool rotate_is_locked(const struct client_config *c)
{
    char *path = path_in(c, SIGN_KEY_FILE);
    struct hash unused;
    bool locked = key_file_is_locked(path, &unused, NULL) == 1;
    mem_free(&path);
    return locked;
}

int rotate_begin(const struct client_config *c, const char *passphrase, char **ret_text,
                 struct error *err)
{
    char *path = path_in(c, SIGN_KEY_FILE);
    struct key next = {0};
    int rc = rotation_stage(path, passphrase, &next, err);
    if (rc == 0)
        rc = rotation_request(&c->me, &c->key, &next, clock_wall_ms(), ret_text, err);
    key_forget(&next);
    mem_free(&path);
    return rc;
}

/* The certificate first: client_config_load finishes what a crash between the two leaves. */
int rotate_take(const struct client_config *c, const char *text, struct error *err)
{
    char *key = path_in(c, SIGN_KEY_FILE), *certificate = path_in(c, CERTIFICATE_FILE);
    struct buf bytes = {0};
    struct certificate newer = {0};
    int rc = rotation_certificate_parse(text, &bytes, err);
    if (rc == 0)
        rc = rotation_verify(key, &c->anchors, &c->me, buf_span(&bytes), clock_wall_ms(), &newer,
                             err);
    if (rc == 0)
        rc = file_write_atomic(certificate, buf_span(&bytes), 0644, err);
    if (rc == 0)
        rc = rotation_finish(key, &newer.sign_key, err);
    certificate_free(&newer);
    buf_free(&bytes);
    mem_free(&key);
    mem_free(&certificate);
    return rc < 0 ? rc : 0;
}
