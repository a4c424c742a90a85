/* listener.c: accepting connections, by TCP and by Unix sockets, and in memory.
 *
 * A listener is a socket and the path that it must remove; one in memory is a channel of streams.
 * Accepting passes over what is only the peer's trouble and pauses where trying again at once would
 * spin. Only public calls are used, as everywhere in net. Called by programs.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <coir/channel.h>
#include <coir/group.h>
#include <coir/memory.h>
#include <coir/semaphore.h>
#include <coir/socket.h>
#include <coir/stream_pair.h>
#include <coir/tcp.h>

#include "net.h"

#define BACKLOG 1024
#define BACKLOG_IN_MEMORY 128
#define SHORTEST_PAUSE COIR_MS(5)
#define LONGEST_PAUSE COIR_SEC(1)
#define MEMORY_TRIES 7       /* 635 ms */
#define PATIENCE COIR_SEC(1) /* before connections are refused */
#define MOST_REFUSED 64      /* in one go */

struct coir_listener {
    coir_socket *socket;
    coir_socket *waiting;  /* accepted, but there was no memory for its stream */
    coir_socket *reserve;  /* a descriptor to refuse connections with; NULL: none could be had */
    coir_time short_since; /* descriptors have run out; 0: they have not */
    char *path;            /* to be removed; NULL: none */
    coir_sender *knock;    /* of one in memory, which has no socket: connections that wait, */
    coir_receiver *door;   /* and where they are accepted */
    size_t limit;
    unsigned users; /* calls that are waiting: the last one frees it when it is closed */
    bool accepting;
    bool closed;
};

/* ---- opening ---- */

static void open_reserve(coir_listener *listener);

static int listener_new(const coir_listen_opts *opts, coir_listener **ret_listener)
{
    coir_listener *listener = coir_calloc(1, sizeof *listener);
    if (listener == NULL)
        return -ENOMEM;
    listener->limit = opts->limit;
    *ret_listener = listener;
    return 0;
}

static int set_flag(coir_socket *socket, int level, int name)
{
    int on = 1;
    return coir_socket_set_option(socket, level, name, &on, sizeof on);
}

/* What is set on the listener holds for the connections that it accepts. */
static int set_tcp_options(coir_socket *socket, const coir_address *address,
                           const coir_listen_opts *opts)
{
    int r = set_flag(socket, SOL_SOCKET, SO_REUSEADDR);
    if (r == 0 && opts->reuse_port)
        r = set_flag(socket, SOL_SOCKET, SO_REUSEPORT);
    if (r == 0)
        r = coir__net_set_tcp(socket, opts->delay, &opts->keep_alive);
    if (r == 0 && opts->only_ipv6 && address->storage.ss_family == AF_INET6)
        r = set_flag(socket, IPPROTO_IPV6, IPV6_V6ONLY);
    return r;
}

static int backlog_of(const coir_listen_opts *opts)
{
    return opts->backlog > 0 ? opts->backlog : BACKLOG;
}

static int listen_tcp(coir_listener *listener, const coir_address *address,
                      const coir_listen_opts *opts)
{
    int r = coir_socket_open(address->storage.ss_family, SOCK_STREAM, &listener->socket);
    if (r == 0)
        r = set_tcp_options(listener->socket, address, opts);
    if (r == 0)
        r = coir_socket_bind(listener->socket, coir__net_plain(address), address->length);
    if (r == 0)
        r = coir_socket_listen(listener->socket, backlog_of(opts));
    return r;
}

int coir_tcp_listen(const char *address, const coir_listen_opts *opts, coir_listener **ret_listener)
{
    static const coir_listen_opts defaults;
    coir_address here;
    COIR_TRY(coir__address_local(address, &here)); /* of localhost: IPv4 */
    if (opts == NULL)
        opts = &defaults;
    COIR_AUTO(coir_listener) *listener = NULL;
    int r = listener_new(opts, &listener);
    if (r == 0)
        r = listen_tcp(listener, &here, opts);
    if (r < 0)
        return coir__net_failed(r, "listen", address);
    open_reserve(listener);
    *ret_listener = COIR_TAKE(listener);
    return 0;
}

/* ---- Unix sockets ---- */

