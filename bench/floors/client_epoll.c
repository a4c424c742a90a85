/* Floor of client/get: one thread on epoll, 64 connections that are kept, a request that is the
 * same each time, and of the response no more than what says where it ends: the status, the end of
 * the head, Content-Length. Called with the name and the port of 127.0.0.1. */
#define _GNU_SOURCE
#include "../measure.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 64, REQUESTS = 100000, WARM = 10, SIZE = 4096 };

static struct connection {
    int fd;
    size_t length;
    char data[SIZE + 1];
} connections[CONNECTIONS];

static char request[128];
static size_t request_length;
static long begun, wanted;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void ask(struct connection *connection)
{
    if (begun++ < wanted &&
        write(connection->fd, request, request_length) != (ssize_t)request_length)
        fail("write");
}

/* Whether a whole response has come. */
static int take(struct connection *connection)
{
    ssize_t n =
        read(connection->fd, connection->data + connection->length, SIZE - connection->length);
    if (n <= 0)
        fail("read");
    connection->length += (size_t)n;
    connection->data[connection->length] = '\0';
    const char *end = strstr(connection->data, "\r\n\r\n");
    if (end == NULL)
        return 0;
    const char *length = strcasestr(connection->data, "\r\ncontent-length:");
    if (strncmp(connection->data, "HTTP/1.1 200", 12) != 0 || length == NULL)
        fail("another answer");
    size_t whole = (size_t)(end + 4 - connection->data) + strtoul(length + 17, NULL, 10);
    if (connection->length < whole)
        return 0;
    connection->length = 0;
    return 1;
}

static void ask_all(int epoll, long requests)
{
    static struct epoll_event events[CONNECTIONS];
    long done = 0;
    begun = 0;
    wanted = requests;
    for (int i = 0; i < CONNECTIONS; i++)
        ask(&connections[i]);
    while (done < requests) {
        int count = epoll_wait(epoll, events, CONNECTIONS, -1);
        for (int i = 0; i < count; i++)
            if (take(events[i].data.ptr)) {
                done++;
                ask(events[i].data.ptr);
            }
    }
}

static void dial(int epoll, struct connection *connection, int port)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

int main(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "client/get") != 0)
        return 2;
    int epoll = epoll_create1(0);
    request_length = (size_t)snprintf(request, sizeof request,
                                      "GET / HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", argv[2]);
    for (int i = 0; i < CONNECTIONS; i++)
        dial(epoll, &connections[i], (int)strtol(argv[2], NULL, 10));
    ask_all(epoll, WARM * CONNECTIONS);
    double cpu = measure_cpu_s();
    int64_t start = measure_now_ns();
    ask_all(epoll, REQUESTS);
    measure_result("client/get/rate", REQUESTS / ((double)(measure_now_ns() - start) / 1e9), "/s");
    measure_result("client/get/cpu_ns", (measure_cpu_s() - cpu) * 1e9 / REQUESTS, "ns");
    return 0;
}
