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
 * Streams are made by coir_tcp_connect and coir_listener_accept (<coir/tcp.h>), of sockets
 * (<coir/socket.h>) and other descriptors (coir_stream_adopt), as pipes (<coir/pipe.h>), as pairs
 * in memory (<coir/stream_pair.h>), as filters over other streams (<coir/filter.h>), or by
 * coir_stream_open from functions of one's own. All of them keep what stands here;
 * coir_check_stream (<coir/testing_streams.h>) says whether one does.
 */
#ifndef COIR_STREAM_H
#define COIR_STREAM_H

#include <sys/uio.h>

#include <coir/group.h>
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
 * safety: what had arrived when it was cancelled, or when it failed, is given by the next read.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_read_exactly(coir_stream *stream, void *data, size_t size);

/* ---- reading through the stream's buffer ----
 *
 * These calls may read more from below than they give; the rest is kept, and every call that reads
 * takes it first. The buffer is lent by the loop when bytes come, grows as it must, and goes back
 * when it is empty: an idle stream has none, nor has one that waits for its first byte. Bytes that
 * they show or give are borrowed until the next call that reads or consumes. */

/* What limit 0 means, and the most that coir_stream_peek can be asked for. */
#define COIR_STREAM_DEFAULT_LIMIT ((size_t)64 << 10)
#define COIR_STREAM_PEEK_LIMIT ((size_t)1 << 20)

/* Waits until at least least bytes (1 or more) are there, and shows all that are. They stay.
 *
 *     coir_bytes head;
 *     while ((r = coir_stream_peek(stream, 4, &head)) > 0) {
 *         if (!is_mine(head.data))
 *             break;
 *         coir_stream_consume(stream, 4);
 *     }
 *
 * Returns 1, and writes *ret_bytes; 0 at the end of the stream. Errors: -COIR_EEOF when it ends
 * with fewer bytes, which can still be read, -COIR_ETOOLONG for more than COIR_STREAM_PEEK_LIMIT,
 * -ENOMEM, else as coir_stream_read. Cancel safety: no byte is lost. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_stream_peek(coir_stream *stream, size_t least, coir_bytes *ret_bytes);

/* Takes n bytes away that coir_stream_peek has shown. More is a programming error. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_stream_consume(coir_stream *stream, size_t n);

/* Reads up to a separator of length bytes, which is given with the rest. limit bounds both together
 * (0: COIR_STREAM_DEFAULT_LIMIT).
 * Returns 1, and writes *ret_bytes; 0 at the end of the stream. Errors: -COIR_EEOF when it ends
 * without a separator, -COIR_ETOOLONG when limit bytes have none (in both cases nothing was taken:
 * all can still be read), -EINVAL for no separator or one longer than limit, -ENOMEM, else as
 * coir_stream_read. Cancel safety: no byte is lost. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_read_until(coir_stream *stream, const void *separator, size_t length,
                                         size_t limit, coir_bytes *ret_bytes);

/* Reads a line, and gives it without its "\n" or "\r\n"; the last one may lack it. limit bounds the
 * whole line, its end included (0: COIR_STREAM_DEFAULT_LIMIT).
 *
 *     coir_bytes line;
 *     while ((r = coir_stream_read_line(stream, 0, &line)) > 0)
 *         printf("%.*s\n", (int)line.length, (const char *)line.data);
 *
 * Returns 1, and writes *ret_line; 0 at the end of the stream. Errors: -COIR_ETOOLONG when limit
 * bytes have no end of a line (they stay), -ENOMEM, else as coir_stream_read. Cancel safety: no
 * byte is lost. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_read_line(coir_stream *stream, size_t limit, coir_bytes *ret_line);

/* ---- writing ---- */

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

