/* trust_fuzz.c - arbitrary bytes as a certificate, a call, a revocation list, a minisign
 * signature and a join token: nothing unsigned is ever accepted. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "trust/call.h"
#include "trust/certificate.h"
#include "trust/invitation.h"
#include "trust/minisign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct span in = {data, size};
    struct certificate c = {0};
    static struct trust_anchors anchors;
    if (!anchors.n) {
        struct hash nobody = {{0}};
        trust_init(&err);
        memset(nobody.b, 7, sizeof nobody.b);
        anchors_from("demo", &nobody, 1, &anchors);
    }
    assert(certificate_verify(in, &anchors, 1700000000000, &c, NULL, &err) < 0);

    struct d_signed s;
    assert(batch_open(in, &anchors.administrators[0], NULL, &s, &err) < 0);
    assert(envelope_open(ENVELOPE_DEPLOYMENT, in, &anchors.administrators[0], &s, &err) < 0);

    char *text = malloc(size + 1);
    struct token token;
    memcpy(text, data, size);
    text[size] = 0;
    if (token_parse(text, &token, &err) == 0)
        token_free(&token);
    free(text);
    return 0;
}
