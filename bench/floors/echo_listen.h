/* What the floors of echo/ share: a listening socket on a free port of 127.0.0.1, which is told as
 * `PORT n`. Accepted connections inherit TCP_NODELAY, as everywhere in these benchmarks. */
#ifndef COIR_BENCH_ECHO_LISTEN_H
#define COIR_BENCH_ECHO_LISTEN_H

#include "../measure.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* flags: SOCK_NONBLOCK or 0. */
static inline int echo_listen(int flags)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("listen");
        exit(1);
    }
    printf("PORT %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

#endif
