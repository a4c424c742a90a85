/* coir/stream.h: streams of bytes: connections, and whatever else can be read from and written to.
 *
 * One task may read a stream while another writes to it; a second reader or writer is refused with
 * -EBUSY. Writes wait until everything is taken over, so a slow peer slows the writer down.
 *
 *     static int echo(coir_stream *stream, void *arg)
 *     {
 *         char data[4096];
 *         size_t n;
 *         int r;
 *         while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
 *             COIR_TRY(coir_stream_write(stream, data, n));
 *         return r;
 *     }
 *
 * Streams are made by coir_tcp_connect, coir_listener_accept (<coir/tcp.h>),
 * coir_stream_from_socket
 * (<coir/socket.h>), or by coir_stream_open from functions of one's own.
 */
#ifndef COIR_STREAM_H
#define COIR_STREAM_H

#include <sys/uio.h>

#include <coir/loop.h>

COIR__BEGIN

/* A stream; opaque. */
typedef struct coir_stream coir_stream;

/* Waits until some bytes have arrived, and reads at most size of them to data.
 * Returns 1, and writes their number (at least 1) to *ret_n; 0 at the end of the stream. Errors:
 * -ECONNRESET and the like, -EBUSY while another task reads, -EINVAL for size 0, -COIR_ECLOSED
 * when it is closed meanwhile, -COIR_EBROKENSTREAM when bytes were lost for want of memory,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no byte is lost. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_stream_read(coir_stream *stream, void *data, size_t size, size_t *ret_n);

/* Reads exactly size bytes to data.
 * Returns 0. Errors: -COIR_EEOF when the stream ends before, else as coir_stream_read. Cancel
 * safety: what had arrived when it was cancelled, or when the stream ended, is given by the next
 * read. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_read_exactly(coir_stream *stream, void *data, size_t size);

/* Writes all of size bytes at data, waiting while the peer does not keep up.
 * Returns 0. Errors: -EPIPE and -ECONNRESET when the peer is gone, -EBUSY while another task
 * writes, -COIR_EBROKENSTREAM after an interrupted write, -COIR_ECLOSED when it is closed
 * meanwhile, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing was
 * written, or the stream is broken: then every later write gives -COIR_EBROKENSTREAM, and closing
 * it resets the peer. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_write(coir_stream *stream, const void *data, size_t size);

/* As coir_stream_write for count blocks of bytes, one after the other, with as few system calls as
 * possible. vectors and what they point to stay unchanged during the call.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_stream_write. */
COIR__CHECKED int coir_stream_write_vectors(coir_stream *stream, const struct iovec *vectors,
                                            size_t count);

/* Says that nothing more will be written: the peer reads the end. Reading goes on.
 * Returns 0. Errors: -ENOTCONN when the peer is gone, -EBUSY while another task writes,
 * -COIR_EBROKENSTREAM, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing
 * happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_shutdown(coir_stream *stream);

/* Closes stream and frees it; NULL is accepted. When the task is cancelled or its deadline has
 * passed, or when the stream is broken, the peer is reset (coir_stream_abort). Otherwise it sees
 * the end of the stream after all that was written; if it is still sending, that is read and
 * thrown away for at most a second, since a reset would destroy what it has not read yet. Tasks
 * that wait for the stream get -COIR_ECLOSED. Cancel safety: always closes. Thread safety: the
 * loop's thread, also outside a task; there it never waits. */
COIR__PUBLIC void coir_stream_close(coir_stream *stream);

/* Closes stream at once and frees it; the peer reads -ECONNRESET (on Unix sockets the end). NULL
 * is accepted. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_stream_abort(coir_stream *stream);

COIR_CLOSER(coir_stream, coir_stream_close);

/* What a stream is made of, for those who write a kind of their own: a filter over another stream,
 * a pair in memory. The functions get the state that was given to coir_stream_open. At most one
 * read and one write (or shutdown) are under way at a time. */
typedef struct coir_stream_ops {
    const char *name; /* for people: "tls" */
    /* As coir_stream_read, with size > 0. */
    int (*read)(void *state, void *data, size_t size, size_t *ret_n);
    /* Writes all of it. As coir_stream_write. */
    int (*write)(void *state, const struct iovec *vectors, size_t count);
    int (*shutdown)(void *state);
    /* Ends what is under way with -COIR_ECLOSED, says goodbye unless abrupt, and frees state. */
    void (*close)(void *state, bool abrupt);
    void *coir__reserved[4];
} coir_stream_ops;

/* Opens a stream over functions of the caller's. ops must outlive it; state is the stream's from
 * here.
 * Returns 0, and writes *ret_stream. Errors: -ENOMEM, -EINVAL, -COIR_ENOTASK where no loop runs;
 * then state stays the caller's. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_open(const coir_stream_ops *ops, void *state,
                                   coir_stream **ret_stream);

COIR__END
#endif
