/* pipe.c: pipes, and streams over descriptors that come from elsewhere.
 *
 * A pipe is two descriptors of the kernel, or a pair in memory where the backend has no kernel.
 */
#include <coir/pipe.h>

#include "core/backend.h"
#include "core/sys.h"
#include "io/stream/pair.h"

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