/* Writes some bytes of count blocks, at least one, as many as there is room for; waits only while
 * there is room for none. Filters write so to the stream below.
 *
 *     size_t n;
 *     COIR_TRY(coir_stream_write_some(lower, vectors, count, &n));
 *
 * Returns 0, and writes their number to *ret_n. Errors: those of coir_stream_write, -EINVAL when
 * the blocks have no bytes. Cancel safety: exact, as with each error but -COIR_ECLOSED: nothing was
 * written, and the stream is as before; only a filter that had begun to send a record (TLS) is
 * broken then. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_write_some(coir_stream *stream, const struct iovec *vectors,
                                         size_t count, size_t *ret_n);

/* Says that nothing more will be written: the peer reads the end. Reading goes on.
 * Returns 0. Errors: -ENOTCONN when the peer is gone, -EBUSY while another task writes,
 * -COIR_EBROKENSTREAM, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing
 * happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_shutdown(coir_stream *stream);

/* ---- from one stream to another ---- */

/* As the length of coir_stream_splice: to the end of the stream. */
#define COIR_STREAM_REST UINT64_MAX

/* Moves bytes from one stream to another, length of them or all until the end of from. They are
 * passed on as they come; from and to may be the same. A proxy is two of these:
 *
 *     static int forward(coir_stream *from, coir_stream *to)
 *     {
 *         COIR_TRY(coir_stream_splice(from, to, COIR_STREAM_REST, NULL));
 *         return coir_stream_shutdown(to);
 *     }
 *
 * Where both are sockets or pipes of the kernel, much that comes is moved by the kernel, without a
 * copy here (splice(2)), through a pipe that is taken while bytes are in it: two descriptors, and
 * 64 KiB at most unless the kernel's pages are large. Without those, with little that comes, and
 * through filters it is copied.
 * Returns 0, and in any case writes the number of bytes that to has taken to *ret_moved (may be
 * NULL): less than length means that from has ended. Errors: those of coir_stream_read for from,
 * of coir_stream_write for to, -EBUSY while another task reads from or writes to, -COIR_ECLOSED
 * when either is closed meanwhile; the peer of to is reset by that. Cancel safety: exact, as with
 * each error: what was not moved can still be read from from (-COIR_EBROKENSTREAM when there is no
 * memory for it), and to is not broken; only a filter that had begun with a piece may be. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_stream_splice(coir_stream *from, coir_stream *to, uint64_t length,
                                     uint64_t *ret_moved);

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

/* ---- asking ---- */

/* What can be asked of a stream. Kinds of one's own may add keys, from COIR_QUERY_OWN on. */
enum coir_query {
    COIR_QUERY_NAME = 1,       /* const char *: its kind, for people: "tcp" */
    COIR_QUERY_UNREAD = 2,     /* size_t: bytes that have arrived, as far as is known */
    COIR_QUERY_LOWER = 3,      /* coir_stream *: the one that it is a filter over; borrowed */
    COIR_QUERY_DESCRIPTOR = 4, /* int: of the lowest stream; it stays the stream's */
    COIR_QUERY_HELD = 5,       /* size_t: bytes that were received and not read, here and below */
    COIR_QUERY_OWN = 1024,
};

/* Asks stream something, and through it those below. *ret_value has the type that stands beside the
 * key.
 *
 *     size_t unread;
 *     COIR_TRY(coir_stream_query(stream, COIR_QUERY_UNREAD, &unread));
 *
 * Returns 0, and writes *ret_value. Errors: -EOPNOTSUPP when it has no answer, -EINVAL,
 * -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_query(coir_stream *stream, int key, void *ret_value);

/* ---- tasks for streams that are mostly idle ---- */