/* The name that is removed at the end. */
static int remember_path(coir_listener *listener, const char *path)
{
    size_t size = strlen(path) + 1;
    if (path[0] == '@')
        return 0;
    listener->path = coir_alloc(size);
    if (listener->path == NULL)
        return -ENOMEM;
    memcpy(listener->path, path, size);
    return 0;
}

static int listen_unix(coir_listener *listener, const char *path, const coir_address *address,
                       const coir_listen_opts *opts)
{
    int r = coir_socket_open(AF_UNIX, SOCK_STREAM, &listener->socket);
    if (r == 0)
        r = coir__net_bind_unix(listener->socket, SOCK_STREAM, address, path);
    if (r == 0 && (r = remember_path(listener, path)) < 0)
        (void)coir_socket_remove_path(listener->socket, path);
    if (r == 0 && opts->mode != 0 && path[0] != '@')
        r = coir_socket_set_path_mode(path, opts->mode);
    if (r == 0)
        r = coir_socket_listen(listener->socket, backlog_of(opts));
    return r;
}

int coir_unix_listen(const char *path, const coir_listen_opts *opts, coir_listener **ret_listener)
{
    static const coir_listen_opts defaults;
    coir_address address;
    COIR_TRY(coir_address_unix(path, &address));
    if (opts == NULL)
        opts = &defaults;
    COIR_AUTO(coir_listener) *listener = NULL;
    int r = listener_new(opts, &listener);
    if (r == 0)
        r = listen_unix(listener, path, &address, opts);
    if (r < 0)
        return coir__net_failed(r, "listen", path);
    open_reserve(listener);
    *ret_listener = COIR_TAKE(listener);
    return 0;
}

/* ---- in memory ---- */

int coir_memory_listen(coir_listener **ret_listener)
{
    static const coir_listen_opts defaults;
    if (ret_listener == NULL)
        return -EINVAL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(listener_new(&defaults, &listener));
    COIR_TRY(
        coir_channel_open(coir_stream *, BACKLOG_IN_MEMORY, &listener->knock, &listener->door));
    *ret_listener = COIR_TAKE(listener);
    return 0;
}

int coir_memory_connect(coir_listener *listener, coir_stream **ret_stream)
{
    if (listener == NULL || ret_stream == NULL || listener->door == NULL)
        return -EINVAL;
    COIR_AUTO(coir_stream) *ours = NULL;
    coir_stream *theirs;
    COIR_AUTO(coir_sender) *knock = NULL; /* the listener may be closed meanwhile */
    COIR_TRY(coir_sender_clone(listener->knock, &knock));
    COIR_TRY(coir_stream_pair(0, &ours, &theirs));
    int r = coir_send(knock, &theirs);
    if (r < 0) {
        coir_stream_abort(theirs);
        return r == -COIR_ECLOSED ? -ECONNREFUSED : r;
    }
    *ret_stream = COIR_TAKE(ours);
    return 0;
}

/* Resets what nobody has accepted. */
static void close_door(coir_listener *listener)
{
    coir_stream *stream;
    if (listener->door == NULL)
        return;
    while (coir_try_receive(listener->door, &stream) > 0)
        coir_stream_abort(stream);
    coir_receiver_close(COIR_TAKE(listener->door));
    coir_sender_close(COIR_TAKE(listener->knock));
}

/* ---- inherited ones ---- */

/* Once the descriptor is taken over it cannot be given back any more, so nothing may fail then:
 * what is set is checked before. */
static void set_adopted_options(coir_socket *socket, const coir_listen_opts *opts)
{
    coir_address address = {.length = sizeof address.storage};
    int r =
        coir_socket_address(socket, false, (struct sockaddr *)&address.storage, &address.length);
    if (r == 0 && address.storage.ss_family != AF_UNIX)
        (void)coir__net_set_tcp(socket, opts->delay, &opts->keep_alive);
}

int coir_listener_adopt(int fd, const coir_listen_opts *opts, coir_listener **ret_listener)
{
    static const coir_listen_opts defaults;
    COIR_AUTO(coir_listener) *listener = NULL;
    if (opts == NULL)
        opts = &defaults;
    if (ret_listener == NULL || !coir__net_may_keep_alive(&opts->keep_alive))
        return -EINVAL;
    COIR_TRY(listener_new(opts, &listener));
    COIR_TRY(coir_socket_adopt_as(fd, SOCK_STREAM, true, &listener->socket));
    set_adopted_options(listener->socket, opts);
    open_reserve(listener);
    *ret_listener = COIR_TAKE(listener);
    return 0;
}

