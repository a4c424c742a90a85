/* Load for echo/: usage: echo_load PORT PID CONNECTIONS SIZE SECONDS. Each connection to
 * 127.0.0.1:PORT has one message of SIZE bytes in flight. After a warm-up of 0.3 s it counts
 * messages for SECONDS, and reads the CPU clock of the server, process PID, at both ends of exactly
 * that time: user and system time of all its threads.
 *
 * Prints `RESULT cpu_ns`, the server's per message, and `RESULT rate`, messages per second; then
 * its own CPU time and two percentiles of the latency, which tell how the rate came about. One
 * thread on epoll. */
#include "load.h"

enum { BUFFER = 1 << 18, STEPS = 16, BUCKETS = 64 * STEPS };

struct connection {
    int fd;
    size_t sent, received; /* of the message in flight */
    int64_t since;
};

static struct connection *connections;
static size_t size;
static char *message, *buffer;
static long latencies[BUCKETS]; /* 16 to each power of two of nanoseconds */
static int64_t now;             /* read once for each batch of events */

/* Writes what is left of the message. */
static void go_on(struct connection *c)
{
    int waited = c->sent > 0;
    ssize_t n = write(c->fd, message + c->sent, size - c->sent);
    if (n < 0 && errno != EAGAIN)
        fail("write");
    c->sent += n > 0 ? (size_t)n : 0;
    if (c->sent < size)
        load_change(c->fd, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    else if (waited)
        load_change(c->fd, c, EPOLL_CTL_MOD, EPOLLIN);
}

static void begin(struct connection *c)
{
    c->since = load.counting ? measure_now_ns() : now;
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
    while (i < BUCKETS - 1 && (double)(seen += latencies[i]) < part * (double)load.count)
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
    if (load.counting) {
        load.count++;
        latencies[bucket_of(measure_now_ns() - c->since)]++;
    }
    begin(c);
}

static void turn(void)
{
    static struct epoll_event events[LOAD_EVENTS];
    int ready = epoll_wait(load.epoll_fd, events, LOAD_EVENTS, LOAD_STALL_MS);
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
    for (now = measure_now_ns(); now < end;)
        turn();
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: echo_load PORT PID CONNECTIONS SIZE SECONDS\n");
        return 2;
    }
    load_open(argv[1], argv[2]);
    int number = (int)number_of(argv[3]);
    size = (size_t)number_of(argv[4]);
    connections = load_alloc(number, sizeof *connections);
    message = load_alloc(1, size);
    buffer = load_alloc(1, BUFFER);
    for (int i = 0; i < number; i++) {
        connections[i].fd = load_connect(SOCK_STREAM);
        load_watch(connections[i].fd, &connections[i]);
    }
    for (int i = 0; i < number; i++)
        begin(&connections[i]);
    load_measure(until, number_of(argv[5]));
    measure_result("p50_us", percentile_us(0.5), "us");
    measure_result("p99_us", percentile_us(0.99), "us");
    return 0;
}
