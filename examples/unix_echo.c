/* unix_echo.c: the same over a Unix socket, with a reader and a writer of their own on one stream.
 *
 * One task may read a stream while another writes to it; a second reader would get -EBUSY. A name
 * that begins with '@' is abstract: it needs no file.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <unistd.h>

static int echo(coir_stream *stream, void *arg)
{
    (void)arg;
    char data[256];
    size_t n;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        COIR_TRY(coir_stream_write(stream, data, n));
    return r;
}

static int serve(void *arg)
{
    return coir_listener_serve(arg, echo, NULL);
}

static int writes(void *arg)
{
    for (int i = 0; i < 1000; i++)
        COIR_TRY(coir_stream_write(arg, "0123456789", 10));
    return coir_stream_shutdown(arg);
}

static int app(void *arg)
{
    (void)arg;
    char path[64];
    (void)snprintf(path, sizeof path, "@coir-unix-echo-%d", (int)getpid());
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_unix_listen(path, NULL, &listener));
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));
    COIR_TRY(coir_unix_connect(path, NULL, &stream));
    COIR_TRY(coir_spawn(&group, writes, stream, NULL));
    char data[256];
    size_t n, total = 0;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        total += n;
    printf("%zu bytes came back\n", total);
    return coir_group_finish(&group, r);
}

int main(void)
{
    return coir_main(app, NULL);
}
