/* Load for udp_echo/: usage: udp_load PORT PID SOCKETS SIZE SECONDS, as echo_load. Each socket,
 * with a port of its own, has one datagram of SIZE bytes in flight to 127.0.0.1:PORT; when all are
 * silent for 20 ms what was lost is sent again. After a warm-up of 0.3 s it counts for SECONDS, and
 * reads the CPU clock of the server, process PID, at both ends.
 *
 * Prints `RESULT cpu_ns`, the server's per datagram, and `RESULT rate`. One thread on epoll. */
#include "load.h"

enum { SILENCE_MS = 20 };

static int *fds;
static int sockets;
static size_t size;
static char *message, *buffer;
static long lost;

static void send_all(void)
{
    for (int i = 0; i < sockets; i++)
        if (send(fds[i], message, size, 0) < 0)
            fail("send");
}

static void turn(void)
{
    static struct epoll_event events[LOAD_EVENTS];
    int ready = epoll_wait(load.epoll_fd, events, LOAD_EVENTS, SILENCE_MS);
    if (ready == 0) {
        lost++;
        send_all();
    }
    for (int i = 0; i < ready; i++) {
        const int *fd = events[i].data.ptr;
        if (recv(*fd, buffer, size, 0) < 0)
            continue;
        load.count++;
        if (send(*fd, message, size, 0) < 0)
            fail("send");
    }
}

static void until(int64_t end)
{
    lost = 0;
    while (measure_now_ns() < end)
        turn();
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: udp_load PORT PID SOCKETS SIZE SECONDS\n");
        return 2;
    }
    load_open(argv[1], argv[2]);
    sockets = (int)number_of(argv[3]);
    size = (size_t)number_of(argv[4]);
    fds = load_alloc(sockets, sizeof *fds);
    message = load_alloc(1, size);
    buffer = load_alloc(1, size);
    for (int i = 0; i < sockets; i++) {
        fds[i] = load_connect(SOCK_DGRAM);
        load_watch(fds[i], &fds[i]);
    }
    send_all();
    load_measure(until, number_of(argv[5]));
    measure_result("lost", (double)lost, "times");
    return 0;
}
