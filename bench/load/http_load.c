/* Load for http/: usage: http_load PORT PID CONNECTIONS DEPTH SECONDS WHAT. Each connection to
 * 127.0.0.1:PORT has DEPTH requests in flight, sent by one write. WHAT is a path; "tls", "/" by
 * TLS; "close", "/" on a connection of its own each time; "idle", what connections without a
 * request cost. After a warm-up of 0.3 s it counts replies for SECONDS, and reads the CPU clock of
 * the server, process PID, at both ends.
 *
 * Prints `RESULT cpu_ns`, the server's per request, `RESULT cpu_rate`, requests per second of its
 * CPU time, and `RESULT rate`, requests per second; of idle ones `RESULT idle_b`, resident bytes
 * of the server per connection. All replies must be as long as the first one. One thread on epoll.
 *  */
#define _GNU_SOURCE
#include "../measure.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { EVENTS = 1024, BUFFER = 1 << 18, STALL_MS = 2000, IDLE_FIRST = 1000, MOMENT_MS = 500 };

struct connection {
    int fd;
    SSL *ssl;        /* NULL: plain */
    size_t received; /* of the replies in flight */
};

static int epoll_fd;
static SSL_CTX *context; /* NULL: plain */
static struct sockaddr_in address = {.sin_family = AF_INET};
static char *request, buffer[BUFFER];
static size_t request_length, depth, reply; /* bytes of one reply */
static int closes;
static long count;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

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
    int one = 1;
    *c = (struct connection){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (context != NULL) {
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1)
            fail("handshake");
    }
}

static void watch(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void begin(struct connection *c)
{
    connect_one(c);
    watch(c);
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

static void receive(struct connection *c)
{
    for (ssize_t n; (n = get(c, buffer, BUFFER)) >= 0;) {
        c->received += (size_t)n;
        if (n == 0 && !closes)
            fail("the server closed a connection");
        if (c->received < depth * reply || (closes && n > 0))
            continue;
        count += (long)depth;
        if (closes) {
            close(c->fd);
            begin(c);
        } else {
            ask(c);
        }
        return;
    }
}

/* ---- measuring ---- */

static void until(int64_t end)
{
    static struct epoll_event events[EVENTS];
    while (measure_now_ns() < end) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, STALL_MS);
        if (ready == 0)
            fail("nothing came back");
        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
    }
}

static int64_t cpu_of(pid_t pid)
{
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock))
        fail("the server's CPU clock");
    return measure_clock_ns(clock);
}

static void measure(pid_t server, double seconds)
{
    until(measure_now_ns() + 300000000);
    count = 0;
    int64_t cpu = cpu_of(server), start = measure_now_ns();
    until(start + (int64_t)(seconds * 1e9));
    cpu = cpu_of(server) - cpu;
    double elapsed = (double)(measure_now_ns() - start) / 1e9;
    measure_result("cpu_ns", (double)cpu / (double)count, "ns");
    measure_result("cpu_rate", (double)count / ((double)cpu / 1e9), "/s");
    measure_result("rate", (double)count / elapsed, "/s");
}

static double resident(pid_t pid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail(path);
    long kb = 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    fclose(file);
    return (double)kb * 1024;
}

/* Opens connections that are answered once each. */
static void open_idle(struct connection *connections, long number)
{
    for (long i = 0; i < number; i++) {
        connect_one(&connections[i]);
        ask(&connections[i]);
        for (size_t n = 0; n < reply;) {
            ssize_t more = get(&connections[i], buffer, BUFFER);
            if (more <= 0)
                fail("no reply");
            n += (size_t)more;
        }
    }
    (void)poll(NULL, 0, MOMENT_MS); /* until the server takes them for idle */
}

static void measure_idle(pid_t server, struct connection *connections, long number)
{
    open_idle(connections, IDLE_FIRST);
    double before = resident(server);
    open_idle(connections + IDLE_FIRST, number - IDLE_FIRST);
    measure_result("idle_b", (resident(server) - before) / (double)(number - IDLE_FIRST), "B");
}

static void make_request(const char *what)
{
    char one[256];
    const char *path = what[0] == '/' ? what : "/";
    int length = snprintf(one, sizeof one, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", path,
                          closes ? "Connection: close\r\n" : "");
    request_length = (size_t)length * depth;
    request = malloc(request_length);
    for (size_t i = 0; request != NULL && i < depth; i++)
        memcpy(request + i * (size_t)length, one, (size_t)length);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: http_load PORT PID CONNECTIONS DEPTH SECONDS WHAT\n");
        return 2;
    }
    pid_t server = (pid_t)strtol(argv[2], NULL, 10);
    long number = strtol(argv[3], NULL, 10);
    depth = (size_t)strtol(argv[4], NULL, 10);
    address.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    closes = strcmp(argv[6], "close") == 0;
    make_request(argv[6]);
    context = strcmp(argv[6], "tls") == 0 ? SSL_CTX_new(TLS_client_method()) : NULL;
    epoll_fd = epoll_create1(0);
    struct connection *connections = calloc((size_t)number, sizeof *connections);
    if (connections == NULL || request == NULL || epoll_fd < 0)
        fail("set-up");
    learn();
    if (strcmp(argv[6], "idle") == 0) {
        measure_idle(server, connections, number);
        return 0;
    }
    for (long i = 0; i < number; i++)
        begin(&connections[i]);
    measure(server, strtod(argv[5], NULL));
    return 0;
}
