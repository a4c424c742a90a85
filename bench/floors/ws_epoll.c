/* Floor of ws_ on epoll: one thread, level-triggered, one read for what has come and one write for
 * each message, no records but the kernel's, one buffer for all connections. Frames are taken to be
 * whole, unfragmented, of at most 64 KiB, and no control frames, as those of ws_load are; they are
 * unmasked in place, and what goes out is what came in, without its mask. Connections to /ws_room
 * get what each of them says. Runs until it is killed. */
#define _GNU_SOURCE
#include "echo_listen.h"

#include <errno.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

enum { EVENTS = 1024, CONNECTIONS = 65536, BUFFER = 65536 + 64 };

static enum { NEW, ECHO, ROOM } states[CONNECTIONS];
static int room[CONNECTIONS], room_count;
static unsigned char buffer[BUFFER];

static void leave(int fd)
{
    for (int i = 0; i < room_count && states[fd] == ROOM; i++)
        if (room[i] == fd)
            room[i--] = room[--room_count];
    states[fd] = NEW;
    close(fd);
}

static int shake_hands(int fd, size_t size)
{
    char text[256], accept[32];
    unsigned char digest[20];
    buffer[size] = '\0';
    char *key = strcasestr((char *)buffer, "sec-websocket-key: ");
    if (key == NULL)
        return -1;
    int n = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    SHA1((unsigned char *)text, (size_t)n, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
    n = snprintf(text, sizeof text,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n\r\n",
                 accept);
    states[fd] = strncmp((char *)buffer, "GET /ws_room ", 13) == 0 ? ROOM : ECHO;
    if (states[fd] == ROOM)
        room[room_count++] = fd;
    return write(fd, text, (size_t)n) == n ? 0 : -1;
}

static int send_frame(int fd, const unsigned char *frame, size_t size)
{
    if (states[fd] == ECHO)
        return write(fd, frame, size) == (ssize_t)size ? 0 : -1;
    for (int i = 0; i < room_count; i++)
        if (write(room[i], frame, size) != (ssize_t)size)
            return -1;
    return 0;
}

/* Sends the message at `at` back, and returns where the next one begins; NULL when it fails. */
static unsigned char *answer(int fd, unsigned char *at)
{
    size_t length = at[1] & 0x7f, head = 2;
    if (length == 126) {
        length = (size_t)at[2] << 8 | at[3];
        head = 4;
    }
    unsigned char *mask = at + head, *data = mask + 4, *out = at + 4;
    for (size_t i = 0; i < length; i++)
        data[i] ^= mask[i % 4];
    memmove(out, at, head);
    out[1] &= 0x7f;
    return send_frame(fd, out, head + length) == 0 ? data + length : NULL;
}

static int receive(int fd)
{
    ssize_t n = read(fd, buffer, BUFFER - 64);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    if (states[fd] == NEW)
        return shake_hands(fd, (size_t)n);
    for (unsigned char *at = buffer; at < buffer + n;)
        if ((at = answer(fd, at)) == NULL)
            return -1;
    return 0;
}

int main(void)
{
    static struct epoll_event events[EVENTS];
    int listener = echo_listen(SOCK_NONBLOCK), epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1), fd;
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd != listener) {
                if (receive(events[i].data.fd) < 0)
                    leave(events[i].data.fd);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                if (fd >= CONNECTIONS)
                    exit(1);
                event.data.fd = fd;
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
