/* pack.h - msgpack-c's packer, writing into a struct buf. For wire.c and value.c only. */
#ifndef LB_PROTO_PACK_H
#define LB_PROTO_PACK_H

#include <msgpack/pack.h>

#include "common/buf.h"

/* Makes *pk append to `out`, which has to outlive it. */
void pack_init(msgpack_packer *pk, struct buf *out);
/* Append a whole str or bin: its head in the shortest form, then the bytes. */
void pack_str(struct buf *out, struct span s);
void pack_bin(struct buf *out, struct span s);

#endif
