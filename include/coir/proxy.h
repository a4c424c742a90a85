/* coir/proxy.h: who a connection is really from, when a proxy stands in between (PROXY protocol,
 * versions 1 and 2).
 *
 * A proxy that was told to sends the addresses of its client before anything else. The server reads
 * them first:
 *
 *     static int handle(coir_stream *stream, void *arg)
 *     {
 *         coir_proxy from;
 *         COIR_TRY(coir_proxy_read(stream, NULL, &from));
 *         char name[COIR_ADDRESS_TEXT] = "the proxy itself";
 *         if (from.source.length > 0)
 *             coir_address_format(&from.source, name, sizeof name);
 *         ...
 *     }
 *
 * Anybody who can connect can write such a header, and claim to be anybody. So use it on a listener
 * that only the proxies can reach, or look at coir_stream_peer first; and use it for all
 * connections of that listener, since nothing tells one with a header from one that only begins
 * like it.
 */
#ifndef COIR_PROXY_H
#define COIR_PROXY_H

#include <coir/address.h>
#include <coir/stream.h>

COIR__BEGIN

/* What a proxy says. */
typedef struct coir_proxy {
    bool local;               /* the connection is the proxy's own, such as a check of health */
    coir_address source;      /* who connected to the proxy; length 0: unknown */
    coir_address destination; /* and to which address; length 0: unknown */
} coir_proxy;

/* The longest header that is read. */
#define COIR_PROXY_MOST 4096

/* Zero means the default for each field. */
typedef struct coir_proxy_opts {
    coir_time limit; /* the header must be there after so long; 0: 5 s */
    size_t coir__reserved[4];
} coir_proxy_opts;

/* Waits for the header at the beginning of stream, takes it, and says what is in it. What follows
 * stays in the stream, for calls that read. Extensions (TLV) are skipped. opts may be NULL.
 * Returns 0, and writes *ret_proxy. Errors: -EPROTO, with a text, when the stream does not begin
 * with a header or the header is wrong; -ETIMEDOUT when it is not there in time; -COIR_EEOF when
 * the stream ends before; -COIR_ETOOLONG above COIR_PROXY_MOST; -ENOMEM, -EINVAL, else as
 * coir_stream_peek. Whatever the failure, close the stream. Cancel safety: no byte is lost. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_proxy_read(coir_stream *stream, const coir_proxy_opts *opts,
                                  coir_proxy *ret_proxy);

COIR__END
#endif
