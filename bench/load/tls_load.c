/* Load for tls_echo/ and tls_handshake/: usage: tls_load PORT PID CONNECTIONS SIZE SECONDS. Each
 * connection to 127.0.0.1:PORT has one message of SIZE bytes in flight; with SIZE 0 it shakes hands
 * (in full, no session is resumed), says goodbye, and begins again. After a warm-up of 0.3 s it
 * counts for SECONDS, and reads the CPU clock of the server, process PID, at both ends.
 *
 * Prints `RESULT cpu_ns`, the server's per message or handshake, `RESULT cpu_rate`, how many it
 * does in a second of its CPU time, and `RESULT rate`, how many there were in a second. One thread
 * on epoll. */
#define _GNU_SOURCE
#include "../measure.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { EVENTS = 1024, STALL_MS = 2000, MOST = 1 << 18 };

struct connection {
    int fd;
    SSL *ssl;
    size_t received; /* of the message in flight */
    int shaken;
};

static int epoll_fd;
static SSL_CTX *context;
static struct sockaddr_in address = {.sin_family = AF_INET};
static size_t size;
static char message[MOST], buffer[MOST];
static long count;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void connect_one(struct connection *c)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    c->shaken = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
    ERR_clear_error();
    (void)SSL_do_handshake(c->ssl);
}

static void disconnect(struct connection *c)
{
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    struct linger abrupt = {1, 0}; /* no port is kept waiting */
    shutdown(c->fd, SHUT_WR);
    while (read(c->fd, buffer, sizeof buffer) > 0)
        ;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
    close(c->fd);
}

static void send_message(struct connection *c)
{
    c->received = 0;
    if (SSL_write(c->ssl, message, (int)size) != (int)size)
        fail("SSL_write");
}

static void shake(struct connection *c)
{
    int r = SSL_do_handshake(c->ssl);
    if (r != 1) {
        if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ)
            fail("handshake");
        return;
    }
    c->shaken = 1;
    if (size > 0) {
        send_message(c);
        return;
    }
    count++;
    disconnect(c);
    connect_one(c);
}

static void receive(struct connection *c)
{
    int n = SSL_read(c->ssl, buffer, sizeof buffer);
    if (n <= 0) {
        if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
            fail("the server closed a connection");
        return;
    }
    c->received += (size_t)n;
    if (c->received < size)
        return;
    count++;
    send_message(c);
}

static void until(int64_t end)
{
    static struct epoll_event events[EVENTS];
    while (measure_now_ns() < end) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, STALL_MS);
        if (ready == 0)
            fail("nothing came back");
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            ERR_clear_error();
            if (c->shaken)
                receive(c);
            else
                shake(c);
        }
    }
}

static int64_t cpu_of(pid_t pid)
{
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock))
        fail("the server's CPU clock");
    return measure_clock_ns(clock);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: tls_load PORT PID CONNECTIONS SIZE SECONDS\n");
        return 2;
    }
    pid_t server = (pid_t)strtol(argv[2], NULL, 10);
    long number = strtol(argv[3], NULL, 10);
    size = (size_t)strtol(argv[4], NULL, 10);
    double seconds = strtod(argv[5], NULL);
    address.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll_fd = epoll_create1(0);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    struct connection *connections = calloc((size_t)number, sizeof *connections);
    if (connections == NULL || context == NULL || epoll_fd < 0 || size > MOST)
        fail("set-up");
    for (long i = 0; i < number; i++)
        connect_one(&connections[i]);
    until(measure_now_ns() + 300000000);
    count = 0;
    int64_t cpu = cpu_of(server), start = measure_now_ns();
    until(start + (int64_t)(seconds * 1e9));
    cpu = cpu_of(server) - cpu;
    double elapsed = (double)(measure_now_ns() - start) / 1e9;
    measure_result("cpu_ns", (double)cpu / (double)count, "ns");
    measure_result("cpu_rate", (double)count / ((double)cpu / 1e9), "/s");
    measure_result("rate", (double)count / elapsed, "/s");
    return 0;
}
