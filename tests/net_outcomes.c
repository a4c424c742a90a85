/* net_outcomes.c: a table of operations and what comes of them, the same on every backend: the
 * suite runs it on each, and the expectations are those of Linux.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <coir/socket.h>

#include "net_pair.h"

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static int bind_to(coir_socket *socket, uint32_t address, uint16_t port)
{
    struct sockaddr_in in = loopback(port);
    in.sin_addr.s_addr = htonl(address);
    return coir_socket_bind(socket, (struct sockaddr *)&in, sizeof in);
}

static int connect_to(coir_socket *socket, uint16_t port)
{
    struct sockaddr_in in = loopback(port);
    return coir_socket_connect(socket, (struct sockaddr *)&in, sizeof in);
}

static uint16_t port_of(coir_socket *socket)
{
    struct sockaddr_in in = {0};
    socklen_t length = sizeof in;
    return coir_socket_address(socket, false, (struct sockaddr *)&in, &length) == 0
               ? ntohs(in.sin_port)
               : 0;
}

/* Makes a new socket and expects it to work. */
#define SOCKET(name, domain)                                                                       \
    COIR_AUTO(coir_socket) *name = NULL;                                                           \
    COIR_TRY(coir_socket_open((domain), SOCK_STREAM, &name))

#define LISTENER(name)                                                                             \
    SOCKET(name, AF_INET);                                                                         \
    COIR_TRY(bind_to(name, INADDR_LOOPBACK, 0));                                                   \
    COIR_TRY(coir_socket_listen(name, 8))

/* A port that was free a moment ago. */
static int free_port(uint16_t *ret_port)
{
    SOCKET(socket, AF_INET);
    COIR_TRY(bind_to(socket, INADDR_LOOPBACK, 0));
    *ret_port = port_of(socket);
    return 0;
}

static int connect_refused(void)
{
    uint16_t port = 0;
    COIR_TRY(free_port(&port));
    SOCKET(socket, AF_INET);
    return connect_to(socket, port);
}

static int connect_to_bound_but_silent(void)
{
    SOCKET(bound, AF_INET);
    COIR_TRY(bind_to(bound, INADDR_LOOPBACK, 0));
    SOCKET(socket, AF_INET);
    return connect_to(socket, port_of(bound));
}

static int connect_to_any_is_loopback(void)
{
    LISTENER(listener);
    SOCKET(socket, AF_INET);
    struct sockaddr_in in = loopback(port_of(listener));
    in.sin_addr.s_addr = INADDR_ANY;
    return coir_socket_connect(socket, (struct sockaddr *)&in, sizeof in);
}

static int connect_twice(void)
{
    LISTENER(listener);
    SOCKET(socket, AF_INET);
    COIR_TRY(connect_to(socket, port_of(listener)));
    (void)!connect_to(socket, port_of(listener)); /* 0 on Linux when the first one had to wait */
    return connect_to(socket, port_of(listener));
}

static int connect_wrong_family(void)
{
    SOCKET(socket, AF_INET);
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return coir_socket_connect(socket, (struct sockaddr *)&in, sizeof in);
}

static int connect_unix_wrong_family(void)
{
    SOCKET(socket, AF_UNIX);
    return connect_to(socket, 1);
}

static int connect_from_a_listener(void)
{
    LISTENER(listener);
    return connect_to(listener, port_of(listener));
}

static int bind_port_in_use(void)
{
    LISTENER(listener);
    SOCKET(socket, AF_INET);
    return bind_to(socket, INADDR_LOOPBACK, port_of(listener));
}

static int bind_any_over_one(void)
{
    LISTENER(listener);
    SOCKET(socket, AF_INET);
    return bind_to(socket, INADDR_ANY, port_of(listener));
}

static int bind_another_loopback(void)
{
    LISTENER(listener);
    SOCKET(socket, AF_INET);
    return bind_to(socket, 0x7f000002, port_of(listener));
}

static int bind_twice(void)
{
    SOCKET(socket, AF_INET);
    COIR_TRY(bind_to(socket, INADDR_LOOPBACK, 0));
    return bind_to(socket, INADDR_LOOPBACK, 0);
}

static int bind_elsewhere(void)
{
    SOCKET(socket, AF_INET);
    return bind_to(socket, 0xc6336401, 0); /* 198.51.100.1: for documentation */
}

static int set_flag(coir_socket *socket, int level, int name)
{
    int on = 1;
    return coir_socket_set_option(socket, level, name, &on, sizeof on);
}

/* SO_REUSEADDR lets two sockets have a port, but not listen both. */
static int reuse_address(bool listen_first)
{
    SOCKET(first, AF_INET);
    SOCKET(second, AF_INET);
    COIR_TRY(set_flag(first, SOL_SOCKET, SO_REUSEADDR));
    COIR_TRY(set_flag(second, SOL_SOCKET, SO_REUSEADDR));
    COIR_TRY(bind_to(first, INADDR_LOOPBACK, 0));
    if (listen_first)
        COIR_TRY(coir_socket_listen(first, 1));
    COIR_TRY(bind_to(second, INADDR_LOOPBACK, port_of(first)));
    COIR_TRY(coir_socket_listen(first, 1));
    return coir_socket_listen(second, 1);
}

