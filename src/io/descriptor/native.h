/* native.h: what the backends with a kernel below share: calls on descriptors of the library that
 * neither wait nor depend on how completions come. Internal to io.
 */
#ifndef COIR_IO_NATIVE_H
#define COIR_IO_NATIVE_H

#include "io/descriptor/file.h"
#include "core/sys.h"

/* What a descriptor is. The values leave room for the flags of the backends. */
enum coir__native_kind {
    COIR__NATIVE_SOCKET = 1 << 4, /* recv and send work on it */
    COIR__NATIVE_TCP = 1 << 5,
    COIR__NATIVE_STREAM = 1 << 7, /* a socket whose bytes are not messages */
};

/* One attempt, again after each EINTR: the result, or -EAGAIN. */
long coir__native_read(int fd, uint32_t kind, const struct coir__op *op);
long coir__native_write(int fd, uint32_t kind, const struct coir__op *op);
/* From a descriptor to a pipe that is never full, and from a pipe to a descriptor: bytes. */
long coir__native_splice_in(int fd, int pipe, size_t length);
long coir__native_splice_out(int pipe, int fd, size_t length);
/* Messages: how many. */
long coir__native_receive(int fd, const struct coir__op *op);
long coir__native_send(int fd, const struct coir__op *op);
/* Returns the new descriptor. */
int coir__native_accept(int fd);
/* Returns 0, -EINPROGRESS when it goes on in the background, or what went wrong. */
int coir__native_connect(int fd, const struct coir__op *op);
/* How a connection that went on in the background has ended. */
int coir__native_connected(int fd);
/* Gives fd back; abrupt: the peer of a socket is reset. */
void coir__native_close(int fd, uint32_t kind, bool abrupt);

/* For the tables of backends. */
int coir__native_socket(struct coir_loop *loop, int domain, int type, struct coir__file **ret_file);
int coir__native_adopt(struct coir_loop *loop, int fd, struct coir__file **ret_file);
int coir__native_pair(struct coir_loop *loop, int type, struct coir__file *ret_files[2]);
int coir__native_bind(struct coir_loop *loop, struct coir__file *file,
                      const struct sockaddr *address, socklen_t length);
int coir__native_listen(struct coir_loop *loop, struct coir__file *file, int backlog);
int coir__native_shutdown(struct coir_loop *loop, struct coir__file *file, int how);
int coir__native_option(struct coir_loop *loop, struct coir__file *file, int level, int name,
                        const void *value, socklen_t length);
int coir__native_name(struct coir_loop *loop, struct coir__file *file, bool peer,
                      struct sockaddr *ret_address, socklen_t *length);
int coir__native_unread(struct coir_loop *loop, struct coir__file *file);
int coir__native_path_mode(struct coir_loop *loop, const char *path, unsigned mode);
int coir__native_path_remove(struct coir_loop *loop, const char *path, struct coir__file *file);

#endif
