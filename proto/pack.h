/* pack.h - msgpack-c's inline packer writing into a struct buf; for wire.c and value.c only. */
#ifndef LB_PROTO_PACK_H
#define LB_PROTO_PACK_H

#include <msgpack/pack.h>

#include "common/buf.h"

static inline int pack_write(void *out, const char *p, size_t n)
{
    buf_add(out, p, n);
    return 0;
}

static inline void pack_init(msgpack_packer *pk, struct buf *out)
{
    msgpack_packer_init(pk, out, pack_write);
}

static inline void pack_str(struct buf *out, struct span s)
{
    msgpack_packer pk;
    pack_init(&pk, out);
    msgpack_pack_str(&pk, s.n);
    buf_add(out, s.p, s.n);
}

static inline void pack_bin(struct buf *out, struct span s)
{
    msgpack_packer pk;
    pack_init(&pk, out);
    msgpack_pack_bin(&pk, s.n);
    buf_add(out, s.p, s.n);
}

#endif
