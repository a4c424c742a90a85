/* proxy.c: reading the header of the PROXY protocol from a stream.
 *
 * The bytes are looked at in the stream's buffer and taken only when the header is whole: what
 * follows it is untouched. Called by programs, before they read anything else.
 */
#include <errno.h>

#include <coir/scope.h>

#include "proxy.h"

#define LIMIT COIR_SEC(5)

static int read_header(coir_stream *stream, coir_proxy *ret_proxy)
{
    size_t least = 1;
    for (;;) {
        coir_bytes bytes;
        const char *wrong = "it is too long";
        int r = coir_stream_peek(stream, least, &bytes);
        if (r <= 0)
            return r == 0 ? -COIR_EEOF : r;
        r = coir__proxy_parse(bytes.data, bytes.length, ret_proxy, &least, &wrong);
        if (r < 0)
            return coir_fail(r, "not a PROXY header: %s", wrong);
        if (r > 0) {
            coir_stream_consume(stream, least);
            return 0;
        }
    }
}

int coir_proxy_read(coir_stream *stream, const coir_proxy_opts *opts, coir_proxy *ret_proxy)
{
    if (stream == NULL || ret_proxy == NULL)
        return -EINVAL;
    COIR_SCOPE(limit, opts != NULL && opts->limit > 0 ? opts->limit : LIMIT);
    int r = read_header(stream, ret_proxy);
    if (r == -ETIME && coir_scope_expired(&limit))
        return coir_fail(-ETIMEDOUT, "no PROXY header came in time");
    return r;
}
