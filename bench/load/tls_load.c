/* Load for tls_echo/ and tls_handshake/: usage: tls_load PORT PID CONNECTIONS SIZE SECONDS. Each
 * connection to 127.0.0.1:PORT has one message of SIZE bytes in flight; with SIZE 0 it shakes hands
 * (in full, no session is resumed), says goodbye, and begins again. After a warm-up of 0.3 s it
 * counts for SECONDS, and reads the CPU clock of the server, process PID, at both ends.
 *
 * Prints `RESULT cpu_ns`, the server's per message or handshake, `RESULT cpu_rate`, how many it
 * does in a second of its CPU time, and `RESULT rate`, how many there were in a second. One thread
 * on epoll. */
#include "load.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { MOST = 1 << 18 };

struct connection {
    int fd;
    SSL *ssl;
    size_t received; /* of the message in flight */
    int shaken;
};

static SSL_CTX *context;
static size_t size;
static char message[MOST], buffer[MOST];

static void connect_one(struct connection *c)
{
    c->fd = load_connect(SOCK_STREAM);
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    c->shaken = 0;
    load_watch(c->fd, c);
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
    load.count++;
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
    load.count++;
    send_message(c);
}

static void go_on(void *connection)
{
    struct connection *c = connection;
    ERR_clear_error();
    if (c->shaken)
        receive(c);
    else
        shake(c);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: tls_load PORT PID CONNECTIONS SIZE SECONDS\n");
        return 2;
    }
    load_open(argv[1], argv[2]);
    load.receive = go_on;
    long number = (long)number_of(argv[3]);
    size = (size_t)number_of(argv[4]);
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || size > MOST)
        fail("set-up");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    struct connection *connections = load_alloc((double)number, sizeof *connections);
    for (long i = 0; i < number; i++)
        connect_one(&connections[i]);
    load_measure(load_until, number_of(argv[5]));
    return 0;
}
