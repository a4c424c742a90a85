/* net_datagram.h: for tests of datagrams: sockets on free addresses, and tasks that wait for one.
 */
#ifndef COIR_TESTS_NET_DATAGRAM_H
#define COIR_TESTS_NET_DATAGRAM_H

#include <coir/udp.h>

#include "net_pair.h"

/* A socket on a free port, and its address in both forms. */
static inline int open_somewhere(const coir_udp_opts *opts, coir_udp **ret_udp,
                                 char name[COIR_ADDRESS_TEXT], coir_address *ret_address)
{
    COIR_AUTO(coir_udp) *udp = NULL;
    COIR_TRY(coir_udp_open("127.0.0.1:0", NULL, opts, &udp));
    COIR_TRY(coir_udp_address(udp, name, COIR_ADDRESS_TEXT));
    COIR_TRY(coir_address_parse(name, ret_address));
    *ret_udp = COIR_TAKE(udp);
    return 0;
}

/* Declares two sockets on free ports for the rest of a test, with NAME_name and NAME_address. */
#define TWO_SOCKETS(a, b, opts_of_b)                                                               \
    PATIENCE;                                                                                      \
    COIR_AUTO(coir_udp) *a = NULL;                                                                 \
    COIR_AUTO(coir_udp) *b = NULL;                                                                 \
    char a##_name[COIR_ADDRESS_TEXT], b##_name[COIR_ADDRESS_TEXT];                                 \
    coir_address a##_address, b##_address;                                                         \
    COIR_REQUIRE_OK(open_somewhere(NULL, &a, a##_name, &a##_address));                             \
    COIR_REQUIRE_OK(open_somewhere((opts_of_b), &b, b##_name, &b##_address))

/* Receives a short one and compares it. */
static inline int receive_text(coir_udp *udp, const char *text)
{
    char data[256];
    size_t length;
    int r = coir_udp_receive(udp, data, sizeof data, &length, NULL);
    if (r < 0)
        return r;
    return length == strlen(text) && memcmp(data, text, length) == 0 ? 0 : -EBADMSG;
}

static inline int receive_one(void *arg)
{
    char data[256];
    size_t length;
    return coir_udp_receive(arg, data, sizeof data, &length, NULL);
}

/* As receive_one, without waiting: -EAGAIN. */
static inline int try_receive(coir_udp *udp, void *data, size_t size)
{
    struct iovec vector = {data, size};
    coir_message message = {.header = {.msg_iov = &vector, .msg_iovlen = 1}};
    size_t count;
    return coir_socket_receive(coir_udp_socket(udp), &message, 1, MSG_DONTWAIT, &count);
}

static inline int send_text(coir_udp *udp, const char *text, const coir_address *to)
{
    return coir_udp_send(udp, text, strlen(text), to);
}

#endif
