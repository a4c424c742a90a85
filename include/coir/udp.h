/* coir/udp.h: datagrams: UDP, and Unix sockets that keep messages apart.
 *
 *     static int answer(void *arg)
 *     {
 *         COIR_AUTO(coir_udp) *udp = NULL;
 *         COIR_TRY(coir_udp_open("127.0.0.1:5300", NULL, NULL, &udp));
 *         for (;;) {
 *             char data[1500];
 *             size_t length;
 *             coir_address from;
 *             int r = coir_udp_receive(udp, data, sizeof data, &length, &from);
 *             if (r == -EMSGSIZE)
 *                 continue;                        (too long for us: it was cut, drop it)
 *             COIR_TRY(r);
 *             COIR_TRY(coir_udp_send(udp, data, length, &from));
 *         }
 *     }
 *
 * One task receives while another sends; a second receiver or sender is refused with -EBUSY. What
 * arrives while nobody receives waits in the kernel, and is dropped by it when there is too much:
 * with UDP a datagram may be lost, come twice or in another order anyway. By Unix sockets nothing
 * is lost; a sender waits for room.
 */
#ifndef COIR_UDP_H
#define COIR_UDP_H

#include <coir/address.h>
#include <coir/socket.h>

COIR__BEGIN

/* A socket for datagrams; opaque. */
typedef struct coir_udp coir_udp;

/* Zero means the default for each field. */
typedef struct coir_udp_opts {
    size_t receive_buffer; /* bytes that may wait to be received; 0: as the system says */
    size_t send_buffer;    /* bytes that may wait to be sent; 0: as the system says */
    bool reuse_port;       /* share the address with other sockets that say so, one for each loop */
    bool broadcast;        /* allow sending to broadcast addresses */
    bool only_ipv6;        /* "[::]:53" does not receive from IPv4 */
    /* Let the kernel put datagrams of one sender together and take them as one (GRO), for those who
     * receive a lot; needs 64 KiB. The datagrams that come out are the same. Where the kernel does
     * not have it nothing changes. */
    bool gather;
    bool separate; /* never hand several datagrams to the kernel as one (GSO) */
    unsigned mode; /* permissions of the path, 0600; 0: as the process's mask leaves them (Unix) */
    size_t coir__reserved[6];
} coir_udp_opts;

/* Opens a socket for UDP. With local, "127.0.0.1:53", it has that address (port 0: one that is
 * free), else the system chooses. With remote it is connected: it sends there and receives from
 * there only, and is told when nobody is there. localhost is 127.0.0.1. opts may be NULL.
 * Returns 0, and writes *ret_udp. Errors: -COIR_EADDRESS, -EINVAL without both, -EAFNOSUPPORT when
 * one is IPv4 and the other IPv6, -EADDRINUSE and others of bind(2) and connect(2), -EMFILE,
 * -ENOMEM, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing is left. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_udp_open(const char *local, const char *remote, const coir_udp_opts *opts,
                                coir_udp **ret_udp);

/* As coir_udp_open, for Unix sockets: paths, or abstract names after '@'. local may be NULL: then
 * nobody can answer. A socket that a dead owner has left at local is replaced; the path is removed
 * when it is closed. opts may be NULL.
 * Returns 0, and writes *ret_udp. Errors: as coir_udp_open, and -ENOENT and -ECONNREFUSED when
 * nobody is at remote. Cancel safety: nothing is left. Thread safety: the loop's thread. */
COIR__CHECKED int coir_udp_open_unix(const char *local, const char *remote,
                                     const coir_udp_opts *opts, coir_udp **ret_udp);

