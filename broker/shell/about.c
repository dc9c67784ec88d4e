/* about.c - see about.h. */
#include "broker/shell/about.h"

#include <string.h>

void about_of(struct span first_record, struct about *ret)
{
    uint64_t kind;
    size_t size;
    struct r_called called;
    struct r_parent_begun begun;
    struct d_signed s;
    memset(ret, 0, sizeof *ret);
    if (!first_record.n || wire_peek(first_record, &kind, &size, NULL) < 0)
        return;
    if (kind == KIND_R_CALLED && r_called_decode(first_record, &called, NULL) == 0 &&
        d_signed_decode(called.call, &s, NULL) == 0 &&
        d_call_decode(s.body, &ret->call, NULL) == 0) {
        ret->known = true;
        ret->principal = called.principal;
        ret->begun_at = called.at;
    } else if (kind == KIND_R_PARENT_BEGUN &&
               r_parent_begun_decode(first_record, &begun, NULL) == 0 &&
               d_signed_decode(begun.parent, &s, NULL) == 0 &&
               d_parent_decode(s.body, &ret->parent, NULL) == 0) {
        ret->known = ret->is_parent = true;
        ret->principal = begun.principal;
        ret->begun_at = begun.at;
    }
}
