/* message.h: what sockets and the passing of descriptors share. Internal to io. */
#ifndef COIR_IO_MESSAGE_H
#define COIR_IO_MESSAGE_H

#include <string.h>

#include <coir/socket.h>

#include "io/descriptor/file.h"

/* Starts op, a RECEIVE or SEND that is filled in, and waits for it; self has entered. Returns 0
 * with the number of messages, or an error. Tail-call it. */
int coir__messages_start(struct coir__op *op, struct coir_task *self, size_t *ret_count);

/* Takes the descriptors out of a message that was received, most of them; the others are closed.
 * Returns how many. */
size_t coir__message_descriptors(const struct msghdr *header, int *ret_fds, size_t most);

#endif
