/* udp_batch.c: many datagrams in one call, and what the kernel takes or gives as one.
 *
 * Sending, neighbours of one length to one address become one message that the kernel (or the
 * network card) takes apart: UDP_SEGMENT. Whatever it does not like about that is no failure: the
 * same datagrams go one by one, from then on. Receiving, what the kernel has put together (UDP_GRO)
 * comes into a buffer of the socket's and is handed out piece by piece, so that nobody sees it.
 * Called by programs, and by udp.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include <coir/scope.h>
#include <coir/task.h>

#include "net.h"
#include "udp.h"

#define BATCH 64          /* messages in one system call; and what every kernel takes as one */
#define LARGEST_RUN 65000 /* bytes of a message that is taken apart */

/* ---- receiving what the kernel gave as one ---- */

static size_t piece_of(const coir_message *message)
{
    struct msghdr *header = (struct msghdr *)(uintptr_t)&message->header;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        int piece;
        if (part->cmsg_level != IPPROTO_UDP || part->cmsg_type != UDP_GRO)
            continue;
        memcpy(&piece, CMSG_DATA(part), sizeof piece);
        return piece > 0 ? (size_t)piece : message->length;
    }
    return message->length;
}

static int fetch_run(coir_udp *udp)
{
    struct coir__udp_run *run = udp->run;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {run->data, COIR__UDP_RUN};
    coir_message message = {.header = {.msg_name = &run->from.storage,
                                       .msg_namelen = sizeof run->from.storage,
                                       .msg_iov = &vector,
                                       .msg_iovlen = 1,
                                       .msg_control = control,
                                       .msg_controllen = sizeof control}};
    size_t count;
    int r = coir_socket_receive(udp->socket, &message, 1, 0, &count);
    if (r < 0)
        return r;
    run->from.length = message.header.msg_namelen;
    run->next = run->data;
    run->left = message.length;
    run->piece = piece_of(&message);
    return 0;
}

/* An empty datagram is a run of its own, of no pieces: it has to be handed out at once. */
static void take_piece(struct coir__udp_run *run, coir_datagram *datagram)
{
    size_t length = run->left < run->piece ? run->left : run->piece;
    size_t n = length < datagram->size ? length : datagram->size;
    if (n > 0)
        memcpy(datagram->data, run->next, n);
    datagram->cut = n < length;
    datagram->length = length;
    datagram->address = run->from;
    run->next += length;
    run->left -= length;
}

int coir__udp_receive_of_run(coir_udp *udp, coir_datagram *datagram)
{
    if (coir_current() == NULL)
        return -COIR_ENOTASK;
    if (udp->receiving)
        return -EBUSY;
    int r = coir_pending();
    if (r == 0 && udp->run->left == 0) {
        udp->receiving = true;
        r = fetch_run(udp);
        udp->receiving = false;
    }
    if (r == 0)
        take_piece(udp->run, datagram);
    return r;
}

static int receive_run(coir_udp *udp, coir_datagram *datagrams, size_t count, size_t *ret_count)
{
    size_t done = 0;
    do {
        int r = coir__udp_receive_of_run(udp, &datagrams[done]);
        if (r < 0)
            return r;
    } while (++done < count && udp->run->left > 0);
    *ret_count = done;
    return 0;
}

/* ---- receiving many ---- */

static int receive_many(coir_udp *udp, coir_datagram *datagrams, size_t count, size_t *ret_count)
{
    struct iovec vectors[BATCH];
    coir_message messages[BATCH];
    count = count < BATCH ? count : BATCH;
    for (size_t i = 0; i < count; i++) {
        coir_datagram *datagram = &datagrams[i];
        vectors[i] = (struct iovec){datagram->data, datagram->size};
        messages[i] = (coir_message){.header = {.msg_name = &datagram->address.storage,
                                                .msg_namelen = sizeof datagram->address.storage,
                                                .msg_iov = &vectors[i],
                                                .msg_iovlen = 1}};
    }
    int r = coir_socket_receive(udp->socket, messages, count, 0, ret_count);
    for (size_t i = 0; r == 0 && i < *ret_count; i++) {
        datagrams[i].cut = messages[i].header.msg_flags & MSG_TRUNC;
        datagrams[i].length = messages[i].length;
        datagrams[i].address.length = messages[i].header.msg_namelen;
    }
    return r;
}

int coir_udp_receive_batch(coir_udp *udp, coir_datagram *datagrams, size_t count, size_t *ret_count)
{
    if (udp == NULL || datagrams == NULL || count == 0 || ret_count == NULL)
        return -EINVAL;
    udp->users++;
    int r = udp->run != NULL ? receive_run(udp, datagrams, count, ret_count)
                             : receive_many(udp, datagrams, count, ret_count);
    for (size_t i = 0; r == 0 && i < *ret_count; i++)
        if (datagrams[i].cut)
            datagrams[i].length = datagrams[i].size; /* what is at data */
    coir__udp_drop(udp);
    return r;
}