/* Starts fn(arg) as a task of group (NULL: the caller's own) when there is something to read from
 * stream: bytes, its end, or an error; or after idle nanoseconds (COIR_FOREVER: however long it
 * takes), and then coir_stream_was_idle says so. Until then it holds neither a task nor a buffer,
 * so that a server can keep very many connections which say little: fn answers what has come,
 * calls this again, and returns.
 *
 *     static int answer(void *arg)
 *     {
 *         struct connection *connection = arg;
 *         if (coir_stream_was_idle(connection->stream) || answer_one(connection) <= 0) {
 *             connection_close(connection);
 *             return 0;
 *         }
 *         return coir_spawn_on_readable(connection->group, connection->stream, COIR_SEC(60),
 *                                       answer, connection);
 *     }
 *
 * From here on fn is a child of group like any other: it is waited for, and when group is cancelled
 * or expires it starts at once, cancelled, so that it can release arg. It also does when stream is
 * closed meanwhile, and must not use it then. While it waits, nobody else may read from stream;
 * bytes that were shown or given before go back with this call.
 * Where nothing tells when the stream becomes readable (one made of functions that has no lower
 * one), the task starts at once and waits in its own read. There is no handle to be had, since
 * there is no task yet: what one would be for, a group of its own does. A task that starts later
 * inherits no values of a coir_local.
 * Returns 0. Errors: -ENOMEM, -EINVAL, -EBUSY while another task reads, those of coir_spawn,
 * -COIR_EWRONGLOOP; then arg stays the caller's. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
#define coir_spawn_on_readable(group, stream, idle, fn, arg)                                       \
    coir_spawn_on_readable_at((group), (stream), (idle), (fn), (arg), COIR_SITE(#fn))
COIR__CHECKED int coir_spawn_on_readable_at(coir_group *group, coir_stream *stream, coir_time idle,
                                            coir_fn fn, void *arg, const coir_site *site);

/* As coir_spawn_on_readable, with the stack_size and the name of opts (NULL: none), which is not
 * needed afterwards. Neither eager nor ready can be had: they speak of a task that starts now.
 * Returns 0. Errors: as coir_spawn_on_readable, -EINVAL also for these two and for too large a
 * stack. Cancel safety: never waits. Thread safety: the loop's thread. */
#define coir_spawn_on_readable_with(group, stream, idle, fn, arg, opts)                            \
    coir_spawn_on_readable_with_at((group), (stream), (idle), (fn), (arg), (opts), COIR_SITE(#fn))
COIR__CHECKED int coir_spawn_on_readable_with_at(coir_group *group, coir_stream *stream,
                                                 coir_time idle, coir_fn fn, void *arg,
                                                 const coir_spawn_opts *opts,
                                                 const coir_site *site);

/* Whether the last coir_spawn_on_readable for stream started its task because nothing came in time.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_stream_was_idle(const coir_stream *stream);

/* ---- streams over descriptors ---- */

/* Makes a stream of an open descriptor: a connected socket, a pipe, a terminal. It becomes
 * non-blocking, for everybody who shares it, and is closed with the stream. Standard input and
 * output, which the shell shares, are for coir_stream_share (<coir/terminal.h>).
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -EBADF, -ENOMEM,
 * -EINVAL, -EOPNOTSUPP on the simulated backend, -COIR_ENOTASK where no loop runs; then fd stays
 * the caller's. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_adopt(int fd, coir_stream **ret_stream);

/* ---- streams of one's own ---- */

/* What a stream is made of, for those who write a kind of their own: a filter over another stream,
 * a device. The functions get the state that was given to coir_stream_open. At most one read and
 * one write (or shutdown) are under way at a time. Each runs in a scope that is cancelled when the
 * stream is closed meanwhile, so they need only return what their own waits return. */
typedef struct coir_stream_ops {
    const char *name; /* for people: "tls" */
    /* Waits for some bytes, and reads at most size (> 0) of them: 1 with their number, 0 at the
     * end, or a code. A failing call must not have taken any. */
    int (*read)(void *state, void *data, size_t size, size_t *ret_n);
    /* Writes some bytes, at least one, of count vectors, of which the first is not empty: 0 with
     * their number, or a code and then none. It is called again for the rest. */
    int (*write)(void *state, const struct iovec *vectors, size_t count, size_t *ret_n);
    int (*shutdown)(void *state);
    /* Says goodbye unless abrupt, and frees state. No other function is under way, nor called
     * later. It need not run in the task that has closed the stream. */
    void (*close)(void *state, bool abrupt);
    /* As coir_stream_query; a filter hands on what it does not know. NULL: there are no answers
     * but the name. */
    int (*query)(void *state, int key, void *ret_value);
    void *coir__reserved[4];
} coir_stream_ops;

/* Opens a stream over functions of the caller's. ops must outlive it; state is the stream's from
 * here.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -ENOMEM, -EINVAL when
 * a function is missing, -COIR_ENOTASK where no loop runs; then state stays the caller's. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_open(const coir_stream_ops *ops, void *state,
                                   coir_stream **ret_stream);

COIR__END
#endif
