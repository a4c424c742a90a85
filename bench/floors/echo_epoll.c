/* Floor of echo/ and http/ on epoll: one thread, level-triggered, one read and one write for each
 * message, no records but the kernel's. One buffer serves all connections; with the word `own`
 * each one has its own, as a task that reads into its stack does, in one block without gaps. What
 * the peer does not take at once is copied and written when it does. With the word `http` it
 * answers requests, and with `http_close` one on each connection. Owns its connections; runs until
 * it is killed. */
#define _GNU_SOURCE
#include "echo_listen.h"
#include "http_replies.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 1024, CONNECTIONS = 65536, BUFFER = 65536, OWN = 16384, OWNED = 4096 };

static struct rest {
    char *data; /* NULL: nothing is left to be written */
    size_t first, end;
} rests[CONNECTIONS];

static int epoll_fd;
static char *own; /* OWNED buffers, or NULL */
static int http, closes;

static void watch(int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(epoll_fd, operation, fd, &event);
}

static void accept_all(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= CONNECTIONS)
            exit(1);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void write_rest(int fd, struct rest *rest)
{
    ssize_t n = write(fd, rest->data + rest->first, rest->end - rest->first);
    if (n > 0)
        rest->first += (size_t)n;
    if (rest->first < rest->end)
        return;
    free(rest->data);
    rest->data = NULL;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void keep_rest(int fd, const char *data, size_t size)
{
    char *copy = malloc(size);
    if (!copy)
        exit(1);
    memcpy(copy, data, size);
    rests[fd] = (struct rest){copy, 0, size};
    watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void answer(int fd, const char *data, size_t size)
{
    size_t length;
    const char *replies = http_replies(data, size, &length);
    if (write(fd, replies, length) != (ssize_t)length || closes)
        close(fd);
}

static void echo(int fd)
{
    static char shared[BUFFER];
    char *buffer = own && fd < OWNED ? own + (size_t)fd * OWN : shared;
    ssize_t n = read(fd, buffer, buffer == shared ? BUFFER : OWN);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            close(fd);
        return;
    }
    if (http) {
        answer(fd, buffer, (size_t)n);
        return;
    }
    ssize_t written = write(fd, buffer, (size_t)n);
    if (written < 0)
        written = 0;
    if (written < n)
        keep_rest(fd, buffer + written, (size_t)(n - written));
}

int main(int argc, char **argv)
{
    closes = !strcmp(argv[argc - 1], "http_close");
    http = closes || !strcmp(argv[argc - 1], "http");
    if (!strcmp(argv[argc - 1], "own"))
        own = malloc((size_t)OWNED * OWN);
    int listener = echo_listen(SOCK_NONBLOCK);
    epoll_fd = epoll_create1(0);
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                accept_all(listener);
            else if (rests[fd].data)
                write_rest(fd, &rests[fd]);
            else
                echo(fd);
        }
    }
}
