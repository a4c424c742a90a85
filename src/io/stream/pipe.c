/* pipe.c: pipes as streams, and those through which the kernel moves bytes.
 *
 * A stream's pipe is two descriptors of the kernel, or a pair in memory where the backend has no
 * kernel. Of the others a loop keeps a few that are empty, until it closes. Called by programs,
 * by splice.c, and by the backends that have a kernel when their loop closes.
 */
#include <coir/pipe.h>

#include "core/backend.h"
#include "core/sys.h"
#include "io/stream/pair.h"
#include "io/stream/pipe.h"

/* Makes streams of both ends; on failure both descriptors are closed. */
static int adopt_both(const int fds[2], coir_stream **ret_reader, coir_stream **ret_writer)
{
    coir_stream *reader = NULL, *writer = NULL;
    int r = coir_stream_adopt(fds[0], &reader);
    if (r == 0)
        r = coir_stream_adopt(fds[1], &writer);
    if (r < 0) {
        if (reader == NULL)
            coir__sys_close(fds[0]);
        coir_stream_abort(reader);
        coir__sys_close(fds[1]);
        return r;
    }
    *ret_reader = reader;
    *ret_writer = writer;
    return 0;
}

int coir_pipe_open(coir_stream **ret_reader, coir_stream **ret_writer)
{
    if (ret_reader == NULL || ret_writer == NULL)
        return -EINVAL;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    if (coir__loop->backend->simulated)
        return coir__stream_pair(0, true, ret_writer, ret_reader);
    int fds[2];
    int r = coir__sys_pipe(fds);
    return r < 0 ? r : adopt_both(fds, ret_reader, ret_writer);
}

/* ---- for the kernel to move bytes through ---- */

static void close_pipe(const int fds[2])
{
    coir__sys_close(fds[0]);
    coir__sys_close(fds[1]);
}

int coir__pipe_take(struct coir_loop *loop, struct coir__pipe *pipe)
{
    if (pipe->open)
        return 0;
    int fds[2];
    if (loop->pipes_kept > 0) {
        const int *kept = loop->pipes[--loop->pipes_kept];
        *pipe = (struct coir__pipe){kept[0], kept[1], true};
        return 0;
    }
    int r = coir__sys_pipe(fds);
    if (r == 0)
        *pipe = (struct coir__pipe){fds[0], fds[1], true};
    return r;
}

void coir__pipe_give(struct coir_loop *loop, struct coir__pipe *pipe, bool empty)
{
    if (!pipe->open)
        return;
    int fds[2] = {pipe->reader, pipe->writer};
    pipe->open = false;
    if (!empty || loop->pipes_kept == COIR__PIPES_KEPT) {
        close_pipe(fds);
        return;
    }
    int *kept = loop->pipes[loop->pipes_kept++];
    kept[0] = fds[0];
    kept[1] = fds[1];
}

void coir__pipe_loop_closes(struct coir_loop *loop)
{
    while (loop->pipes_kept > 0)
        close_pipe(loop->pipes[--loop->pipes_kept]);
}
