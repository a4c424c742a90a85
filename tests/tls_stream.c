/* tls_stream.c: tests of TLS connections as streams: that they are streams like any other, and what
 * is particular to them: cut connections, goodbyes, keys that change, memory.
 */
#include <malloc.h>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include <coir/filter.h>

#include "tls/tls.h"

#include "tls_kit.h"

/* ---- a stream like any other ---- */

static void check(const char *name, struct both *both, unsigned traits, size_t big)
{
    coir_stream_maker maker = {
        .name = name, .make = make_tls, .arg = both, .traits = traits, .big = big};
    coir_check_stream(&maker);
}

COIR_TEST_TAGGED(over_memory, "slow,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    check("tls over memory", &contexts, 0, 400000);
}

/* Room for hardly more than the tickets that a server sends after a handshake. */
COIR_TEST_TAGGED(over_narrow_memory, "slow,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    contexts.capacity = 700;
    check("tls over narrow memory", &contexts, 0, 200000);
}

/* Records come in pieces of a few bytes. */
COIR_TEST_TAGGED(in_pieces, "slow,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    contexts.pieces = 9;
    check("tls over pieces", &contexts, 0, 200000);
}

COIR_TEST_TAGGED(of_version_1_2, "no_torture,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    SSL_CTX_set_max_proto_version(contexts.client->ssl, TLS1_2_VERSION);
    check("tls 1.2 over memory", &contexts, 0, 400000);
}

COIR_TEST_TAGGED(over_tcp, "no_torture,limit=60")
{
    TLS_CONTEXTS(contexts, DEFAULTS, DEFAULTS);
    contexts.transport = BY_TCP;
    check("tls over tcp", &contexts, 0, 0);
}
