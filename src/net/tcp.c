/* tcp.c: connecting to one address, by TCP and by Unix sockets.
 *
 * Only public calls are used, as everywhere in net. Each failure leaves a text with the address
 * that was tried; a cancellation leaves nothing but its code. Called by programs and by connect.c.
 */
#include <coir/tcp.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <coir/socket.h>

#include "net.h"

int coir__net_failed(int code, const char *what, const char *address)
{
    if (code == -ECANCELED || code == -ETIME || code == -COIR_ECLOSED)
        return code;
    return coir_fail(code, "%s %.100s: %s", what, address, coir_error_text(code));
}

/* ---- connecting ---- */

static int bind_local(coir_socket *socket, const coir_connect_opts *opts)
{
    if (opts->local == NULL)
        return 0;
    coir_address local;
    COIR_TRY(coir_address_parse(opts->local, &local));
    return coir_socket_bind(socket, coir__net_plain(&local), local.length);
}

static int set_tcp_number(coir_socket *socket, int name, int number)
{
    return number == 0 ? 0
                       : coir_socket_set_option(socket, IPPROTO_TCP, name, &number, sizeof number);
}

/* The most that the kernel takes. */
static int seconds(coir_time duration)
{
    enum { MOST = 32767 };
    coir_time whole = duration / COIR_SEC(1) + (duration % COIR_SEC(1) > 0);
    return whole > MOST ? MOST : (int)whole;
}

bool coir__net_may_keep_alive(const coir_keep_alive *keep_alive)
{
    return keep_alive->idle >= 0 && keep_alive->interval >= 0 && keep_alive->count >= 0 &&
           keep_alive->count <= 127;
}

int coir__net_set_tcp(coir_socket *socket, bool delay, const coir_keep_alive *keep_alive)
{
    int on = 1;
    if (!coir__net_may_keep_alive(keep_alive))
        return -EINVAL;
    int r = delay ? 0 : set_tcp_number(socket, TCP_NODELAY, 1);
    if (r < 0 || (keep_alive->idle == 0 && keep_alive->interval == 0 && keep_alive->count == 0))
        return r;
    r = coir_socket_set_option(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (r == 0)
        r = set_tcp_number(socket, TCP_KEEPIDLE, seconds(keep_alive->idle));
    if (r == 0)
        r = set_tcp_number(socket, TCP_KEEPINTVL, seconds(keep_alive->interval));
    if (r == 0)
        r = set_tcp_number(socket, TCP_KEEPCNT, keep_alive->count);
    return r;
}

void coir__net_tell(const coir_connect_opts *opts, coir_connect_event event)
{
    if (opts->trace != NULL)
        opts->trace(&event, opts->trace_arg);
}

static int connect_to(const coir_address *address, const coir_connect_opts *opts,
                      coir_stream **ret_stream)
{
    COIR_AUTO(coir_socket) *socket = NULL;
    bool tcp = address->storage.ss_family != AF_UNIX;
    int r = coir_socket_open(address->storage.ss_family, SOCK_STREAM, &socket);
    if (r == 0 && tcp)
        r = bind_local(socket, opts);
    if (r == 0 && tcp)
        r = coir__net_set_tcp(socket, opts->delay, &opts->keep_alive);
    if (r == 0)
        r = coir_socket_connect(socket, coir__net_plain(address), address->length);
    if (r == 0)
        r = coir_stream_from_socket(socket, ret_stream);
    if (r == 0)
        (void)COIR_TAKE(socket);
    return r;
}

int coir__net_connect(const coir_address *address, const coir_connect_opts *opts,
                      coir_stream **ret_stream)
{
    static const coir_connect_opts defaults;
    char text[COIR_ADDRESS_TEXT];
    opts = opts != NULL ? opts : &defaults;
    if (opts->trace == NULL)
        return connect_to(address, opts, ret_stream);
    (void)coir__address_text(address, text, sizeof text);
    coir_connect_event event = {
        .what = COIR_CONNECT_TRY, .text = text, .family = address->storage.ss_family};
    coir__net_tell(opts, event);
    event.what = COIR_CONNECT_TRIED;
    event.code = connect_to(address, opts, ret_stream);
    coir__net_tell(opts, event);
    return event.code;
}

int coir_unix_connect(const char *path, const coir_connect_opts *opts, coir_stream **ret_stream)
{
    coir_address address;
    COIR_TRY(coir_address_unix(path, &address));
    int r;
    /* A full queue gives no event when it has room again. */
    for (coir_time pause = COIR_MS(1);; pause = pause < COIR_MS(64) ? 2 * pause : pause) {
        r = coir__net_connect(&address, opts, ret_stream);
        if (r != -EAGAIN)
            break;
        COIR_TRY(coir_sleep(pause));
    }
    return r < 0 ? coir__net_failed(r, "connect", path) : 0;
}

/* ---- what a connection is called ---- */

int coir_stream_peer(coir_stream *stream, char *text, size_t size)
{
    coir_address address = {.length = sizeof address.storage};
    COIR_TRY(
        coir_stream_address(stream, true, (struct sockaddr *)&address.storage, &address.length));
    return coir__address_text(&address, text, size);
}