int coir_listener_address(coir_listener *listener, char *text, size_t size)
{
    coir_address address = {.length = sizeof address.storage};
    if (listener == NULL)
        return -EINVAL;
    if (listener->door != NULL)
        return snprintf(text, size, "memory") < (int)size ? 0 : -ENOSPC;
    COIR_TRY(coir_socket_address(listener->socket, false, (struct sockaddr *)&address.storage,
                                 &address.length));
    return coir__address_text(&address, text, size);
}

static void listener_free(coir_listener *listener)
{
    coir_free(listener->path);
    coir_free(listener);
}

/* Ends a use of listener, which may have been closed meanwhile. */
static void drop(coir_listener *listener)
{
    if (--listener->users == 0 && listener->closed)
        listener_free(listener);
}

void coir_listener_close(coir_listener *listener)
{
    if (listener == NULL)
        return;
    if (listener->path != NULL)
        (void)coir_socket_remove_path(listener->socket, listener->path);
    close_door(listener);
    coir_socket_close(COIR_TAKE(listener->socket));
    coir_socket_close(COIR_TAKE(listener->waiting));
    coir_socket_close(COIR_TAKE(listener->reserve));
    listener->closed = true;
    if (listener->users == 0)
        listener_free(listener);
}

/* ---- accepting ---- */

/* Trouble of one connection: the next one may be fine. accept(2) lists most of them. */
static bool is_passed_over(int code)
{
    switch (-code) {
    case ECONNABORTED:
    case ECONNRESET:
    case EPROTO:
    case EINTR:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH: return true;
    default: return false;
    }
}

/* Whether trying again after a pause may help: something else is closed meanwhile. Memory that does
 * not come back soon is a failure. */
static bool is_exhausted(int code, int tries)
{
    return code == -EMFILE || code == -ENFILE || code == -ENOBUFS ||
           (code == -ENOMEM && tries < MEMORY_TRIES);
}

static int accept_once(coir_listener *listener, coir_stream **ret_stream)
{
    if (listener->closed)
        return -COIR_ECLOSED;
    if (listener->door != NULL) {
        int r = coir_receive(listener->door, ret_stream);
        return r > 0 ? 0 : r;
    }
    if (listener->waiting == NULL)
        COIR_TRY(coir_socket_accept(listener->socket, &listener->waiting, NULL, NULL));
    int r = coir_stream_from_socket(listener->waiting, ret_stream);
    if (r == 0)
        listener->waiting = NULL;
    return r;
}

/* ---- out of descriptors ---- */

/* Without one nothing can be refused; that is no failure. */
static void open_reserve(coir_listener *listener)
{
    if (listener->reserve == NULL)
        (void)!coir_socket_open(AF_UNIX, SOCK_DGRAM, &listener->reserve);
}

/* An episode begins when something runs out and ends when a connection is accepted at once. Each is
 * reported once. */
static void note_shortage(coir_listener *listener, int code)
{
    char name[COIR_ADDRESS_TEXT];
    if (listener->short_since != 0)
        return;
    listener->short_since = coir_now();
    if (coir_listener_address(listener, name, sizeof name) < 0)
        name[0] = '\0';
    coir_report_make(COIR_REPORT_OVERLOAD,
                     "%s cannot accept connections: %s; they wait for %g s, "
                     "then they are refused",
                     name, coir_error_text(code), (double)PATIENCE / 1e9);
}

