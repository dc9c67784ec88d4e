/* wire.h - reads and writes the bytes of Longboat: a strict subset of msgpack, driven by tables of
 * fields.
 *
 * Every message, signed document, journal record and spool entry is one msgpack array [kind, field,
 * field, ...]. Its fields are named once, in schema.h; from there come the C struct, this table,
 * the check, the test of every refusal and the field tables of PROTOCOL.md.
 *
 * Strict means: integers, lengths and headers in their shortest form; strings valid UTF-8 without
 * NUL; no extension types; only finite 64-bit floats; depth, counts and lengths checked before
 * anything is read; every byte accounted for. Decoding copies nothing: spans point into the bytes
 * given, which must outlive the struct.
 *
 * Versions: fields are only ever appended. A reader accepts data older than an appended field, and
 * finds the field empty. A reader of an older minor version is told so (`newer`) and then skips,
 * after checking their form, fields it does not know; otherwise leftover fields are an error.
 *
 * Pure: no I/O, no clock. Used by lbrunner as root: nothing here parses with a library. */
#ifndef LB_PROTO_WIRE_H
#define LB_PROTO_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/buf.h"
#include "common/error.h"
#include "common/id.h"

struct hash {
    uint8_t b[32];
};
bool hash_eq(const struct hash *a, const struct hash *b);
bool hash_is_zero(const struct hash *h);

enum wire_type {
    WIRE_u64,  /* uint64_t, at most `most` */
    WIRE_i64,  /* int64_t, -most..most; most 0: any */
    WIRE_flag, /* bool */
    WIRE_str,  /* struct span: UTF-8, no NUL, at most `most` bytes */
    WIRE_bin,  /* struct span: any bytes, at most `most` */
    WIRE_id,   /* struct id: 16 bytes */
    WIRE_hash, /* struct hash: 32 bytes, keys too */
    WIRE_strs, /* struct wire_list of at most `most` strings of at most LIMIT_PATH bytes each */
    WIRE_bins, /* struct wire_list of at most `most` byte strings */
    /* struct wire_list of at most LIMIT_VALUES pairs name -> value, at most `most` bytes in all;
       names are unique and at most LIMIT_NAME bytes, values nest at most LIMIT_DEPTH deep */
    WIRE_map,
    /* a str or bin that a later version appended: see `required` below */
    WIRE_added_str = WIRE_str,
    WIRE_added_bin = WIRE_bin
};

/* A list or map as encoded: its items one after the other, without the header. */
struct wire_list {
    struct span items;
    uint32_t count; /* items; of a map: pairs */
};

typedef uint64_t wire_c_u64;
typedef int64_t wire_c_i64;
typedef bool wire_c_flag;
typedef struct span wire_c_str;
typedef struct span wire_c_bin;
typedef struct id wire_c_id;
typedef struct hash wire_c_hash;
typedef struct wire_list wire_c_strs;
typedef struct wire_list wire_c_bins;
typedef struct wire_list wire_c_map;
typedef struct span wire_c_added_str;
typedef struct span wire_c_added_bin;

struct wire_field {
    const char *name;
    enum wire_type type;
    size_t offset;
    uint64_t most;
};

struct wire_schema {
    const char *name; /* "CALL"; appears in refusals */
    uint64_t kind;
    const struct wire_field *(*fields)(void); /* `count` of them, in the order of the array */
    unsigned count;
    /* Fields that must be present. A later one is left out when it is empty and reads as empty when
       it is missing, as in records and documents that are older than it. */
    unsigned required;
    size_t size; /* of the C struct */
};

/* Appends the whole array. A field beyond its `most` is a bug in the caller and asserts: check what
 * people type first. */
void wire_encode(const struct wire_schema *s, const void *msg, struct buf *out);

/* Fills *ret_msg from exactly the bytes in `in`. On failure *ret_msg is untouched and the sentence
 * names message, field and what was wrong. `newer`: the session agreed on a newer minor version
 * than ours, so unknown fields may follow. -EPROTO: malformed; -EMSGSIZE: beyond a limit. */
int wire_decode(const struct wire_schema *s, struct span in, bool newer, void *ret_msg,
                struct error *err);

/* The message with at most `count` fields, for a peer of another minor version: *message as it is,
 * or, if it has more, a copy without the last ones in *scratch, which is replaced. What is
 * malformed stays as it is, for the decoder to refuse. */
struct span wire_fit(struct span message, unsigned count, struct buf *scratch);

/* The kind of the array at the head of `in`, and how many bytes the whole array takes (checked in
 * form, to LIMIT_DEPTH). For walking through the messages of a frame. */
int wire_peek(struct span in, uint64_t *ret_kind, size_t *ret_size, struct error *err);

/* ---- Lists: read one after the other; an item of `strs` or `bins` as a span. */
struct wire_iter {
    struct span rest;
    uint32_t left;
};
struct wire_iter wire_iter(const struct wire_list *l);
bool wire_next(struct wire_iter *it, struct span *ret_item);
bool wire_list_has(const struct wire_list *l, const char *s);
/* Build: items into a buf, then wire_list_from. The list points into `items`. */
void wire_add_str(struct buf *items, struct span s);
void wire_add_bin(struct buf *items, struct span s);
struct wire_list wire_list_from(const struct buf *items, uint32_t count);

/* ---- Values: what parameters and outputs are made of. */
enum value_type {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STR,
    VALUE_BIN,
    VALUE_LIST,
    VALUE_MAP
};
struct value {
    enum value_type type;
    bool boolean;
    int64_t integer;
    double real;
    struct span bytes;      /* STR, BIN */
    struct wire_list items; /* LIST: any values; MAP: pairs str -> value */
    struct span raw;        /* the value as encoded */
};
/* Reads the value at the head of *in and moves on. False: malformed (never for what wire_decode
 * accepted). */
bool value_read(struct span *in, struct value *ret);
/* Next pair of a map. */
bool wire_next_pair(struct wire_iter *it, struct span *ret_name, struct value *ret_value);
bool wire_map_get(const struct wire_list *map, const char *name, struct value *ret);
/* Build: a name and its value into a map's items; count the pairs yourself. */
void value_add_null(struct buf *b);
void value_add_bool(struct buf *b, bool v);
void value_add_int(struct buf *b, int64_t v);
void value_add_float(struct buf *b, double v); /* finite; asserts */
void value_add_str(struct buf *b, struct span v);
void value_add_list(struct buf *b, uint32_t count); /* header: `count` values follow */
/* header: `count` pairs follow, each key with value_add_str */
void value_add_map(struct buf *b, uint32_t count);
/* The value as JSON text (bytes as base64 text, never invalid UTF-8). */
void value_to_json(const struct value *v, struct buf *out);
void wire_map_to_json(const struct wire_list *map, struct buf *out);
/* A scalar as plain text for people and environment variables: strings as they are, null as "",
 * lists and maps as JSON. */
void value_to_text(const struct value *v, struct buf *out);
/* Checks that `in` is one well-formed value within depth and counts, e.g. before storing bytes that
 * came from outside. */
int value_check(struct span in, struct error *err);

#endif
