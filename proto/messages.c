/* messages.c - the tables that schema.h stands for, and the words of refusals.
 *
 * A row's macro knows a field's name but not its struct's, and offsetof needs both: so each table
 * lives in a function of its own, where `row` is the struct. */
#include "proto/messages.h"

#include <errno.h>

#include <stddef.h>

enum {
    REQUIRED_u64 = 1,
    REQUIRED_i64 = 1,
    REQUIRED_flag = 1,
    REQUIRED_str = 1,
    REQUIRED_bin = 1,
    REQUIRED_id = 1,
    REQUIRED_hash = 1,
    REQUIRED_strs = 1,
    REQUIRED_bins = 1,
    REQUIRED_map = 1,
    REQUIRED_added_str = 0,
    REQUIRED_added_bin = 0
};

#define FIELD(type, name, most)    {#name, WIRE_##type, offsetof(row, name), most},
#define COUNT(type, name, most)    +1
#define REQUIRED(type, name, most) +REQUIRED_##type
#define DEFINE(prefix, FIELDS, word, low, number) \
    static const struct wire_field *prefix##_##low##_fields(void) \
    { \
        typedef struct prefix##_##low row; \
        static const struct wire_field fields[] = {FIELDS(FIELD)}; \
        return fields; \
    } \
    const struct wire_schema prefix##_##low##_schema = {word, \
                                                        number, \
                                                        prefix##_##low##_fields, \
                                                        0 FIELDS(COUNT), \
                                                        0 FIELDS(REQUIRED), \
                                                        sizeof(struct prefix##_##low)};

#define X(UP, low, kind, from) DEFINE(m, M_##UP, #UP, low, kind)
MESSAGES(X)
#undef X
#define X(UP, low, kind) DEFINE(d, D_##UP, #low, low, kind)
DOCUMENTS(X)
#undef X
#define X(UP, low, kind) DEFINE(r, R_##UP, "record " #low, low, kind)
RECORDS(X)
#undef X
#define X(UP, low, kind) DEFINE(s, S_##UP, "spool entry " #low, low, kind)
SPOOLS(X)
#undef X
DEFINE(h, H_FRAME, "frame", frame, KIND_H_FRAME)

static const struct {
    const struct wire_schema *schema;
    char from;
} table[] = {{&h_frame_schema, 0},
#define X(UP, low, kind, from) {&m_##low##_schema, #from[0]},
             MESSAGES(X)
#undef X
#define X(UP, low, kind) {&d_##low##_schema, 0},
                 DOCUMENTS(X)
#undef X
#define X(UP, low, kind) {&r_##low##_schema, 0},
                     RECORDS(X)
#undef X
#define X(UP, low, kind) {&s_##low##_schema, 0},
                         SPOOLS(X)
#undef X
};

const struct wire_schema *messages_schema_at(unsigned index)
{
    return index < sizeof table / sizeof table[0] ? table[index].schema : NULL;
}

const struct wire_schema *messages_schema_of_kind(uint64_t kind, enum sender *ret_from)
{
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].schema->kind == kind) {
            if (ret_from)
                *ret_from = (enum sender)table[i].from;
            return table[i].schema;
        }
    return NULL;
}

const char *refusal_word(uint64_t code)
{
    switch (code) {
#define X(n, v, remedy, w, t) \
    case v: \
        return w;
        REFUSALS(X)
#undef X
    default:
        return "?";
    }
}

const char *refusal_text(uint64_t code)
{
    switch (code) {
#define X(n, v, remedy, w, t) \
    case v: \
        return t;
        REFUSALS(X)
#undef X
    default:
        return "an unknown refusal";
    }
}

enum refusal_fault refusal_fault(uint64_t code)
{
    switch (code) {
    case REFUSAL_UNKNOWN_JOB:
    case REFUSAL_WRONG_JOB:
    case REFUSAL_BAD_PACKAGE:
    case REFUSAL_START_FAILED:
        return REFUSAL_OF_JOB;
    case REFUSAL_BUSY:
    case REFUSAL_UNKNOWN_ADDRESS:
    case REFUSAL_NO_PROXY:
    case REFUSAL_NO_SPACE:
    case REFUSAL_NO_SECRET:
    case REFUSAL_INTERNAL:
        return REFUSAL_OF_SERVER;
    default:
        return REFUSAL_OF_CALL;
    }
}

int d_parameter_fits(const struct d_parameter *p, struct span name, const struct value *v,
                     struct error *err)
{
    struct buf text = {0};
    if (p && (p->sensitive || span_eq_str(p->read_from, PARAMETER_FROM_FILE)))
        return 0;
    if (v->raw.n <= LIMIT_PARAMETER_ENV / 8) /* however it is written */
        return 0;
    value_to_text(v, &text);
    size_t n = text.n;
    buf_free(&text);
    if (n <= LIMIT_PARAMETER_ENV)
        return 0;
    return error_set(err, -EMSGSIZE,
                     "parameter '" SPAN_FMT "' has %zu bytes; in a variable of the environment at "
                     "most %d are handed over (a package that reads it from $LB_PARAMETERS says "
                     "`from_file: true`)",
                     SPAN_ARG(name), n, (int)LIMIT_PARAMETER_ENV);
}

bool d_parameter_find(const struct wire_list *declared, struct span name, struct d_parameter *ret)
{
    struct wire_iter it = wire_iter(declared);
    struct span item;
    while (wire_next(&it, &item))
        if (d_parameter_decode(item, ret, NULL) == 0 && span_eq(ret->name, name))
            return true;
    return false;
}

unsigned messages_fields(const struct wire_schema *s, uint64_t minor)
{
    /* Appended fields came with 1.1, except the last ones of these. */
    static const struct {
        uint64_t kind, minor;
        unsigned fields;
    } later[] = {{KIND_M_RESULT, 2, 1}};
    unsigned n = minor == 0 ? s->required : s->count;
    for (unsigned i = 0; minor && i < sizeof later / sizeof *later; i++)
        if (later[i].kind == s->kind && minor < later[i].minor)
            n -= later[i].fields;
    return n;
}

struct span messages_fit(uint64_t kind, uint64_t minor, struct span message, struct buf *scratch)
{
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    return s ? wire_fit(message, messages_fields(s, minor), scratch) : message;
}
