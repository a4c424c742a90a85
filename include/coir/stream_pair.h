/* coir/stream_pair.h: two streams in memory that are connected to each other.
 *
 * For tests, and for parts of one program that talk by a protocol: what is written to one end is
 * read from the other. There is no descriptor and no kernel: it works on every backend, and time
 * may stand still or jump meanwhile. A writer waits while the other end does not keep up.
 *
 *     COIR_AUTO(coir_stream) *client = NULL;
 *     COIR_AUTO(coir_stream) *server = NULL;
 *     COIR_TRY(coir_stream_pair(0, &client, &server));
 *     COIR_TRY(coir_spawn(&group, serve, server, NULL));
 */
#ifndef COIR_STREAM_PAIR_H
#define COIR_STREAM_PAIR_H

#include <coir/stream.h>

COIR__BEGIN

/* Opens two connected streams. capacity is how many bytes may be under way in each direction before
 * a writer has to wait; 0: 65536. It is taken when it is first needed.
 * They behave as a TCP connection does: when one end was closed, the other reads what is under way,
 * then the end, and its writes give -EPIPE; when one was aborted, the other reads what is under
 * way, then -ECONNRESET.
 * Returns 0, and writes *ret_a and *ret_b, which are the caller's to close. Errors: -ENOMEM,
 * -EINVAL, -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_stream_pair(size_t capacity, coir_stream **ret_a, coir_stream **ret_b);

COIR__END
#endif