static int reuse_address_of_a_listener(void)
{
    return reuse_address(true);
}

static int reuse_address_and_listen_twice(void)
{
    return reuse_address(false);
}

static int reuse_port(void)
{
    COIR_AUTO(coir_listener) *first = NULL;
    COIR_AUTO(coir_listener) *second = NULL;
    char name[COIR_ADDRESS_TEXT];
    coir_listen_opts opts = {.reuse_port = true};
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", &opts, &first));
    COIR_TRY(coir_listener_address(first, name, sizeof name));
    return coir_tcp_listen(name, &opts, &second);
}

static int listen_unbound(void)
{
    SOCKET(listener, AF_INET);
    COIR_TRY(coir_socket_listen(listener, 1));
    SOCKET(socket, AF_INET);
    return connect_to(socket, port_of(listener));
}

static int listen_unbound_unix(void)
{
    SOCKET(listener, AF_UNIX);
    return coir_socket_listen(listener, 1);
}

static int listen_on_a_connection(void)
{
    LISTENER(listener);
    SOCKET(socket, AF_INET);
    COIR_TRY(connect_to(socket, port_of(listener)));
    return coir_socket_listen(socket, 1);
}

static int accept_without_listening(void)
{
    SOCKET(socket, AF_INET);
    COIR_AUTO(coir_socket) *accepted = NULL;
    return coir_socket_accept(socket, &accepted, NULL, NULL);
}

/* The stream of a socket that is not connected. */
static int unconnected(int domain, coir_stream **ret_stream)
{
    SOCKET(socket, domain);
    COIR_TRY(coir_stream_from_socket(socket, ret_stream));
    (void)COIR_TAKE(socket);
    return 0;
}

static int read_from(coir_stream *stream)
{
    char data[8];
    size_t n;
    return coir_stream_read(stream, data, sizeof data, &n);
}

static int read_unconnected(void)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(unconnected(AF_INET, &stream));
    return read_from(stream);
}

static int read_unconnected_unix(void)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(unconnected(AF_UNIX, &stream));
    return read_from(stream);
}

static int write_unconnected(void)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(unconnected(AF_INET, &stream));
    return coir_stream_write(stream, "x", 1);
}

static int write_unconnected_unix(void)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(unconnected(AF_UNIX, &stream));
    return coir_stream_write(stream, "x", 1);
}

static int shutdown_unconnected(void)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(unconnected(AF_INET, &stream));
    return coir_stream_shutdown(stream);
}

static int peer_of_unconnected(void)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(unconnected(AF_INET, &stream));
    char text[COIR_ADDRESS_TEXT];
    return coir_stream_peer(stream, text, sizeof text);
}

#define CONNECTED(transport, a, b)                                                                 \
    COIR_AUTO(coir_stream) *a = NULL;                                                              \
    COIR_AUTO(coir_stream) *b = NULL;                                                              \
    COIR_TRY(open_pair((transport), &a, &b))

static int peer_after_reset(void)
{
    CONNECTED(BY_TCP, a, b);
    coir_stream_abort(COIR_TAKE(a));
    (void)!read_from(b);
    char text[COIR_ADDRESS_TEXT];
    return coir_stream_peer(b, text, sizeof text);
}

/* After a shutdown by both, a reset of one is no news. */
static int read_after_end_and_reset(void)
{
    CONNECTED(BY_TCP, a, b);
    COIR_TRY(coir_stream_shutdown(a));
    if (read_from(b) != 0)
        return -EBADMSG;
    coir_stream_abort(COIR_TAKE(a));
    return read_from(b);
}

static int write_after_end_and_reset(void)
{
    CONNECTED(BY_TCP, a, b);
    COIR_TRY(coir_stream_shutdown(a));
    if (read_from(b) != 0)
        return -EBADMSG;
    coir_stream_abort(COIR_TAKE(a));
    return coir_stream_write(b, "x", 1);
}

static int write_after_reset(void)
{
    CONNECTED(BY_TCP, a, b);
    coir_stream_abort(COIR_TAKE(a));
    return coir_stream_write(b, "x", 1);
}

static int read_what_came_before_the_reset(void)
{
    CONNECTED(BY_TCP, a, b);
    COIR_TRY(coir_stream_write(a, "x", 1));
    coir_stream_abort(COIR_TAKE(a));
    if (read_from(b) != 1)
        return -EBADMSG;
    return read_from(b);
}

static int write_after_shutdown(void)
{
    CONNECTED(BY_TCP, a, b);
    COIR_TRY(coir_stream_shutdown(a));
    return coir_stream_write(a, "x", 1);
}

static int shutdown_twice(void)
{
    CONNECTED(BY_TCP, a, b);
    COIR_TRY(coir_stream_shutdown(a));
    return coir_stream_shutdown(a);
}

