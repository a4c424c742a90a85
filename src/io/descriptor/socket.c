/* socket.c: the public calls on sockets: the backend's, with what they must check.
 *
 * A coir_socket is a coir__file without a stream: nothing else is kept for it. Accepting and
 * connecting wait as reads and writes do. Called by the net room, which sees only the public
 * header.
 */
#include <coir/socket.h>

#include "core/sys.h"
#include "io/descriptor/file.h"

static struct coir__file *file_of(coir_socket *socket)
{
    return (struct coir__file *)socket;
}

/* What is wrong with a call on socket that does not wait. */
static int check(coir_socket *socket)
{
    if (socket == NULL)
        return -EINVAL;
    if (file_of(socket)->stream.loop == coir__loop)
        return 0;
    return coir__refuse(file_of(socket)->stream.loop, NULL, -COIR_EWRONGLOOP);
}

int coir_socket_open(int domain, int type, coir_socket **ret_socket)
{
    struct coir_loop *loop = coir__loop;
    if (loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    struct coir__file *file;
    int r = loop->backend->file_socket(loop, domain, type, &file);
    if (r == 0)
        *ret_socket = (coir_socket *)file;
    return r;
}

int coir_socket_adopt(int fd, coir_socket **ret_socket)
{
    struct coir_loop *loop = coir__loop;
    if (loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    struct coir__file *file;
    int r = loop->backend->file_adopt(loop, fd, &file);
    if (r == 0)
        *ret_socket = (coir_socket *)file;
    return r;
}

/* Whether fd is what it should be. */
static int check_kind(int fd, int type, bool listens)
{
    int value = 0;
    socklen_t length = sizeof value;
    int r = coir__sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length);
    if (r == 0 && value != type)
        return -EPROTOTYPE;
    length = sizeof value;
    if (r == 0)
        r = coir__sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length);
    if (r == 0 && (value != 0) != listens)
        return -EPROTOTYPE;
    return r;
}

int coir_socket_adopt_as(int fd, int type, bool listens, coir_socket **ret_socket)
{
    if (coir__loop == NULL)
        return -COIR_ENOTASK;
    int r = coir__loop->backend->simulated ? -EOPNOTSUPP : check_kind(fd, type, listens);
    return r < 0 ? r : coir_socket_adopt(fd, ret_socket);
}

int coir_socket_pair(int type, coir_socket **ret_one, coir_socket **ret_other)
{
    struct coir_loop *loop = coir__loop;
    struct coir__file *files[2];
    if (ret_one == NULL || ret_other == NULL)
        return -EINVAL;
    if (loop == NULL)
        return -COIR_ENOTASK;
    int r = loop->backend->file_pair(loop, type, files);
    if (r < 0)
        return r;
    *ret_one = (coir_socket *)files[0];
    *ret_other = (coir_socket *)files[1];
    return 0;
}

int coir_socket_bind(coir_socket *socket, const struct sockaddr *address, socklen_t length)
{
    int r = check(socket);
    if (r < 0)
        return r;
    return coir__loop->backend->file_bind(coir__loop, file_of(socket), address, length);
}

int coir_socket_listen(coir_socket *socket, int backlog)
{
    int r = check(socket);
    return r < 0 ? r : coir__loop->backend->file_listen(coir__loop, file_of(socket), backlog);
}

int coir_socket_set_option(coir_socket *socket, int level, int name, const void *value,
                           socklen_t length)
{
    int r = check(socket);
    if (r < 0)
        return r;
    return coir__loop->backend->file_option(coir__loop, file_of(socket), level, name, value,
                                            length);
}

int coir_socket_address(coir_socket *socket, bool peer, struct sockaddr *ret_address,
                        socklen_t *length)
{
    int r = check(socket);
    if (r < 0)
        return r;
    return coir__loop->backend->file_name(coir__loop, file_of(socket), peer, ret_address, length);
}

int coir_socket_remove_path(coir_socket *socket, const char *path)
{
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    return coir__loop->backend->path_remove(coir__loop, path, file_of(socket));
}

int coir_socket_set_path_mode(const char *path, unsigned mode)
{
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    return coir__loop->backend->path_mode(coir__loop, path, mode);
}

void coir_socket_close(coir_socket *socket)
{
    if (socket != NULL && !coir__elsewhere(file_of(socket)->stream.loop, NULL))
        coir__file_release(file_of(socket), false);
}

/* ---- accepting and connecting ---- */

int coir__file_begin(struct coir__file *file, struct coir_task *self, bool writes)
{
    if (self == NULL)
        return coir__refuse(coir__any_debugs() ? file->stream.loop : NULL, NULL, -COIR_ENOTASK);
    if (coir__enters_slowly(self)) {
        file->stream.holds++;
        int r = coir__enter_slow(self);
        if (coir__file_drop(file))
            return -COIR_ECLOSED;
        if (r < 0)
            return r;
    }
    if (file->stream.loop != self->loop)
        return coir__refuse(file->stream.loop, NULL, -COIR_EWRONGLOOP);
    return (writes ? file->write != NULL : file->read.active) ? -EBUSY : 0;
}

static void accept_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_task *task = op->task;
    int result = coir__late(op, op->result);
    if (file->stream.closing) { /* a connection that came too late is nobody's */
        if (result == 0)
            file->stream.loop->backend->file_close(file->stream.loop, op->accepted, true);
        coir__file_released(file);
        result = -COIR_ECLOSED;
    } else if (result == 0) {
        *(coir_socket **)op->user = (coir_socket *)op->accepted;
    }
    coir__wake(task, result);
}

static int accept_one(struct coir__file *file, struct coir_task *self, coir_socket **ret_socket)
{
    struct coir__op *op = &file->read;
    op->kind = COIR__OP_ACCEPT;
    long result = self->loop->backend->start(self->loop, op);
    if (result == 0)
        *ret_socket = (coir_socket *)op->accepted;
    if (result != COIR__STARTED)
        return (int)result;
    op->task = self;
    op->user = ret_socket;
    op->done = accept_done;
    return coir__park(self, &coir__wait_accept, file);
}

int coir_socket_accept(coir_socket *socket, coir_socket **ret_socket, struct sockaddr *ret_address,
                       socklen_t *length)
{
    if (socket == NULL || ret_socket == NULL || (ret_address != NULL && length == NULL))
        return -EINVAL;
    struct coir_task *self = coir__self();
    int r = coir__file_begin(file_of(socket), self, false);
    if (r < 0)
        return r;
    r = accept_one(file_of(socket), self, ret_socket);
    if (r == 0 && ret_address != NULL &&
        coir_socket_address(*ret_socket, true, ret_address, length) < 0)
        *length = 0;
    return r;
}

static void connect_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_task *task = op->task;
    int result = coir__late(op, op->result);
    if (file->stream.closing) {
        coir__file_released(file);
        result = -COIR_ECLOSED;
    }
    coir__wake(task, result);
}

int coir_socket_connect(coir_socket *socket, const struct sockaddr *address, socklen_t length)
{
    if (socket == NULL || address == NULL)
        return -EINVAL;
    struct coir_task *self = coir__self();
    struct coir__file *file = file_of(socket);
    int r = coir__file_begin(file, self, true);
    if (r < 0)
        return r;
    struct coir__op *op = coir__file_write(file, self);
    op->kind = COIR__OP_CONNECT;
    op->address = address;
    op->address_length = length;
    long result = self->loop->backend->start(self->loop, op);
    if (result != COIR__STARTED)
        return (int)result;
    op->task = self;
    op->done = connect_done;
    return coir__park(self, &coir__wait_connect, file);
}
