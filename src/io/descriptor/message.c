/* message.c: messages on sockets: datagrams, and what comes with descriptors.
 *
 * An operation fills in the messages of the caller, whose call waits for it: so they may lie on the
 * stack of the waiting task. As many as are there go in one operation. Called by the net room,
 * which sees only the public header, and by passing.c.
 */
#include <coir/socket.h>

#include "core/sys.h"
#include "io/descriptor/message.h"

#define MOST_MESSAGES 1024 /* of one system call */

/* ---- descriptors that come along ---- */

size_t coir__message_descriptors(const struct msghdr *header, int *ret_fds, size_t most)
{
    size_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR((struct msghdr *)(uintptr_t)header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        const unsigned char *data = CMSG_DATA(part);
        for (size_t left = part->cmsg_len - CMSG_LEN(0); left >= sizeof(int); left -= sizeof(int)) {
            int fd;
            memcpy(&fd, data, sizeof fd);
            data += sizeof fd;
            if (count < most)
                ret_fds[count++] = fd;
            else
                coir__sys_close(fd);
        }
    }
    return count;
}

/* ---- waiting ---- */

/* The result of an operation that has ended, for its caller. */
static int outcome(const struct coir__op *op, long result)
{
    if (result < 0)
        return coir__late(op, result);
    *(size_t *)op->user = (size_t)result;
    return 0;
}

static void drop_descriptors(const struct coir__op *op)
{
    for (long i = 0; op->kind == COIR__OP_RECEIVE && i < op->result; i++)
        (void)coir__message_descriptors(&op->messages[i].header, NULL, 0);
}

static void messages_done(struct coir__op *op)
{
    struct coir__file *file = op->file;
    struct coir_task *task = op->task;
    int result = outcome(op, op->result);
    if (coir__unlikely(file->stream.closing)) {
        drop_descriptors(op);
        coir__file_released(file);
        result = -COIR_ECLOSED;
    }
    coir__wake(task, result);
}

int coir__messages_start(struct coir__op *op, struct coir_task *self, size_t *ret_count)
{
    op->user = ret_count;
    op->task = self;
    long result = self->loop->backend->start(self->loop, op);
    if (result != COIR__STARTED)
        return outcome(op, result);
    op->done = messages_done;
    return coir__park(self, op->kind == COIR__OP_SEND ? &coir__wait_send : &coir__wait_receive,
                      op->file);
}

/* ---- the calls ---- */

static int run(struct coir__file *file, enum coir__op_kind kind, coir_message *messages,
               size_t count, int flags, size_t *ret_count)
{
    struct coir_task *self = coir__self();
    bool writes = kind == COIR__OP_SEND;
    int r = coir__file_begin(file, self, writes);
    if (coir__unlikely(r < 0))
        return r;
    struct coir__op *op = writes ? coir__file_write(file, self) : &file->read;
    op->kind = (uint8_t)kind;
    op->messages = messages;
    op->message_count = (uint16_t)count;
    op->at_once = flags & MSG_DONTWAIT;
    op->flags = flags & ~MSG_DONTWAIT;
    return coir__messages_start(op, self, ret_count);
}

static bool is_wrong(coir_socket *socket, const coir_message *messages, size_t count,
                     const size_t *ret_count)
{
    return socket == NULL || messages == NULL || count == 0 || count > MOST_MESSAGES ||
           ret_count == NULL;
}

int coir_socket_receive(coir_socket *socket, coir_message *messages, size_t count, int flags,
                        size_t *ret_count)
{
    struct coir__file *file = (struct coir__file *)socket;
    if (is_wrong(socket, messages, count, ret_count) || (flags & ~(MSG_TRUNC | MSG_DONTWAIT)))
        return -EINVAL;
    return run(file, COIR__OP_RECEIVE, messages, count, flags, ret_count);
}

int coir_socket_send(coir_socket *socket, coir_message *messages, size_t count, int flags,
                     size_t *ret_count)
{
    struct coir__file *file = (struct coir__file *)socket;
    if (is_wrong(socket, messages, count, ret_count) || (flags & ~MSG_DONTWAIT))
        return -EINVAL;
    return run(file, COIR__OP_SEND, messages, count, flags, ret_count);
}
