/* passing.c: descriptors that travel with the bytes of a stream.
 *
 * The message and its ancillary data lie in the frame of the call, which holds the stream: the
 * operation fills them in before that call goes on. What arrived and has no taker is closed, here
 * or by message.c when the stream was closed meanwhile. Called by programs.
 */
#include <coir/passing.h>

#include "core/sys.h"
#include "io/descriptor/message.h"
#include "io/stream/stream.h"

/* Room for the descriptors of a message. */
struct rights {
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(COIR_DESCRIPTORS_MOST * sizeof(int))];
};

static int check_unix(struct coir_stream *stream)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    if (!stream->filed)
        return -EOPNOTSUPP;
    int r = stream->loop->backend->file_name(stream->loop, coir__file_of(stream), false,
                                             (struct sockaddr *)&address, &length);
    if (r < 0)
        return r == -ENOTSOCK ? -EOPNOTSUPP : r;
    return address.ss_family == AF_UNIX ? 0 : -EOPNOTSUPP;
}

/* Starts op with the one message. */
static int run(struct coir__op *op, enum coir__op_kind kind, coir_message *message,
               struct coir_task *self)
{
    size_t count;
    op->kind = (uint8_t)kind;
    op->messages = message;
    op->message_count = 1;
    op->at_once = false;
    op->flags = 0;
    return coir__messages_start(op, self, &count);
}

/* ---- sending ---- */

/* Sends the first bytes with the descriptors, and writes the others. */
static int send_held(struct coir_stream *stream, struct coir_task *self, coir_message *message)
{
    const struct iovec *vector = message->header.msg_iov;
    int r = run(coir__file_write(coir__file_of(stream), self), COIR__OP_SEND, message, self);
    if (r < 0 || message->length == vector->iov_len)
        return r;
    if (stream->closing)
        return -COIR_ECLOSED;
    r = coir_stream_write(stream, (const char *)vector->iov_base + message->length,
                          vector->iov_len - message->length);
    stream->broken |= r < 0;
    return r;
}

int coir_stream_send_descriptors(coir_stream *stream, const void *data, size_t size, const int *fds,
                                 size_t count)
{
    struct coir_task *self = coir__self();
    int r = coir__stream_check_write(stream, self);
    if (r == 0)
        r = check_unix(stream);
    if (r < 0)
        return r;
    if (data == NULL || size == 0 || fds == NULL || count == 0 || count > COIR_DESCRIPTORS_MOST)
        return -EINVAL;
    struct rights rights = {{0}};
    struct iovec vector = {(void *)(uintptr_t)data, size};
    coir_message message = {.header = {.msg_iov = &vector,
                                       .msg_iovlen = 1,
                                       .msg_control = rights.bytes,
                                       .msg_controllen = CMSG_SPACE(count * sizeof *fds)}};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message.header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(part), fds, count * sizeof *fds);
    coir__stream_hold(stream);
    r = send_held(stream, self, &message);
    return coir__stream_drop(stream) && r < 0 ? -COIR_ECLOSED : r;
}

/* ---- receiving ---- */

/* What a message brought, for the caller. */
static int unpack(const coir_message *message, size_t *ret_n, int *ret_fds, size_t most,
                  size_t *ret_count)
{
    bool lost = message->header.msg_flags & MSG_CTRUNC;
    *ret_n = message->length;
    *ret_count = coir__message_descriptors(&message->header, ret_fds, most);
    if (lost) {
        while (*ret_count > 0)
            coir__sys_close(ret_fds[--*ret_count]);
        return -EMSGSIZE;
    }
    return message->length > 0;
}

int coir_stream_receive_descriptors(coir_stream *stream, void *data, size_t size, size_t *ret_n,
                                    int *ret_fds, size_t most, size_t *ret_count)
{
    struct coir_task *self = coir__self();
    int r = coir__stream_check(stream, self);
    if (r == 0)
        r = check_unix(stream);
    if (r < 0)
        return r;
    if (data == NULL || size == 0 || ret_n == NULL || ret_fds == NULL || most == 0 ||
        most > COIR_DESCRIPTORS_MOST || ret_count == NULL)
        return -EINVAL;
    if (coir__stream_is_read(stream))
        return -EBUSY;
    *ret_count = 0;
    if (stream->count > 0)
        return coir__stream_take(stream, data, size, ret_n);
    if (stream->torn)
        return -COIR_EBROKENSTREAM;
    coir__stream_free_buffer(stream);
    struct rights rights;
    struct iovec vector = {data, size};
    coir_message message = {.header = {.msg_iov = &vector,
                                       .msg_iovlen = 1,
                                       .msg_control = rights.bytes,
                                       .msg_controllen = CMSG_LEN(most * sizeof *ret_fds)}};
    coir__stream_hold(stream);
    r = run(&coir__file_of(stream)->read, COIR__OP_RECEIVE, &message, self);
    if (r == 0)
        r = unpack(&message, ret_n, ret_fds, most, ret_count);
    return coir__stream_drop(stream) && r < 0 ? -COIR_ECLOSED : r;
}
