/* Load for echo/: usage: echo_load PORT PID CONNECTIONS SIZE SECONDS. Each connection to
 * 127.0.0.1:PORT has one message of SIZE bytes in flight. After a warm-up of 0.3 s it counts
 * messages for SECONDS, and reads the CPU clock of the server, process PID, at both ends of exactly
 * that time: user and system time of all its threads.
 *
 * Prints `RESULT cpu_ns`, the server's per message, and `RESULT rate`, messages per second; then
 * its own CPU time and two percentiles of the latency, which tell how the rate came about. One
 * thread on epoll. */
#define _GNU_SOURCE
#include "../measure.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 1024, BUFFER = 1 << 18, STEPS = 16, BUCKETS = 64 * STEPS, STALL_MS = 2000 };

struct connection {
    int fd;
    size_t sent, received; /* of the message in flight */
    int64_t since;
};

static struct connection *connections;
static int epoll_fd;
static size_t size;
static char *message, *buffer;
static int counting;
static long count;                   /* messages that came back */
static long latencies[BUCKETS];      /* 16 to each power of two of nanoseconds */
static int64_t now;                  /* read once for each batch of events */
static int64_t server_ns, client_ns; /* CPU clocks at the beginning of counting */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double number_of(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end)
        fail(text);
    return number;
}

static void watch(struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(epoll_fd, operation, c->fd, &event);
}

static void connect_one(struct connection *c, int port)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

/* Writes what is left of the message. */
static void go_on(struct connection *c)
{
    int waited = c->sent > 0;
    ssize_t n = write(c->fd, message + c->sent, size - c->sent);
    if (n < 0 && errno != EAGAIN)
        fail("write");
    c->sent += n > 0 ? (size_t)n : 0;
    if (c->sent < size)
        watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    else if (waited)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void begin(struct connection *c)
{
    c->since = counting ? measure_now_ns() : now;
    c->sent = c->received = 0;
    go_on(c);
}

static int bucket_of(int64_t ns)
{
    int power = 63 - __builtin_clzll((uint64_t)ns | STEPS);
    return power * STEPS + (int)((uint64_t)ns >> (power - 4)) % STEPS;
}

static double percentile_us(double part)
{
    long seen = 0;
    int i = 0;
    while (i < BUCKETS - 1 && (double)(seen += latencies[i]) < part * (double)count)
        i++;
    return (double)((uint64_t)(STEPS + i % STEPS) << (i / STEPS - 4)) / 1e3;
}

static void receive(struct connection *c)
{
    ssize_t n = read(c->fd, buffer, BUFFER);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        fail("the server closed a connection");
    c->received += (size_t)n;
    if (c->received < size)
        return;
    if (counting) {
        count++;
        latencies[bucket_of(measure_now_ns() - c->since)]++;
    }
    begin(c);
}

static int64_t cpu_of(pid_t pid)
{
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock))
        fail("the server's CPU clock");
    return measure_clock_ns(clock);
}

static void turn(void)
{
    static struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll_fd, events, EVENTS, STALL_MS);
    if (ready == 0)
        fail("nothing came back");
    now = measure_now_ns();
    for (int i = 0; i < ready; i++) {
        struct connection *c = events[i].data.ptr;
        if (events[i].events & EPOLLOUT && c->sent < size)
            go_on(c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(c);
    }
}

static void until(int64_t end)
{
    while (now < end)
        turn();
}

static void measure(pid_t server, double seconds)
{
    until(now + 300000000);
    counting = 1;
    server_ns = cpu_of(server);
    client_ns = cpu_of(getpid());
    int64_t start = now = measure_now_ns();
    until(start + (int64_t)(seconds * 1e9));
    server_ns = cpu_of(server) - server_ns;
    client_ns = cpu_of(getpid()) - client_ns;
    double elapsed = (double)(measure_now_ns() - start) / 1e9;
    measure_result("cpu_ns", (double)server_ns / (double)count, "ns");
    measure_result("rate", (double)count / elapsed, "messages/s");
    measure_result("client_ns", (double)client_ns / (double)count, "ns");
    measure_result("p50_us", percentile_us(0.5), "us");
    measure_result("p99_us", percentile_us(0.99), "us");
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: echo_load PORT PID CONNECTIONS SIZE SECONDS\n");
        return 2;
    }
    int port = (int)number_of(argv[1]), number = (int)number_of(argv[3]);
    size = (size_t)number_of(argv[4]);
    connections = calloc((size_t)number, sizeof *connections);
    message = calloc(1, size);
    buffer = malloc(BUFFER);
    epoll_fd = epoll_create1(0);
    if (!connections || !message || !buffer || epoll_fd < 0)
        fail("set-up");
    for (int i = 0; i < number; i++)
        connect_one(&connections[i], port);
    now = measure_now_ns();
    for (int i = 0; i < number; i++)
        begin(&connections[i]);
    measure((pid_t)number_of(argv[2]), number_of(argv[5]));
    return 0;
}