/* A listener that is closed resets whom it has not accepted. */
static int read_from_never_accepted(enum transport transport)
{
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_TRY(listen_somewhere(transport, &listener, name));
    COIR_TRY(connect_by(transport, name, &stream));
    coir_listener_close(COIR_TAKE(listener));
    return read_from(stream);
}

static int never_accepted_tcp(void)
{
    return read_from_never_accepted(BY_TCP);
}

static int never_accepted_unix(void)
{
    return read_from_never_accepted(BY_UNIX);
}

static int unix_without_a_name(void)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    return coir_unix_connect("/nonexistent/coir.sock", NULL, &stream);
}

static int unix_without_an_abstract_name(void)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    return coir_unix_connect("@coir-nobody", NULL, &stream);
}

static int unix_name_twice(void)
{
    COIR_AUTO(coir_listener) *first = NULL;
    COIR_AUTO(coir_listener) *second = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_TRY(listen_somewhere(BY_UNIX, &first, name));
    return coir_unix_listen(name, NULL, &second);
}

/* Reads at a Unix socket whose peer has gone without reading what it was sent. */
static int unix_peer_left_unread(void)
{
    CONNECTED(BY_UNIX, a, b);
    COIR_TRY(coir_stream_write(a, "x", 1));
    coir_stream_abort(COIR_TAKE(b));
    return read_from(a);
}

static int from_ipv4_to_any_ipv6(bool only_ipv6)
{
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    char name[COIR_ADDRESS_TEXT], target[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("[::]:0", &(coir_listen_opts){.only_ipv6 = only_ipv6}, &listener));
    COIR_TRY(coir_listener_address(listener, name, sizeof name));
    (void)snprintf(target, sizeof target, "127.0.0.1%s", strrchr(name, ':'));
    return coir_tcp_connect(target, NULL, &stream);
}

static int ipv4_reaches_any_ipv6(void)
{
    return from_ipv4_to_any_ipv6(false);
}

static int ipv4_is_kept_out(void)
{
    return from_ipv4_to_any_ipv6(true);
}

static int set_no_delay(void)
{
    SOCKET(socket, AF_INET);
    return set_flag(socket, IPPROTO_TCP, TCP_NODELAY);
}

#define ROW(fn, result)                                                                            \
    {                                                                                              \
#fn, fn, result                                                                            \
    }

static const struct row {
    const char *name;
    int (*run)(void);
    int result;
} rows[] = {
    ROW(connect_refused, -ECONNREFUSED),
    ROW(connect_to_bound_but_silent, -ECONNREFUSED),
    ROW(connect_to_any_is_loopback, 0),
    ROW(connect_twice, -EISCONN),
    ROW(connect_wrong_family, -EAFNOSUPPORT),
    ROW(connect_unix_wrong_family, -EINVAL),
    ROW(connect_from_a_listener, -EISCONN),
    ROW(bind_port_in_use, -EADDRINUSE),
    ROW(bind_any_over_one, -EADDRINUSE),
    ROW(bind_another_loopback, 0),
    ROW(bind_twice, -EINVAL),
    ROW(bind_elsewhere, -EADDRNOTAVAIL),
    ROW(reuse_address_of_a_listener, -EADDRINUSE),
    ROW(reuse_address_and_listen_twice, -EADDRINUSE),
    ROW(reuse_port, 0),
    ROW(listen_unbound, 0),
    ROW(listen_unbound_unix, -EINVAL),
    ROW(listen_on_a_connection, -EINVAL),
    ROW(accept_without_listening, -EINVAL),
    ROW(read_unconnected, -ENOTCONN),
    ROW(read_unconnected_unix, -EINVAL),
    ROW(write_unconnected, -EPIPE),
    ROW(write_unconnected_unix, -ENOTCONN),
    ROW(shutdown_unconnected, -ENOTCONN),
    ROW(peer_of_unconnected, -ENOTCONN),
    ROW(peer_after_reset, -ENOTCONN),
    ROW(read_after_end_and_reset, 0),
    ROW(write_after_end_and_reset, -EPIPE),
    ROW(write_after_reset, -ECONNRESET),
    ROW(read_what_came_before_the_reset, -ECONNRESET),
    ROW(write_after_shutdown, -EPIPE),
    ROW(shutdown_twice, 0),
    ROW(never_accepted_tcp, -ECONNRESET),
    ROW(never_accepted_unix, -ECONNRESET),
    ROW(unix_without_a_name, -ENOENT),
    ROW(unix_without_an_abstract_name, -ECONNREFUSED),
    ROW(unix_name_twice, -EADDRINUSE),
    ROW(unix_peer_left_unread, -ECONNRESET),
    ROW(ipv4_reaches_any_ipv6, 0),
    ROW(ipv4_is_kept_out, -ECONNREFUSED),
    ROW(set_no_delay, 0),
};

COIR_TEST_TAGGED(same_outcomes_on_every_backend, "slow,limit=30")
{
    PATIENCE;
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        int result = rows[i].run();
        if (!COIR_EXPECT_CODE(result, rows[i].result))
            COIR_FAIL("%s", rows[i].name);
    }
}
