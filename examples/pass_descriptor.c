/* pass_descriptor.c: a descriptor travels over a Unix socket, as from a process that may open
 * things to one that may not.
 *
 * Here both are tasks of one program: the opener makes a pipe and hands out its writing end. What
 * arrives is a duplicate; with coir_stream_adopt it becomes a stream like any other.
 */
#include <coir/coir.h>
#include <stdio.h>

static int open_and_send(void *arg)
{
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_TRY(coir_pipe_open(&reader, &writer));
    int fd;
    COIR_TRY(coir_stream_query(writer, COIR_QUERY_DESCRIPTOR, &fd));
    COIR_TRY(coir_stream_send_descriptors(arg, "w", 1, &fd, 1)); /* one byte at least */
    coir_stream_close(COIR_TAKE(writer));                        /* the other one is open still */

    coir_bytes line;
    int r = coir_stream_read_line(reader, 0, &line);
    if (r > 0)
        printf("through the pipe: %.*s\n", (int)line.length, (const char *)line.data);
    return r < 0 ? r : 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_DEADLINE(COIR_SEC(10));
    COIR_AUTO(coir_stream) *here = NULL;
    COIR_AUTO(coir_stream) *there = NULL;
    COIR_TRY(coir_unix_pair(&here, &there));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, open_and_send, there, NULL));

    char kind;
    size_t n, count;
    int fd;
    int r = COIR_TRY(coir_stream_receive_descriptors(here, &kind, 1, &n, &fd, 1, &count));
    if (r == 0 || count == 0)
        return -EPROTO;
    printf("'%c' came with %zu descriptor\n", kind, count);
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(coir_stream_adopt(fd, &stream));
    COIR_TRY(coir_stream_write(stream, "hello\n", 6));
    return coir_group_wait(&group);
}

int main(void)
{
    return coir_main(app, NULL);
}
