/* coir/filter.h: streams over another stream, which they own: one that is slow, one that listens
 * in.
 *
 * A filter takes over the stream that it is given as lower, and is used in its place; closing it
 * closes both. It is the rule for all filters, also for one's own, that lower is theirs from the
 * call on whatever comes of it: when opening the filter fails, lower is closed abruptly
 * (coir_stream_abort). So it is given away in the argument:
 *
 *     COIR_AUTO(coir_stream) *stream = NULL;
 *     COIR_TRY(coir_tcp_connect(address, NULL, &stream));
 *     coir_throttle_opts slow = {.read_rate = 56000 / 8, .latency = COIR_MS(150)};
 *     COIR_TRY(coir_throttle_open(COIR_TAKE(stream), &slow, &stream));
 *
 * Filters can stand on filters, and on streams of one's own (coir_stream_open).
 */
#ifndef COIR_FILTER_H
#define COIR_FILTER_H

#include <coir/stream.h>

COIR__BEGIN

/* ---- slow ---- */

/* Zero means without a bound for each field. */
typedef struct coir_throttle_opts {
    uint64_t read_rate, write_rate; /* bytes per second */
    coir_time latency;              /* from the arrival of bytes until they can be read */
    size_t coir__reserved[4];
} coir_throttle_opts;

/* Opens a stream that is as slow as opts say (NULL: not at all). At a rate bytes pass in pieces of
 * a hundredth of a second. The latency is taken for each read, one after the other. lower is taken
 * over, also on failure.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -ENOMEM, -EINVAL,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_throttle_open(coir_stream *lower, const coir_throttle_opts *opts,
                                     coir_stream **ret_stream);

/* ---- listening in ---- */

/* What has passed a capture. */
typedef enum coir_captured_kind {
    COIR_CAPTURED_READ = 1, /* bytes were read */
    COIR_CAPTURED_WRITE,    /* bytes were written */
    COIR_CAPTURED_END,      /* the end was read */
    COIR_CAPTURED_SHUTDOWN, /* nothing more will be written */
    COIR_CAPTURED_CLOSED,
    COIR_CAPTURED_ABORTED,
    COIR_CAPTURED_FAILED, /* a read, write or shutdown failed: code says how */
} coir_captured_kind;

/* One thing that has passed. */
typedef struct coir_captured {
    coir_captured_kind kind;
    int code;        /* of COIR_CAPTURED_FAILED */
    coir_time time;  /* since the capture was opened */
    coir_bytes data; /* what was read or written, else empty; borrowed during the call */
} coir_captured;

/* Is told of each thing that passes, in order. It must not wait, nor close the stream. */
typedef void (*coir_capture_fn)(const coir_captured *captured, void *arg);

/* Opens a stream that tells fn of everything that passes. Bytes are passed on as they are; arg must
 * live until fn was told of the end (CLOSED or ABORTED). lower is taken over, also on failure; then
 * fn is told of nothing.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -ENOMEM, -EINVAL,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_capture_open(coir_stream *lower, coir_capture_fn fn, void *arg,
                                    coir_stream **ret_stream);

/* Writes what was captured as a line of text, without a newline at its end: the time in seconds,
 * "<" for read and ">" for written, and the bytes as a string of C:
 *
 *     0.002500 > "GET / HTTP/1.1\\r\\n"
 *     0.050000 < end
 *
 * The text is cut to size, and always terminated. Returns the length that the whole has, as
 * snprintf does. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC size_t coir_captured_format(const coir_captured *captured, char *text, size_t size);

COIR__END
#endif
