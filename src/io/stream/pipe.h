/* pipe.h: the pipes through which the kernel moves bytes from one descriptor to another. Internal
 * to io.
 */
#ifndef COIR_IO_PIPE_H
#define COIR_IO_PIPE_H

#include "core/core.h"

struct coir__pipe {
    int reader, writer;
    bool open;
};

/* Takes an empty pipe, one that is kept if there is one, unless *pipe is open. Returns 0 or a
 * negative errno. */
int coir__pipe_take(struct coir_loop *loop, struct coir__pipe *pipe);
/* Gives a pipe back, if it is open; one that is not empty is closed. */
void coir__pipe_give(struct coir_loop *loop, struct coir__pipe *pipe, bool empty);
/* Closes those that are kept. */
void coir__pipe_loop_closes(struct coir_loop *loop);

#endif
