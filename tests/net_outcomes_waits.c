/* net_outcomes_waits.c: the table of operations and outcomes, continued: those that wait, and how
 * their waiting ends. The same on every backend; the expectations are those of Linux.
 *
 * A row starts a task in an operation that has to wait, does something to it, and gives the result
 * of the operation.
 */
#include <limits.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <coir/descriptor.h>
#include <coir/group.h>
#include <coir/socket.h>

#include "megabytes.h"
#include "net_pair.h"

#define LOTS ((size_t)16 << 20) /* more than any buffer takes */

/* What a task waits for, and with whom. */
struct waiting {
    enum transport transport;
    int (*operation)(struct waiting *waiting);
    coir_task *task;
    coir_stream *mine, *theirs;
    coir_socket *listener, *accepted, *connecting;
    struct sockaddr_in address;
    int fd, other; /* foreign descriptors */
    size_t size, n;
    char data[8];
    int result;
};

static int operate(void *arg)
{
    struct waiting *waiting = arg;
    waiting->result = waiting->operation(waiting);
    return 0;
}

static int read_op(struct waiting *w)
{
    return coir_stream_read(w->mine, w->data, w->size, &w->n);
}

static int exactly_op(struct waiting *w)
{
    return coir_stream_read_exactly(w->mine, w->data, w->size);
}

static int write_op(struct waiting *w)
{
    return coir_stream_write(w->mine, megabytes(LOTS), w->size);
}

static int accept_op(struct waiting *w)
{
    return coir_socket_accept(w->listener, &w->accepted, NULL, NULL);
}

static int connect_op(struct waiting *w)
{
    return coir_socket_connect(w->connecting, (struct sockaddr *)&w->address, sizeof w->address);
}

static int poll_op(struct waiting *w)
{
    return coir_fd_wait(w->fd, POLLIN);
}

static int read_in_time_op(struct waiting *w)
{
    COIR_DEADLINE(COIR_MS(20));
    return read_op(w);
}

static int write_in_time_op(struct waiting *w)
{
    COIR_DEADLINE(COIR_MS(20));
    return write_op(w);
}

static int accept_in_time_op(struct waiting *w)
{
    COIR_DEADLINE(COIR_MS(20));
    return accept_op(w);
}

static int connect_in_time_op(struct waiting *w)
{
    COIR_DEADLINE(COIR_MS(20));
    return connect_op(w);
}

static int poll_in_time_op(struct waiting *w)
{
    COIR_DEADLINE(COIR_MS(20));
    return poll_op(w);
}

/* ---- what is done to it ---- */

static int do_nothing(struct waiting *w)
{
    (void)w;
    return 0;
}

static int send_three(struct waiting *w)
{
    return coir_stream_write(w->theirs, "abc", 3);
}

static int send_and_reset(struct waiting *w)
{
    COIR_TRY(coir_stream_write(w->theirs, "abc", 3));
    coir_stream_abort(COIR_TAKE(w->theirs));
    return 0;
}

static int say_the_end(struct waiting *w)
{
    return coir_stream_shutdown(w->theirs);
}

static int reset(struct waiting *w)
{
    coir_stream_abort(COIR_TAKE(w->theirs));
    return 0;
}

static int close_mine(struct waiting *w)
{
    coir_stream_abort(COIR_TAKE(w->mine));
    return 0;
}

static int cancel(struct waiting *w)
{
    coir_cancel(w->task, NULL);
    return 0;
}

static int cancel_at_once_with_data(struct waiting *w)
{
    COIR_TRY(send_three(w));
    return cancel(w);
}

static int take_all(struct waiting *w)
{
    static char data[65536];
    for (size_t total = 0, n; total < LOTS; total += n)
        if (coir_stream_read(w->theirs, data, sizeof data, &n) <= 0)
            return -EBADMSG;
    return 0;
}

static int connect_to_it(struct waiting *w)
{
    return connect_op(w);
}

static int close_listener(struct waiting *w)
{
    coir_socket_close(COIR_TAKE(w->listener));
    return 0;
}

/* The address is free as soon as the listener is closed. */
static int listen_anew(struct waiting *w)
{
    COIR_TRY(close_listener(w));
    COIR_TRY(coir_socket_open(AF_INET, SOCK_STREAM, &w->listener));
    COIR_TRY(coir_socket_bind(w->listener, (struct sockaddr *)&w->address, sizeof w->address));
    return coir_socket_listen(w->listener, 8);
}

static int cancel_and_listen_anew(struct waiting *w)
{
    COIR_TRY(cancel(w));
    return listen_anew(w);
}

static int close_connecting(struct waiting *w)
{
    coir_socket_close(COIR_TAKE(w->connecting));
    return 0;
}

static int write_other(struct waiting *w)
{
    return write(w->other, "x", 1) == 1 ? 0 : -errno;
}

static int close_other(struct waiting *w)
{
    close(w->other);
    w->other = -1;
    return 0;
}

/* ---- with whom ---- */

static int with_peer(struct waiting *w)
{
    return open_pair(w->transport, &w->mine, &w->theirs);
}

