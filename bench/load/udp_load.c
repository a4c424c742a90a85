/* Load for udp_echo/: usage: udp_load PORT PID SOCKETS SIZE SECONDS, as echo_load. Each socket,
 * with a port of its own, has one datagram of SIZE bytes in flight to 127.0.0.1:PORT; when all are
 * silent for 20 ms what was lost is sent again. After a warm-up of 0.3 s it counts for SECONDS, and
 * reads the CPU clock of the server, process PID, at both ends.
 *
 * Prints `RESULT cpu_ns`, the server's per datagram, and `RESULT rate`. One thread on epoll. */
#define _GNU_SOURCE
#include "../measure.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 1024, SILENCE_MS = 20 };

static int epoll_fd, *fds;
static int sockets;
static size_t size;
static char *message, *buffer;
static long count, lost;

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

static void connect_one(int *fd, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (*fd < 0 || connect(*fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = *fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, *fd, &event);
}

static void send_all(void)
{
    for (int i = 0; i < sockets; i++)
        if (send(fds[i], message, size, 0) < 0)
            fail("send");
}

static void turn(void)
{
    static struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll_fd, events, EVENTS, SILENCE_MS);
    if (ready == 0) {
        lost++;
        send_all();
    }
    for (int i = 0; i < ready; i++) {
        if (recv(events[i].data.fd, buffer, size, 0) < 0)
            continue;
        count++;
        if (send(events[i].data.fd, message, size, 0) < 0)
            fail("send");
    }
}

static void run_for(double seconds)
{
    int64_t end = measure_now_ns() + (int64_t)(seconds * 1e9);
    count = lost = 0;
    while (measure_now_ns() < end)
        turn();
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
        fprintf(stderr, "usage: udp_load PORT PID SOCKETS SIZE SECONDS\n");
        return 2;
    }
    pid_t server = (pid_t)number_of(argv[2]);
    sockets = (int)number_of(argv[3]);
    size = (size_t)number_of(argv[4]);
    fds = calloc((size_t)sockets, sizeof *fds);
    message = calloc(1, size);
    buffer = malloc(size);
    epoll_fd = epoll_create1(0);
    if (!fds || !message || !buffer || epoll_fd < 0)
        fail("set-up");
    for (int i = 0; i < sockets; i++)
        connect_one(&fds[i], (int)number_of(argv[1]));
    send_all();
    run_for(0.3);
    int64_t before = cpu_of(server), start = measure_now_ns();
    run_for(number_of(argv[5]));
    double elapsed = (double)(measure_now_ns() - start) / 1e9;
    measure_result("cpu_ns", (double)(cpu_of(server) - before) / (double)count, "ns");
    measure_result("rate", (double)count / elapsed, "datagrams/s");
    measure_result("lost", (double)lost, "times");
    return 0;
}