/* Takes a connection that waits and resets it. Returns 0, or -ETIME when none waits. */
static int refuse_one(coir_listener *listener)
{
    static const struct linger none = {.l_onoff = 1};
    COIR_AUTO(coir_socket) *refused = NULL;
    COIR_DEADLINE(COIR_MS(1));
    int r = coir_socket_accept(listener->socket, &refused, NULL, NULL);
    if (r == 0)
        (void)!coir_socket_set_option(refused, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return r;
}

/* Those who have waited for long are told now: another server may have room for them. */
static int refuse_waiting(coir_listener *listener)
{
    int r = 0;
    coir_socket_close(COIR_TAKE(listener->reserve));
    for (int i = 0; i < MOST_REFUSED && r == 0; i++)
        r = listener->closed ? -COIR_ECLOSED : refuse_one(listener);
    if (!listener->closed)
        open_reserve(listener);
    return r == -ETIME && coir_pending() == 0 ? 0 : r;
}

/* Accepting has just failed: lets some time pass, in which something may be closed. */
static int wait_for_some(coir_listener *listener, coir_time *pause)
{
    int r = 0;
    if (coir_now() - listener->short_since >= PATIENCE) {
        if (listener->reserve != NULL)
            r = refuse_waiting(listener);
        else
            open_reserve(listener);
    }
    if (r < 0 && !is_exhausted(r, 0) && !is_passed_over(r))
        return r;
    r = coir_sleep(*pause);
    *pause = *pause * 2 < LONGEST_PAUSE ? *pause * 2 : LONGEST_PAUSE;
    return r;
}

static int accept_patiently(coir_listener *listener, coir_stream **ret_stream)
{
    coir_time pause = SHORTEST_PAUSE;
    for (int tries = 0;; tries++) {
        int r = accept_once(listener, ret_stream);
        if (is_exhausted(r, tries)) {
            note_shortage(listener, r);
            COIR_TRY(wait_for_some(listener, &pause));
        } else if (!is_passed_over(r)) {
            if (r == 0 && tries == 0)
                listener->short_since = 0;
            return r;
        }
    }
}

int coir_listener_accept(coir_listener *listener, coir_stream **ret_stream)
{
    if (listener == NULL || ret_stream == NULL)
        return -EINVAL;
    if (listener->accepting)
        return -EBUSY;
    listener->users++;
    listener->accepting = true;
    int r = accept_patiently(listener, ret_stream);
    listener->accepting = false;
    drop(listener);
    return r;
}

/* ---- serving ---- */

struct connection {
    coir_stream *stream;
    int (*handler)(coir_stream *stream, void *arg);
    void *arg;
    coir_semaphore *places; /* NULL: no limit */
};

/* What a peer can do to a handler that does everything right. */
static bool is_peers_fault(int code)
{
    switch (-code) {
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case COIR_EEOF: return true;
    default: return false;
    }
}

static int handle(void *arg)
{
    struct connection *connection = arg;
    char peer[COIR_ADDRESS_TEXT];
    if (coir_stream_peer(connection->stream, peer, sizeof peer) == 0)
        coir_task_set_name(NULL, "%s", peer);
    int r = connection->handler(connection->stream, connection->arg);
    coir_stream_close(connection->stream);
    if (connection->places != NULL)
        (void)coir_semaphore_release(connection->places);
    if (r == -ETIME && coir_pending() == 0)
        r = -ETIMEDOUT; /* a deadline of the handler's own: the peer was too slow */
    return is_peers_fault(r) ? 0 : r;
}

/* Accepts one connection and starts its task. */
static int serve_one(coir_listener *listener, coir_group *group, struct connection *connection)
{
    if (connection->places != NULL)
        COIR_TRY(coir_semaphore_acquire(connection->places));
    int r = coir_listener_accept(listener, &connection->stream);
    if (r < 0)
        return r;
    r = coir_spawn_copy(group, handle, connection, sizeof *connection, NULL);
    if (r == 0)
        return 0;
    coir_stream_abort(connection->stream);
    if (connection->places != NULL)
        (void)coir_semaphore_release(connection->places);
    return r;
}

int coir_listener_serve(coir_listener *listener, int (*handler)(coir_stream *stream, void *arg),
                        void *arg)
{
    if (listener == NULL || handler == NULL)
        return -EINVAL;
    coir_semaphore places = {.value = listener->limit, .bound = listener->limit};
    struct connection connection = {.handler = handler, .arg = arg};
    if (listener->limit > 0)
        connection.places = &places;
    coir_group group;
    COIR_TRY(coir_group_init(&group, COIR_REPORT));
    listener->users++;
    int r;
    do
        r = serve_one(listener, &group, &connection);
    while (r == 0);
    (void)coir_group_close(&group);
    drop(listener);
    return r;
}