static int listen_with(struct waiting *w, int backlog)
{
    socklen_t length = sizeof w->address;
    w->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    COIR_TRY(coir_socket_open(AF_INET, SOCK_STREAM, &w->listener));
    COIR_TRY(coir_socket_open(AF_INET, SOCK_STREAM, &w->connecting));
    COIR_TRY(coir_socket_bind(w->listener, (struct sockaddr *)&w->address, length));
    COIR_TRY(coir_socket_listen(w->listener, backlog));
    return coir_socket_address(w->listener, false, (struct sockaddr *)&w->address, &length);
}

static int with_listener(struct waiting *w)
{
    return listen_with(w, 8);
}

/* The queue has room for one: the next connection waits for an answer. */
static int with_full_listener(struct waiting *w)
{
    COIR_TRY(listen_with(w, 0));
    COIR_AUTO(coir_socket) *first = NULL;
    COIR_TRY(coir_socket_open(AF_INET, SOCK_STREAM, &first));
    return coir_socket_connect(first, (struct sockaddr *)&w->address, sizeof w->address);
}

static int with_nobody(struct waiting *w)
{
    COIR_TRY(listen_with(w, 8));
    return close_listener(w);
}

/* No connection is made to all hosts at once. */
static int with_everybody(struct waiting *w)
{
    w->address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = INADDR_BROADCAST};
    return coir_socket_open(AF_INET, SOCK_STREAM, &w->connecting);
}

static int with_pipe(struct waiting *w)
{
    int fds[2];
    if (pipe(fds) < 0)
        return -errno;
    w->fd = fds[0];
    w->other = fds[1];
    return 0;
}

static int with_closed_descriptor(struct waiting *w)
{
    COIR_TRY(with_pipe(w));
    close(w->fd);
    w->fd = dup(w->other);
    close(w->fd);
    w->data[0] = 'c';
    return 0;
}

/* ---- the table ---- */

#define BOTH (1 << BY_TCP | 1 << BY_UNIX)
#define TCP (1 << BY_TCP)
#define UNIX (1 << BY_UNIX)

static const struct row {
    const char *name;
    int transports;
    int (*with)(struct waiting *waiting);
    int (*operation)(struct waiting *waiting);
    size_t size;
    int (*action)(struct waiting *waiting);
    int result;
    int after; /* of a read of 8 bytes on the same stream afterwards; INT_MIN: none */
} rows[] = {
    {"read data", BOTH, with_peer, read_op, 8, send_three, 1, INT_MIN},
    {"read less", BOTH, with_peer, read_op, 2, send_three, 1, 1},
    {"read the end", BOTH, with_peer, read_op, 8, say_the_end, 0, 0},
    {"read a reset", TCP, with_peer, read_op, 8, reset, -ECONNRESET, 0},
    {"read the end of a unix peer", UNIX, with_peer, read_op, 8, reset, 0, 0},
    {"read data before a reset", TCP, with_peer, read_op, 8, send_and_reset, 1, -ECONNRESET},
    {"read, closed", BOTH, with_peer, read_op, 8, close_mine, -COIR_ECLOSED, INT_MIN},
    {"read, cancelled", BOTH, with_peer, read_op, 8, cancel, -ECANCELED, INT_MIN},
    {"read, too late", BOTH, with_peer, read_in_time_op, 8, do_nothing, -ETIME, INT_MIN},
    {"read exactly the end", BOTH, with_peer, exactly_op, 5, say_the_end, -COIR_EEOF, 0},
    {"read exactly too little", BOTH, with_peer, exactly_op, 3, send_three, 0, INT_MIN},
    {"write with patience", BOTH, with_peer, write_op, LOTS, take_all, 0, INT_MIN},
    {"write, reset", TCP, with_peer, write_op, LOTS, reset, -ECONNRESET, INT_MIN},
    {"write, unix peer gone", UNIX, with_peer, write_op, LOTS, reset, -EPIPE, INT_MIN},
    {"write, closed", BOTH, with_peer, write_op, LOTS, close_mine, -COIR_ECLOSED, INT_MIN},
    {"write, cancelled", BOTH, with_peer, write_op, LOTS, cancel, -ECANCELED, INT_MIN},
    {"write, too late", BOTH, with_peer, write_in_time_op, LOTS, do_nothing, -ETIME, INT_MIN},
    {"accept", TCP, with_listener, accept_op, 0, connect_to_it, 0, INT_MIN},
    {"accept, closed", TCP, with_listener, accept_op, 0, close_listener, -COIR_ECLOSED, INT_MIN},
    {"accept, closed, address used again", TCP, with_listener, accept_op, 0, listen_anew,
     -COIR_ECLOSED, INT_MIN},
    {"accept, cancelled", TCP, with_listener, accept_op, 0, cancel, -ECANCELED, INT_MIN},
    {"accept, too late", TCP, with_listener, accept_in_time_op, 0, do_nothing, -ETIME, INT_MIN},
    {"connect", TCP, with_listener, connect_op, 0, do_nothing, 0, INT_MIN},
    {"connect, refused", TCP, with_nobody, connect_op, 0, do_nothing, -ECONNREFUSED, INT_MIN},
    {"connect, unreachable", TCP, with_everybody, connect_op, 0, do_nothing, -ENETUNREACH, INT_MIN},
    {"connect, cancelled", TCP, with_full_listener, connect_op, 0, cancel, -ECANCELED, INT_MIN},
    {"connect, closed", TCP, with_full_listener, connect_op, 0, close_connecting, -COIR_ECLOSED,
     INT_MIN},
    {"connect, too late", TCP, with_full_listener, connect_in_time_op, 0, do_nothing, -ETIME,
     INT_MIN},
};

