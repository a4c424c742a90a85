/* udp.c: sockets for datagrams: opening and closing them, and one datagram at a time.
 *
 * Only public calls are used, as everywhere in net. Called by programs.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include <coir/group.h>
#include <coir/memory.h>

#include "net.h"
#include "udp.h"

#define SHORTEST_PAUSE COIR_MS(1)
#define LONGEST_PAUSE COIR_MS(64)

/* ---- opening ---- */

static int set_number(coir_socket *socket, int level, int name, size_t number)
{
    int value = number < INT_MAX ? (int)number : INT_MAX;
    return coir_socket_set_option(socket, level, name, &value, sizeof value);
}

static int set_options(coir_udp *udp, int family, const coir_udp_opts *opts)
{
    coir_socket *socket = udp->socket;
    int r = 0;
    if (opts->receive_buffer > 0)
        r = set_number(socket, SOL_SOCKET, SO_RCVBUF, opts->receive_buffer);
    if (r == 0 && opts->send_buffer > 0)
        r = set_number(socket, SOL_SOCKET, SO_SNDBUF, opts->send_buffer);
    if (r == 0 && opts->reuse_port)
        r = set_number(socket, SOL_SOCKET, SO_REUSEPORT, 1);
    if (r == 0 && opts->broadcast)
        r = set_number(socket, SOL_SOCKET, SO_BROADCAST, 1);
    if (r == 0 && opts->only_ipv6 && family == AF_INET6)
        r = set_number(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    return r;
}

/* Asks for runs. Without them, or without memory for one, each datagram comes by itself. */
static void set_gather(coir_udp *udp, const coir_udp_opts *opts)
{
    if (!opts->gather)
        return;
    udp->run = coir_alloc(sizeof *udp->run + COIR__UDP_RUN);
    if (udp->run == NULL)
        return;
    udp->run->left = 0;
    if (set_number(udp->socket, IPPROTO_UDP, UDP_GRO, 1) < 0) {
        coir_free(udp->run);
        udp->run = NULL;
    }
}

static int udp_new(coir_udp **ret_udp)
{
    coir_udp *udp = coir_calloc(1, sizeof *udp);
    if (udp == NULL)
        return -ENOMEM;
    *ret_udp = udp;
    return 0;
}

static int open_udp(coir_udp *udp, const coir_address *local, const coir_address *remote,
                    const coir_udp_opts *opts)
{
    int family = local != NULL ? local->storage.ss_family : remote->storage.ss_family;
    int r = coir_socket_open(family, SOCK_DGRAM, &udp->socket);
    if (r == 0)
        r = set_options(udp, family, opts);
    if (r == 0 && local != NULL)
        r = coir_socket_bind(udp->socket, coir__net_plain(local), local->length);
    if (r == 0 && remote != NULL)
        r = coir_socket_connect(udp->socket, coir__net_plain(remote), remote->length);
    udp->segments = !opts->separate;
    if (r == 0)
        set_gather(udp, opts);
    return r;
}

/* The address of text, or none. Of localhost: IPv4. */
static int read_address(const char *text, coir_address *storage, const coir_address **ret_address)
{
    *ret_address = NULL;
    if (text == NULL)
        return 0;
    COIR_TRY(coir__address_local(text, storage));
    *ret_address = storage;
    return 0;
}

int coir_udp_open(const char *local, const char *remote, const coir_udp_opts *opts,
                  coir_udp **ret_udp)
{
    static const coir_udp_opts defaults;
    coir_address storage[2];
    const coir_address *here, *there;
    if (ret_udp == NULL || (local == NULL && remote == NULL))
        return -EINVAL;
    COIR_TRY(read_address(local, &storage[0], &here));
    COIR_TRY(read_address(remote, &storage[1], &there));
    COIR_AUTO(coir_udp) *udp = NULL;
    int r = udp_new(&udp);
    if (r == 0)
        r = open_udp(udp, here, there, opts != NULL ? opts : &defaults);
    if (r < 0)
        return coir__net_failed(r, there != NULL ? "connect" : "bind",
                                there != NULL ? remote : local);
    *ret_udp = COIR_TAKE(udp);
    return 0;
}

/* ---- Unix sockets ---- */

static int bind_path(coir_udp *udp, const char *path, const coir_udp_opts *opts)
{
    coir_address address;
    COIR_TRY(coir_address_unix(path, &address));
    int r = coir__net_bind_unix(udp->socket, SOCK_DGRAM, &address, path);
    if (r < 0 || path[0] == '@')
        return r;
    size_t size = strlen(path) + 1;
    udp->path = coir_alloc(size);
    if (udp->path == NULL) {
        (void)coir_socket_remove_path(udp->socket, path);
        return -ENOMEM;
    }
    memcpy(udp->path, path, size);
    return opts->mode != 0 ? coir_socket_set_path_mode(path, opts->mode) : 0;
}

static int open_unix(coir_udp *udp, const char *local, const char *remote,
                     const coir_udp_opts *opts)
{
    udp->unix_address = true;
    int r = coir_socket_open(AF_UNIX, SOCK_DGRAM, &udp->socket);
    if (r == 0)
        r = set_options(udp, AF_UNIX, opts);
    if (r == 0 && local != NULL)
        r = bind_path(udp, local, opts);
    if (r == 0 && remote != NULL) {
        coir_address address;
        COIR_TRY(coir_address_unix(remote, &address));
        r = coir_socket_connect(udp->socket, coir__net_plain(&address), address.length);
    }
    return r;
}

int coir_udp_open_unix(const char *local, const char *remote, const coir_udp_opts *opts,
                       coir_udp **ret_udp)
{
    static const coir_udp_opts defaults;
    if (ret_udp == NULL || (local == NULL && remote == NULL))
        return -EINVAL;
    COIR_AUTO(coir_udp) *udp = NULL;
    int r = udp_new(&udp);
    if (r == 0)
        r = open_unix(udp, local, remote, opts != NULL ? opts : &defaults);
    if (r == -COIR_EADDRESS)
        return r;
    if (r < 0)
        return coir__net_failed(r, remote != NULL ? "connect" : "bind",
                                remote != NULL ? remote : local);
    *ret_udp = COIR_TAKE(udp);
    return 0;
}

int coir_udp_adopt(int fd, coir_udp **ret_udp)
{
    coir_address address = {.length = sizeof address.storage};
    COIR_AUTO(coir_udp) *udp = NULL;
    if (ret_udp == NULL)
        return -EINVAL;
    if (getsockname(fd, (struct sockaddr *)&address.storage, &address.length) < 0)
        return -errno;
    COIR_TRY(udp_new(&udp));
    COIR_TRY(coir_socket_adopt_as(fd, SOCK_DGRAM, false, &udp->socket));
    udp->unix_address = address.storage.ss_family == AF_UNIX;
    udp->segments = !udp->unix_address;
    *ret_udp = COIR_TAKE(udp);
    return 0;
}

int coir_udp_pair(coir_udp **ret_one, coir_udp **ret_other)
{
    COIR_AUTO(coir_udp) *one = NULL;
    COIR_AUTO(coir_udp) *other = NULL;
    if (ret_one == NULL || ret_other == NULL)
        return -EINVAL;
    COIR_TRY(udp_new(&one));
    COIR_TRY(udp_new(&other));
    COIR_TRY(coir_socket_pair(SOCK_DGRAM, &one->socket, &other->socket));
    one->unix_address = other->unix_address = true;
    *ret_one = COIR_TAKE(one);
    *ret_other = COIR_TAKE(other);
    return 0;
}

/* ---- closing ---- */

static void udp_free(coir_udp *udp)
{
    coir_free(udp->run);
    coir_free(udp->path);
    coir_free(udp);
}

void coir__udp_drop(coir_udp *udp)
{
    if (--udp->users == 0 && udp->closed)
        udp_free(udp);
}

void coir_udp_close(coir_udp *udp)
{
    if (udp == NULL)
        return;
    if (udp->path != NULL)
        (void)coir_socket_remove_path(udp->socket, udp->path);
    coir_socket_close(COIR_TAKE(udp->socket));
    udp->closed = true;
    if (udp->users == 0)
        udp_free(udp);
}

/* ---- one datagram ---- */

/* from may be NULL. */
static int receive_one(coir_udp *udp, void *data, size_t size, size_t *ret_length,
                       coir_address *from)
{
    struct iovec vector = {data, size};
    coir_message message;
    message.header = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
    if (from != NULL) {
        message.header.msg_name = &from->storage;
        message.header.msg_namelen = sizeof from->storage;
    }
    size_t count;
    int r = coir_socket_receive(udp->socket, &message, 1, MSG_TRUNC, &count);
    if (r < 0)
        return r;
    *ret_length = message.length;
    if (from != NULL)
        from->length = message.header.msg_namelen;
    return message.length > size ? -EMSGSIZE : 0;
}

static int receive_piece(coir_udp *udp, void *data, size_t size, size_t *ret_length,
                         coir_address *from)
{
    coir_datagram datagram = {.data = data, .size = size};
    int r = coir__udp_receive_of_run(udp, &datagram);
    if (r < 0)
        return r;
    *ret_length = datagram.length;
    if (from != NULL)
        *from = datagram.address;
    return datagram.cut ? -EMSGSIZE : 0;
}

int coir_udp_receive(coir_udp *udp, void *data, size_t size, size_t *ret_length,
                     coir_address *ret_from)
{
    if (udp == NULL || (data == NULL && size > 0) || ret_length == NULL)
        return -EINVAL;
    udp->users++;
    int r = udp->run != NULL ? receive_piece(udp, data, size, ret_length, ret_from)
                             : receive_one(udp, data, size, ret_length, ret_from);
    coir__udp_drop(udp);
    return r;
}

static int send_patiently(coir_udp *udp, coir_message *messages, size_t count, size_t *ret_count)
{
    for (coir_time pause = SHORTEST_PAUSE;; pause = pause < LONGEST_PAUSE ? 2 * pause : pause) {
        if (udp->closed)
            return -COIR_ECLOSED;
        int r = coir_socket_send(udp->socket, messages, count, MSG_DONTWAIT, ret_count);
        if (r != -EAGAIN)
            return r;
        r = coir_sleep(pause);
        if (r < 0)
            return r;
    }
}

int coir__udp_send_some(coir_udp *udp, coir_message *messages, size_t count, size_t *ret_count)
{
    if (udp->sending)
        return -EBUSY;
    if (!udp->unix_address || messages->header.msg_namelen == 0)
        return coir_socket_send(udp->socket, messages, count, 0, ret_count);
    udp->sending = true;
    int r = send_patiently(udp, messages, count, ret_count);
    udp->sending = false;
    return r;
}

int coir_udp_send(coir_udp *udp, const void *data, size_t size, const coir_address *to)
{
    if (udp == NULL || (data == NULL && size > 0))
        return -EINVAL;
    struct iovec vector = {(void *)(uintptr_t)data, size};
    coir_message message = {.header = {.msg_iov = &vector, .msg_iovlen = 1}};
    if (to != NULL && to->length > 0) {
        message.header.msg_name = (void *)(uintptr_t)&to->storage;
        message.header.msg_namelen = to->length;
    }
    size_t count;
    udp->users++;
    int r = coir__udp_send_some(udp, &message, 1, &count);
    coir__udp_drop(udp);
    return r;
}

/* ---- the rest ---- */

int coir_udp_address(coir_udp *udp, char *text, size_t size)
{
    coir_address address = {.length = sizeof address.storage};
    if (udp == NULL)
        return -EINVAL;
    COIR_TRY(coir_socket_address(udp->socket, false, (struct sockaddr *)&address.storage,
                                 &address.length));
    return coir__address_text(&address, text, size);
}

coir_socket *coir_udp_socket(const coir_udp *udp)
{
    return udp->socket;
}
