/* udp.h: the record of a socket for datagrams, shared by udp.c (opening, one datagram) and
 * udp_batch.c (many, and what the kernel takes or gives as one).
 *
 * Messages lie on the stacks of the calls that wait. Each call is a user; a socket that is closed
 * meanwhile is freed by the last one.
 */
#ifndef COIR_NET_UDP_H
#define COIR_NET_UDP_H

#include <coir/udp.h>

/* Datagrams that the kernel gave as one: still to be handed out are left bytes from next, in pieces
 * of piece bytes; the last may be shorter. */
struct coir__udp_run {
    char *next;
    size_t left, piece;
    coir_address from;
    char data[]; /* COIR__UDP_RUN */
};

#define COIR__UDP_RUN 65536

struct coir_udp {
    coir_socket *socket;
    char *path; /* to be removed; NULL: none */
    unsigned users;
    bool closed;
    bool unix_address;         /* the family's */
    bool receiving;            /* somebody is in between, with a run */
    bool sending;              /* the same, to a full Unix socket */
    bool segments;             /* several may be sent as one */
    struct coir__udp_run *run; /* NULL: the kernel gives each by itself */
};

/* Ends a use of udp, which may have been closed meanwhile. */
void coir__udp_drop(coir_udp *udp);

/* Sends some of count messages, at least one. As coir_socket_send, but waits for Unix sockets whose
 * queue is full, which tell nobody when they have room again. */
int coir__udp_send_some(coir_udp *udp, coir_message *messages, size_t count, size_t *ret_count);

/* Hands out the next of a run, which is fetched when there is none. */
int coir__udp_receive_of_run(coir_udp *udp, coir_datagram *datagram);

#endif
