/* Load for ws_: usage: ws_load PORT PID CONNECTIONS SIZE SECONDS WHAT PATH. CONNECTIONS WebSockets
 * are opened at PATH of 127.0.0.1:PORT, whose messages have SIZE bytes. WHAT is "echo": each
 * connection has one message in flight, which comes back; "room": the first one sends a message,
 * and the next when all have got it; "idle": nothing is sent. After a warm-up of 0.3 s it counts
 * messages that come for SECONDS, and reads the CPU clock of the server, process PID, at both ends.
 *
 * Prints `RESULT cpu_ns`, the server's per message that came, and `RESULT rate`, such messages per
 * second; of idle ones `RESULT idle_b`, resident bytes of the server per connection. A server that
 * does not speak WebSocket there is no match (2). One thread on epoll. */
#include "load.h"

enum { BUFFER = 65536 };

struct connection {
    int fd;
    size_t rest; /* bytes of a frame that have come */
};

static int is_room;
static unsigned char frame[BUFFER], buffer[BUFFER];
static size_t frame_length, reply; /* bytes of a frame to the server, and from it */
static struct connection *connections;
static long number, missing; /* missing: to how many the message in the room is on its way */
static const char *path;

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
    *c = (struct connection){.fd = load_connect(SOCK_STREAM)};
    shake_hands(c);
}

static void receive(void *connection)
{
    struct connection *c = connection;
    ssize_t n = read(c->fd, buffer, BUFFER);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        fail("the server closed a connection");
    if (c->rest == 0 && buffer[0] != 0x82)
        fail("a frame of another kind");
    c->rest += (size_t)n;
    for (; c->rest >= reply; c->rest -= reply) {
        load.count++;
        if (!is_room)
            say(c);
        else if (--missing == 0) {
            missing = number;
            say(&connections[0]);
        }
    }
}

/* ---- measuring ---- */

static void open_some(long from, long to)
{
    for (long i = from; i < to; i++)
        connect_one(&connections[i]);
}

static void measure(double seconds)
{
    open_some(0, number);
    (void)poll(NULL, 0, LOAD_MOMENT_MS); /* until all are in the room */
    missing = number;
    for (long i = 0; i < number; i++) {
        load_watch(connections[i].fd, &connections[i]);
        if (!is_room || i == 0)
            say(&connections[i]);
    }
    load_measure(load_until, seconds);
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "usage: ws_load PORT PID CONNECTIONS SIZE SECONDS WHAT PATH\n");
        return 2;
    }
    load_open(argv[1], argv[2]);
    load.receive = receive;
    number = (long)number_of(argv[3]);
    path = argv[7];
    is_room = strcmp(argv[6], "room") == 0;
    make_frame((size_t)number_of(argv[4]));
    connections = load_alloc((double)number, sizeof *connections);
    if (strcmp(argv[6], "idle") == 0)
        load_measure_idle(open_some, number);
    else
        measure(number_of(argv[5]));
    return 0;
}