/* Those of foreign descriptors, which the simulation does not know. */
static const struct row polls[] = {
    {"poll, readable", TCP, with_pipe, poll_op, 0, write_other, POLLIN, INT_MIN},
    {"poll, hung up", TCP, with_pipe, poll_op, 0, close_other, POLLHUP, INT_MIN},
    {"poll, cancelled", TCP, with_pipe, poll_op, 0, cancel, -ECANCELED, INT_MIN},
    {"poll, too late", TCP, with_pipe, poll_in_time_op, 0, do_nothing, -ETIME, INT_MIN},
    {"poll, not open", TCP, with_closed_descriptor, poll_op, 0, do_nothing, -EBADF, INT_MIN},
};

static void clean_up(struct waiting *w)
{
    coir_stream_abort(w->mine);
    coir_stream_abort(w->theirs);
    coir_socket_close(w->accepted);
    coir_socket_close(w->listener);
    coir_socket_close(w->connecting);
    if (w->fd >= 0 && w->data[0] != 'c')
        close(w->fd);
    if (w->other >= 0)
        close(w->other);
}

/* The operation waits, unless it cannot; then comes the action. */
static int act(const struct row *row, struct waiting *w)
{
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, operate, w, &w->task));
    int r = coir_sleep(COIR_MS(1));
    if (r == 0)
        r = row->action(w);
    int joined = coir_join(w->task, NULL);
    return r < 0 ? r : joined < 0 && joined != -COIR_ECANCELEDTASK ? joined : 0;
}

static void run_row(const struct row *row, enum transport transport)
{
    struct waiting waiting = {.transport = transport,
                              .operation = row->operation,
                              .size = row->size,
                              .fd = -1,
                              .other = -1};
    int r = row->with(&waiting);
    if (r == 0)
        r = act(row, &waiting);
    bool good = COIR_EXPECT_OK(r) && COIR_EXPECT_CODE(waiting.result, row->result);
    if (good && row->after != INT_MIN) {
        waiting.size = 8;
        while ((r = read_op(&waiting)) == 1 && row->after != 1)
            ; /* the simulation may give what came in parts */
        good = COIR_EXPECT_CODE(r, row->after);
    }
    if (!good)
        COIR_FAIL("%s, %s", row->name, transport == BY_TCP ? "tcp" : "unix");
    clean_up(&waiting);
}

COIR_TEST_TAGGED(same_ends_of_waiting_on_every_backend, "slow,limit=60")
{
    PATIENCE;
    for (size_t i = 0; i < COIR_COUNT(rows); i++)
        for (int transport = 0; transport < TRANSPORTS; transport++)
            if (rows[i].transports & (1 << transport))
                run_row(&rows[i], (enum transport)transport);
}

COIR_TEST_TAGGED(same_ends_of_polling_on_every_kernel, "slow,limit=60")
{
    PATIENCE;
    if (strcmp(coir_test_backend(), "sim") == 0)
        COIR_SKIP("foreign descriptors need a kernel");
    for (size_t i = 0; i < COIR_COUNT(polls); i++)
        run_row(&polls[i], BY_TCP);
}

/* Also where the accept has been asked to end already. */
COIR_TEST(address_is_free_when_the_listener_is_closed)
{
    PATIENCE;
    struct waiting waiting = {.operation = accept_op, .fd = -1, .other = -1};
    struct row row = {.action = cancel_and_listen_anew};
    int r = with_listener(&waiting);
    COIR_EXPECT_OK(r == 0 ? act(&row, &waiting) : r);
    COIR_EXPECT(waiting.result == -ECANCELED || waiting.result == -COIR_ECLOSED);
    clean_up(&waiting);
}

/* The data or the cancellation: never neither, and never data that nobody has. */
COIR_TEST(data_that_come_with_the_cancellation_are_not_lost)
{
    PATIENCE;
    for (int transport = 0; transport < TRANSPORTS; transport++) {
        struct waiting waiting = {.transport = (enum transport)transport,
                                  .operation = read_op,
                                  .size = 8,
                                  .fd = -1,
                                  .other = -1};
        struct row row = {.action = cancel_at_once_with_data};
        COIR_REQUIRE_OK(with_peer(&waiting));
        COIR_EXPECT_OK(act(&row, &waiting));
        if (waiting.result == -ECANCELED)
            COIR_EXPECT_CODE(read_op(&waiting), 1);
        else
            COIR_EXPECT_CODE(waiting.result, 1);
        clean_up(&waiting);
    }
}
