/* secret.c - see secret.h. */
#include "trust/secret.h"

#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/mem.h"

enum { PAGE_SECRETS = 32 /* 4 KiB: what libsodium locks at least */ };

struct secret_page {
    uint8_t (*secrets)[SECRET_MAX]; /* PAGE_SECRETS of them */
    uint32_t used;                  /* a bit each */
    struct secret_page *next;
};

static mode_t umask_before = 022;

void secret_begin(void)
{
    const struct rlimit none = {0, 0};
    umask_before = umask(077);
    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &none);
}

mode_t secret_umask(void)
{
    return umask_before;
}

/* ---- Memory */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct secret_page *pages;
static bool unlocked;

static struct secret_page *new_page(void)
{
    struct secret_page *p = mem_zalloc(1, sizeof *p);
    if (sodium_init() < 0 || !(p->secrets = sodium_allocarray(PAGE_SECRETS, SECRET_MAX)))
        mem_die();
    /* sodium_allocarray has tried already, but does not say how that went */
    if (sodium_mlock(p->secrets, PAGE_SECRETS * SECRET_MAX) != 0)
        unlocked = true;
    sodium_memzero(p->secrets, PAGE_SECRETS * SECRET_MAX);
    p->next = pages;
    pages = p;
    return p;
}

void *secret_alloc(void)
{
    pthread_mutex_lock(&mutex);
    struct secret_page *p = pages;
    while (p && p->used == UINT32_MAX)
        p = p->next;
    if (!p)
        p = new_page();
    int i = __builtin_ctz(~p->used);
    p->used |= 1u << i;
    pthread_mutex_unlock(&mutex);
    return p->secrets[i];
}

/* A page stays when its last secret goes: the next key needs it. */
void secret_free(void *secret)
{
    uint8_t *at = secret;
    if (!secret)
        return;
    sodium_memzero(secret, SECRET_MAX);
    pthread_mutex_lock(&mutex);
    for (struct secret_page *p = pages; p; p = p->next)
        if (at >= p->secrets[0] && at <= p->secrets[PAGE_SECRETS - 1])
            p->used &= ~(1u << (size_t)(at - p->secrets[0]) / SECRET_MAX);
    pthread_mutex_unlock(&mutex);
}

bool secret_is_locked(void)
{
    pthread_mutex_lock(&mutex);
    bool locked = !unlocked;
    pthread_mutex_unlock(&mutex);
    return locked;
}

void secret_warn_unlocked(void (*warn)(const char *fmt, ...))
{
    if (!secret_is_locked())
        warn("the key's memory cannot be locked and may be written to swap: raise `ulimit -l` "
             "(LimitMEMLOCK= of the unit) to 256 KiB or more");
}
