/* How a server of the benchmarks begins: it listens on a free port, and says which. */
#ifndef COIR_BENCH_LISTEN_H
#define COIR_BENCH_LISTEN_H

#include <stdio.h>
#include <string.h>

#include <coir/tcp.h>

/* Listens at address, which ends in port 0, and prints `PORT n`. */
static inline int bench_listen(const char *address, coir_listener **ret_listener)
{
    char text[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen(address, NULL, ret_listener));
    COIR_TRY(coir_listener_address(*ret_listener, text, sizeof text));
    printf("PORT %s\n", strrchr(text, ':') + 1);
    (void)fflush(stdout);
    return 0;
}

#endif
