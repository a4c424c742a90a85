/* What the load programs share: numbers from the command line, connections to a port of 127.0.0.1,
 * a loop on epoll, and measuring a server: after a warm-up what is done is counted for some time,
 * and the server's CPU clock is read at both ends of exactly that time. A program has one thread
 * and one server. */
#ifndef COIR_BENCH_LOAD_H
#define COIR_BENCH_LOAD_H

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

enum { LOAD_EVENTS = 1024, LOAD_STALL_MS = 2000, LOAD_WARM_UP_NS = 300000000 };

static struct {
    int epoll_fd;
    pid_t server;
    struct sockaddr_in address;
    void (*receive)(void *connection); /* something has come for it */
    int counting;                      /* the warm-up is over */
    long count;                        /* of what was done since then */
} load;

static inline void fail(const char *what)
{
    perror(what);
    exit(1);
}

static inline double number_of(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end)
        fail(text);
    return number;
}

/* Memory for a number of records, all zero. */
static inline void *load_alloc(double number, size_t size)
{
    void *data = calloc((size_t)number, size);
    if (data == NULL)
        fail("memory");
    return data;
}

static inline void load_open(const char *port, const char *pid)
{
    load.server = (pid_t)number_of(pid);
    load.address = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)number_of(port)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    load.epoll_fd = epoll_create1(0);
    if (load.epoll_fd < 0)
        fail("epoll");
}

/* Returns a connected socket, SOCK_STREAM or SOCK_DGRAM. */
static inline int load_connect(int type)
{
    int one = 1, fd = socket(AF_INET, type, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&load.address, sizeof load.address))
        fail("connect");
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static inline void load_change(int fd, void *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(load.epoll_fd, operation, fd, &event);
}

/* From now on what comes for a connection is told to load.receive. */
static inline void load_watch(int fd, void *connection)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    load_change(fd, connection, EPOLL_CTL_ADD, EPOLLIN);
}

static inline void load_until(int64_t end)
{
    static struct epoll_event events[LOAD_EVENTS];
    while (measure_now_ns() < end) {
        int ready = epoll_wait(load.epoll_fd, events, LOAD_EVENTS, LOAD_STALL_MS);
        if (ready == 0)
            fail("nothing came back");
        for (int i = 0; i < ready; i++)
            load.receive(events[i].data.ptr);
    }
}

/* User and system time of all threads of a process. */
static inline int64_t load_cpu_of(pid_t pid)
{
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock))
        fail("the server's CPU clock");
    return measure_clock_ns(clock);
}

/* Runs until(end) for a warm-up and then for some seconds, and prints what the server needs for one
 * of what is counted, how many there are in a second (of its CPU time, and in all), and what the
 * load program itself needs for one. */
static inline void load_measure(void (*until)(int64_t end), double seconds)
{
    until(measure_now_ns() + LOAD_WARM_UP_NS);
    load.counting = 1;
    load.count = 0;
    int64_t cpu = load_cpu_of(load.server), own = load_cpu_of(getpid()), start = measure_now_ns();
    until(start + (int64_t)(seconds * 1e9));
    cpu = load_cpu_of(load.server) - cpu;
    own = load_cpu_of(getpid()) - own;
    double elapsed = (double)(measure_now_ns() - start) / 1e9, count = (double)load.count;
    measure_result("cpu_ns", (double)cpu / count, "ns");
    measure_result("cpu_rate", count / ((double)cpu / 1e9), "/s");
    measure_result("rate", count / elapsed, "/s");
    measure_result("client_ns", (double)own / count, "ns");
}

/* ---- what an idle connection costs ---- */

enum { LOAD_IDLE_FIRST = 1000, LOAD_MOMENT_MS = 500 };

/* Resident bytes of the server. */
static inline double load_resident(void)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", load.server);
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

/* Opens connections, and prints what one costs the server beyond the first thousand of them. */
static inline void load_measure_idle(void (*open_some)(long from, long to), long number)
{
    open_some(0, LOAD_IDLE_FIRST);
    (void)poll(NULL, 0, LOAD_MOMENT_MS); /* until the server takes them for idle */
    double before = load_resident();
    open_some(LOAD_IDLE_FIRST, number);
    (void)poll(NULL, 0, LOAD_MOMENT_MS);
    measure_result("idle_b", (load_resident() - before) / (double)(number - LOAD_IDLE_FIRST), "B");
}

#endif
