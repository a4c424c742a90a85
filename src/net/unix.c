/* unix.c: Unix sockets: pairs, and names in the file system: taking over what a dead owner has
 * left.
 *
 * A name stays behind when its owner dies, and binding to it then fails. Whether somebody is there
 * only a connection tells. Called by programs, and by listener.c and udp.c.
 */
#include <errno.h>

#include <coir/socket.h>
#include <coir/tcp.h>

#include "net.h"

/* Whether nobody is at address any more. Returns 1 or 0, or why that cannot be said. */
static int is_stale(int type, const coir_address *address)
{
    COIR_AUTO(coir_socket) *probe = NULL;
    int r = coir_socket_open(AF_UNIX, type, &probe);
    if (r == 0)
        r = coir_socket_connect(probe, coir__net_plain(address), address->length);
    if (r == -ECONNREFUSED || r == -ENOENT)
        return 1;
    /* A full queue; a socket of another type; one that is connected to somebody else. */
    return r == -EAGAIN || r == -EPROTOTYPE || r == -EPERM ? 0 : r;
}

int coir__net_bind_unix(coir_socket *socket, int type, const coir_address *address,
                        const char *path)
{
    int r = coir_socket_bind(socket, coir__net_plain(address), address->length);
    if (r != -EADDRINUSE || path[0] == '@')
        return r;
    int stale = is_stale(type, address);
    if (stale <= 0)
        return stale == 0 ? r : stale;
    r = coir_socket_remove_path(NULL, path);
    if (r < 0 && r != -ENOENT)
        return r == -ENOTSOCK ? -EADDRINUSE : r; /* some other file: not ours to remove */
    return coir_socket_bind(socket, coir__net_plain(address), address->length);
}

int coir_unix_pair(coir_stream **ret_one, coir_stream **ret_other)
{
    COIR_AUTO(coir_socket) *one = NULL;
    COIR_AUTO(coir_socket) *other = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    if (ret_one == NULL || ret_other == NULL)
        return -EINVAL;
    COIR_TRY(coir_socket_pair(SOCK_STREAM, &one, &other));
    COIR_TRY(coir_stream_from_socket(one, &stream));
    (void)COIR_TAKE(one);
    COIR_TRY(coir_stream_from_socket(other, ret_other));
    (void)COIR_TAKE(other);
    *ret_one = COIR_TAKE(stream);
    return 0;
}