/* Makes one of an open socket for datagrams, such as one that was inherited; coir_udp_opts.gather
 * is off.
 * Returns 0, and writes *ret_udp; fd is closed with it. Errors: -EBADF, -ENOTSOCK, -EPROTOTYPE when
 * it is another kind of socket, -ENOMEM, -EOPNOTSUPP on the simulated backend, -COIR_ENOTASK where
 * no loop runs; then fd stays the caller's. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_udp_adopt(int fd, coir_udp **ret_udp);

/* Opens two Unix sockets for datagrams that are connected to each other.
 * Returns 0, and writes *ret_one and *ret_other. Errors: -EMFILE, -ENOMEM, -EINVAL, -COIR_ENOTASK
 * where no loop runs. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_udp_pair(coir_udp **ret_one, coir_udp **ret_other);

/* Waits for a datagram, and receives it to data, size bytes at most. ret_from, which may be NULL,
 * gets the sender's address: length 0 when it has none (Unix).
 * Returns 0, and writes *ret_length, which may be 0. Errors: -EMSGSIZE when it was longer than
 * size: the first size bytes are at data, the rest is gone, and *ret_length is its whole length;
 * -ECONNREFUSED on a connected socket when nobody was there for an earlier one; -EBUSY while
 * another task receives, -COIR_ECLOSED when it is closed meanwhile, -EINVAL, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no datagram is lost. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_udp_receive(coir_udp *udp, void *data, size_t size, size_t *ret_length,
                                   coir_address *ret_from);

/* Sends a datagram of size bytes to an address, or, with NULL, to the one that udp is connected to.
 * It waits while the system has no room for it; that it left does not mean that it arrives.
 * Returns 0. Errors: -EMSGSIZE when it is too long, -ECONNREFUSED as for coir_udp_receive (then
 * this one was not sent), -EDESTADDRREQ or -ENOTCONN without an address, -EACCES for a broadcast
 * address without opts.broadcast, others of sendmsg(2), -EBUSY while another task sends,
 * -COIR_ECLOSED when it is closed meanwhile, -EINVAL, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED,
 * -ETIME. Cancel safety: nothing was sent. Thread safety: the loop's thread. */
COIR__CHECKED int coir_udp_send(coir_udp *udp, const void *data, size_t size,
                                const coir_address *to);

/* ---- many at once ---- */

/* One of several datagrams. data is the caller's. */
typedef struct coir_datagram {
    void *data;
    size_t size;          /* room at data, to receive; not looked at when sending */
    size_t length;        /* of what is at data */
    bool cut;             /* it was longer than size (receiving) */
    coir_address address; /* its sender; its receiver, with length 0 the one that is connected to */
} coir_datagram;

/* Waits until a datagram has arrived, and receives as many as there are, count at most.
 * Returns 0, and writes *ret_count (at least 1) and for each its length, cut and address; one that
 * was cut is no failure here. Errors: as coir_udp_receive, but for -EMSGSIZE. Cancel safety: no
 * datagram is lost. Thread safety: the loop's thread. */
COIR__CHECKED int coir_udp_receive_batch(coir_udp *udp, coir_datagram *datagrams, size_t count,
                                         size_t *ret_count);

/* Sends count datagrams in their order, waiting while there is no room. Neighbours of one length to
 * one address go to the kernel as one where it can take them apart (GSO).
 * Returns 0 when all were sent. *ret_sent, which may be NULL, gets how many were, in any case.
 * Errors: as coir_udp_send, for the first that was not sent. Cancel safety: those before *ret_sent
 * were sent, the others were not. Thread safety: the loop's thread. */
COIR__CHECKED int coir_udp_send_batch(coir_udp *udp, const coir_datagram *datagrams, size_t count,
                                      size_t *ret_sent);

/* ---- the rest ---- */

/* Writes udp's own address as text: "127.0.0.1:40123", or a path.
 * Returns 0. Errors: -ENOSPC when size is too small (COIR_ADDRESS_TEXT is enough), -EINVAL,
 * -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_udp_address(coir_udp *udp, char *text, size_t size);

/* The socket of udp, for options that are not offered here, such as multicast
 * (coir_socket_set_option). It stays udp's. Returns it. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
COIR__PUBLIC coir_socket *coir_udp_socket(const coir_udp *udp);

/* Closes udp and frees it; NULL is accepted. Tasks that wait for it get -COIR_ECLOSED. Cancel
 * safety: never waits, always closes. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_udp_close(coir_udp *udp);

COIR_CLOSER(coir_udp, coir_udp_close);

COIR__END
#endif
