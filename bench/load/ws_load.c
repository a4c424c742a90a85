/* Load for ws_: usage: ws_load PORT PID CONNECTIONS SIZE SECONDS WHAT PATH. CONNECTIONS WebSockets
 * are opened at PATH of 127.0.0.1:PORT, whose messages have SIZE bytes. WHAT is "echo": each
 * connection has one message in flight, which comes back; "room": the first one sends a message,
 * and the next when all have got it; "idle": nothing is sent. After a warm-up of 0.3 s it counts
 * messages that come for SECONDS, and reads the CPU clock of the server, process PID, at both ends.
 *
 * Prints `RESULT cpu_ns`, the server's per message that came, and `RESULT rate`, such messages per
 * second; of idle ones `RESULT idle_b`, resident bytes of the server per connection. A server that
 * does not speak WebSocket there is no match (2). One thread on epoll. */
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

enum { EVENTS = 1024, BUFFER = 65536, STALL_MS = 2000, IDLE_FIRST = 1000, MOMENT_MS = 500 };

struct connection {
    int fd;
    size_t rest; /* bytes of a frame that have come */
};

static int epoll_fd, is_room;
static struct sockaddr_in address = {.sin_family = AF_INET};
static unsigned char frame[BUFFER], buffer[BUFFER];
static size_t frame_length, reply; /* bytes of a frame to the server, and from it */
static struct connection *connections;
static long number, count, missing; /* missing: to how many the message in the room is on its way */
static const char *path;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- one connection ---- */

/* Binary, masked, with the shortest length. */
static void make_frame(size_t size)
{
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    size_t at = 2;
    frame[0] = 0x82;
    frame[1] = (unsigned char)(0x80 | (size < 126 ? size : 126));
    if (size >= 126) {
        frame[at++] = (unsigned char)(size >> 8);
        frame[at++] = (unsigned char)size;
    }
    reply = at + size;
    memcpy(frame + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < size; i++)
        frame[at + i] = 'x' ^ mask[i % 4];
    frame_length = at + size;
}

static void say(const struct connection *c)
{
    if (write(c->fd, frame, frame_length) != (ssize_t)frame_length)
        fail("write");
}

/* The answer ends where its head does: nothing follows until something was said. */
static void shake_hands(const struct connection *c)
{
    char text[4096];
    size_t length = 0;
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n",
                     path);
    if (write(c->fd, text, (size_t)n) != n)
        fail("write");
    do {
        ssize_t more = read(c->fd, text + length, sizeof text - 1 - length);
        if (more <= 0)
            fail("no answer");
        length += (size_t)more;
        text[length] = '\0';
    } while (strstr(text, "\r\n\r\n") == NULL);
    if (strncmp(text, "HTTP/1.1 101 ", 13) != 0)
        exit(2); /* a peer without a match for this */
}

static void connect_one(struct connection *c)
{
    int one = 1;
    *c = (struct connection){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    shake_hands(c);
}

static void watch(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void receive(struct connection *c)
{
    ssize_t n = read(c->fd, buffer, BUFFER);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        fail("the server closed a connection");
    if (c->rest == 0 && buffer[0] != 0x82)
        fail("a frame of another kind");
    c->rest += (size_t)n;
    for (; c->rest >= reply; c->rest -= reply) {
        count++;
        if (!is_room)
            say(c);
        else if (--missing == 0) {
            missing = number;
            say(&connections[0]);
        }
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
    for (long i = 0; i < number; i++)
        connect_one(&connections[i]);
    (void)poll(NULL, 0, MOMENT_MS); /* until all are in the room */
    missing = number;
    for (long i = 0; i < number; i++) {
        watch(&connections[i]);
        if (!is_room || i == 0)
            say(&connections[i]);
    }
    until(measure_now_ns() + 300000000);
    count = 0;
    int64_t cpu = cpu_of(server), start = measure_now_ns();
    until(start + (int64_t)(seconds * 1e9));
    cpu = cpu_of(server) - cpu;
    double elapsed = (double)(measure_now_ns() - start) / 1e9;
    measure_result("cpu_ns", (double)cpu / (double)count, "ns");
    measure_result("rate", (double)count / elapsed, "/s");
}

static double resident(pid_t pid)
{
    char name[64], line[256];
    snprintf(name, sizeof name, "/proc/%d/status", pid);
    FILE *file = fopen(name, "r");
    if (file == NULL)
        fail(name);
    long kb = 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    fclose(file);
    return (double)kb * 1024;
}

static void measure_idle(pid_t server)
{
    for (long i = 0; i < IDLE_FIRST; i++)
        connect_one(&connections[i]);
    (void)poll(NULL, 0, MOMENT_MS);
    double before = resident(server);
    for (long i = IDLE_FIRST; i < number; i++)
        connect_one(&connections[i]);
    (void)poll(NULL, 0, MOMENT_MS);
    measure_result("idle_b", (resident(server) - before) / (double)(number - IDLE_FIRST), "B");
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "usage: ws_load PORT PID CONNECTIONS SIZE SECONDS WHAT PATH\n");
        return 2;
    }
    pid_t server = (pid_t)strtol(argv[2], NULL, 10);
    number = strtol(argv[3], NULL, 10);
    path = argv[7];
    is_room = strcmp(argv[6], "room") == 0;
    make_frame(strtoul(argv[4], NULL, 10));
    address.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connections = calloc((size_t)number, sizeof *connections);
    epoll_fd = epoll_create1(0);
    if (connections == NULL || epoll_fd < 0)
        fail("set-up");
    if (strcmp(argv[6], "idle") == 0)
        measure_idle(server);
    else
        measure(server, strtod(argv[5], NULL));
    return 0;
}
