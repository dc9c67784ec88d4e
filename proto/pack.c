/* pack.c - see pack.h. */
#include "proto/pack.h"

static int pack_write(void *out, const char *p, size_t n)
{
    buf_add(out, p, n);
    return 0;
}

void pack_init(msgpack_packer *pk, struct buf *out)
{
    msgpack_packer_init(pk, out, pack_write);
}

void pack_str(struct buf *out, struct span s)
{
    msgpack_packer pk;
    pack_init(&pk, out);
    msgpack_pack_str(&pk, s.n);
    buf_add(out, s.p, s.n);
}

void pack_bin(struct buf *out, struct span s)
{
    msgpack_packer pk;
    pack_init(&pk, out);
    msgpack_pack_bin(&pk, s.n);
    buf_add(out, s.p, s.n);
}
