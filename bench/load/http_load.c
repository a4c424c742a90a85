/* Load for http/: usage: http_load PORT PID CONNECTIONS DEPTH SECONDS WHAT. Each connection to
 * 127.0.0.1:PORT has DEPTH requests in flight, sent by one write. WHAT is a path; "tls", "/" by
 * TLS; "close", "/" on a connection of its own each time; "idle", what connections without a
 * request cost. After a warm-up of 0.3 s it counts replies for SECONDS, and reads the CPU clock of
 * the server, process PID, at both ends.
 *
 * Prints `RESULT cpu_ns`, the server's per request, `RESULT cpu_rate`, requests per second of its
 * CPU time, and `RESULT rate`, requests per second; of idle ones `RESULT idle_b`, resident bytes
 * of the server per connection. All replies must be as long as the first one. One thread on epoll.
 */
#include "load.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { BUFFER = 1 << 18 };

struct connection {
    int fd;
    SSL *ssl;        /* NULL: plain */
    size_t received; /* of the replies in flight */
};

static SSL_CTX *context; /* NULL: plain */
static struct connection *connections;
static char *request, buffer[BUFFER];
static size_t request_length, depth, reply; /* bytes of one reply */
static int closes;

/* ---- one connection ---- */

/* Returns as read: -1 when nothing is there. */
static ssize_t get(const struct connection *c, char *data, size_t size)
{
    if (c->ssl == NULL)
        return read(c->fd, data, size);
    ERR_clear_error();
    int n = SSL_read(c->ssl, data, (int)size);
    return n > 0 ? n : SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void ask(struct connection *c)
{
    c->received = 0;
    ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, request, (int)request_length)
                               : write(c->fd, request, request_length);
    if (n != (ssize_t)request_length)
        fail("write");
}

static void connect_one(struct connection *c)
{
    *c = (struct connection){.fd = load_connect(SOCK_STREAM)};
    if (context != NULL) {
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1)
            fail("handshake");
    }
}

static void begin(struct connection *c)
{
    connect_one(c);
    load_watch(c->fd, c);
    ask(c);
}

/* The length of the reply in the first size bytes of the buffer; 0 when it is not known yet. */
static size_t reply_length(size_t size)
{
    const char *end = memmem(buffer, size, "\r\n\r\n", 4);
    const char *length = end != NULL ? strcasestr(buffer, "\r\nContent-Length:") : NULL;
    if (end == NULL)
        return 0;
    if (strncmp(buffer, "HTTP/1.1 404 ", 13) == 0)
        exit(2); /* a peer without a match for this */
    if (strncmp(buffer, "HTTP/1.1 200 ", 13) != 0 || length == NULL || length > end)
        fail("a reply of another kind");
    return (size_t)(end + 4 - buffer) + strtoul(length + 17, NULL, 10);
}

/* Asks once, on a connection of its own, how long a reply is. */
static void learn(void)
{
    struct connection c;
    size_t received = 0, whole = request_length;
    connect_one(&c);
    request_length /= depth;
    ask(&c);
    request_length = whole;
    while ((reply = reply_length(received)) == 0 || received < reply) {
        ssize_t n = get(&c, buffer + received, BUFFER - 1 - received);
        if (n <= 0)
            fail("no reply");
        received += (size_t)n;
    }
    SSL_free(c.ssl);
    close(c.fd);
}

static void receive(void *connection)
{
    struct connection *c = connection;
    for (ssize_t n; (n = get(c, buffer, BUFFER)) >= 0;) {
        c->received += (size_t)n;
        if (n == 0 && !closes)
            fail("the server closed a connection");
        if (c->received < depth * reply || (closes && n > 0))
            continue;
        load.count += (long)depth;
        if (closes) {
            close(c->fd);
            begin(c);
        } else {
            ask(c);
        }
        return;
    }
}

/* Opens connections that are answered once each. */
static void open_idle(long from, long to)
{
    for (struct connection *c = connections + from; c < connections + to; c++) {
        connect_one(c);
        ask(c);
        for (size_t n = 0; n < reply;) {
            ssize_t more = get(c, buffer, BUFFER);
            if (more <= 0)
                fail("no reply");
            n += (size_t)more;
        }
    }
}

static void make_request(const char *what)
{
    char one[256];
    const char *path = what[0] == '/' ? what : "/";
    int length = snprintf(one, sizeof one, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", path,
                          closes ? "Connection: close\r\n" : "");
    request_length = (size_t)length * depth;
    request = load_alloc(1, request_length);
    for (size_t i = 0; i < depth; i++)
        memcpy(request + i * (size_t)length, one, (size_t)length);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: http_load PORT PID CONNECTIONS DEPTH SECONDS WHAT\n");
        return 2;
    }
    load_open(argv[1], argv[2]);
    load.receive = receive;
    long number = (long)number_of(argv[3]);
    depth = (size_t)number_of(argv[4]);
    closes = strcmp(argv[6], "close") == 0;
    connections = load_alloc((double)number, sizeof *connections);
    make_request(argv[6]);
    context = strcmp(argv[6], "tls") == 0 ? SSL_CTX_new(TLS_client_method()) : NULL;
    learn();
    if (strcmp(argv[6], "idle") == 0) {
        load_measure_idle(open_idle, number);
        return 0;
    }
    for (long i = 0; i < number; i++)
        begin(&connections[i]);
    load_measure(load_until, number_of(argv[5]));
    return 0;
}
