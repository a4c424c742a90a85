/* Floor of udp_echo/ on epoll: one thread, one socket; after each event it receives and sends until
 * nothing is there. With the word `batch` up to 64 datagrams go in one call each way. Runs until it
 * is killed. */
#define _GNU_SOURCE
#include "../measure.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BATCH = 64, BUFFER = 2048 };

static int open_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)&address, length) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("bind");
        exit(1);
    }
    printf("PORT %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void echo(int fd)
{
    char data[BUFFER];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t n;
    while ((n = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &length)) >= 0)
        (void)!sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, length);
}

static void echo_batches(int fd)
{
    static char data[BATCH][BUFFER];
    static struct sockaddr_in from[BATCH];
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i] = (struct iovec){data[i], BUFFER};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                                  .msg_namelen = sizeof from[i],
                                                  .msg_iov = &vectors[i],
                                                  .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, messages, BATCH, 0, NULL);
        if (count <= 0)
            return;
        for (int i = 0; i < count; i++)
            vectors[i].iov_len = messages[i].msg_len;
        (void)!sendmmsg(fd, messages, (unsigned)count, 0);
    }
}

int main(int argc, char **argv)
{
    int batch = argc > 1 && !strcmp(argv[argc - 1], "batch");
    int fd = open_socket(), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    for (;;) {
        epoll_wait(epoll, &event, 1, -1);
        if (batch)
            echo_batches(fd);
        else
            echo(fd);
    }
}