/* ---- sending many ---- */

/* What goes to the kernel in one call. */
struct batch {
    coir_message messages[BATCH];
    size_t datagrams[BATCH]; /* of each message */
    struct iovec vectors[BATCH];
    struct {
        _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } controls[BATCH / 2]; /* a run has two datagrams at least */
    size_t count, vector_count, control_count;
};

static bool same_address(const coir_address *a, const coir_address *b)
{
    return a->length == b->length && memcmp(&a->storage, &b->storage, a->length) == 0;
}

/* How many datagrams, of count at most, can be one message: all as long as the first, but for the
 * last, which may be shorter. */
static size_t run_length(const coir_udp *udp, const coir_datagram *first, size_t count)
{
    size_t total = first->length, n = 1;
    if (!udp->segments || udp->unix_address || first->length == 0)
        return 1;
    while (n < count && first[n].length > 0 && first[n].length <= first->length &&
           total + first[n].length <= LARGEST_RUN &&
           same_address(&first[n].address, &first->address)) {
        total += first[n].length;
        if (first[n++].length < first->length)
            break;
    }
    return n;
}

static void ask_to_segment(struct batch *batch, struct msghdr *header, size_t piece)
{
    uint16_t size = (uint16_t)piece;
    header->msg_control = &batch->controls[batch->control_count++];
    header->msg_controllen = sizeof batch->controls[0].bytes;
    memset(header->msg_control, 0, header->msg_controllen);
    struct cmsghdr *part = CMSG_FIRSTHDR(header);
    part->cmsg_level = IPPROTO_UDP;
    part->cmsg_type = UDP_SEGMENT;
    part->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(part), &size, sizeof size);
}

/* Adds a message of n datagrams. */
static void add_message(struct batch *batch, const coir_datagram *datagrams, size_t n)
{
    coir_message *message = &batch->messages[batch->count];
    *message = (coir_message){
        .header = {.msg_iov = &batch->vectors[batch->vector_count], .msg_iovlen = n}};
    if (datagrams->address.length > 0) {
        message->header.msg_name = (void *)(uintptr_t)&datagrams->address.storage;
        message->header.msg_namelen = datagrams->address.length;
    }
    if (n > 1)
        ask_to_segment(batch, &message->header, datagrams->length);
    for (size_t i = 0; i < n; i++)
        batch->vectors[batch->vector_count++] =
            (struct iovec){datagrams[i].data, datagrams[i].length};
    batch->datagrams[batch->count++] = n;
}

/* As many of count datagrams as go into one call. */
static void fill(const coir_udp *udp, struct batch *batch, const coir_datagram *datagrams,
                 size_t count)
{
    batch->count = batch->vector_count = batch->control_count = 0;
    count = count < BATCH ? count : BATCH;
    while (batch->vector_count < count) {
        const coir_datagram *first = &datagrams[batch->vector_count];
        add_message(batch, first, run_length(udp, first, count - batch->vector_count));
    }
}

/* Whether a message of several may have been refused because it is one. */
static bool is_refused(int code)
{
    return code == -EINVAL || code == -EMSGSIZE || code == -EIO || code == -EOPNOTSUPP ||
           code == -ENOPROTOOPT;
}

/* Sends some of count datagrams. */
static int send_some(coir_udp *udp, const coir_datagram *datagrams, size_t count, size_t *ret_sent)
{
    struct batch batch;
    size_t messages = 0;
    fill(udp, &batch, datagrams, count);
    int r = coir__udp_send_some(udp, batch.messages, batch.count, &messages);
    if (is_refused(r) && batch.datagrams[0] > 1 && !udp->closed) {
        udp->segments = false;
        return 0;
    }
    for (size_t i = 0; r == 0 && i < messages; i++)
        *ret_sent += batch.datagrams[i];
    return r;
}

int coir_udp_send_batch(coir_udp *udp, const coir_datagram *datagrams, size_t count,
                        size_t *ret_sent)
{
    size_t sent = 0;
    if (udp == NULL || (datagrams == NULL && count > 0))
        return -EINVAL;
    int r = 0;
    udp->users++;
    while (r == 0 && sent < count)
        r = udp->closed ? -COIR_ECLOSED : send_some(udp, datagrams + sent, count - sent, &sent);
    coir__udp_drop(udp);
    if (ret_sent != NULL)
        *ret_sent = sent;
    return r;
}
