/* send_file.c: a server that sends a file, which the kernel moves from its cache to the socket.
 *
 * Nothing of it passes through the program. On a stream that is no socket, or through a filter, the
 * same call reads and writes.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int serve(coir_stream *stream, void *arg)
{
    coir_file *file = arg;
    return coir_stream_send_file(stream, file, 0, COIR_FILE_REST);
}

static int download(const char *address, size_t *ret_size)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(coir_tcp_connect(address, NULL, &stream));
    char data[65536];
    size_t n;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        *ret_size += n;
    return r;
}

static int serve_file(void *arg)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_temporary(NULL, &file));
    COIR_TRY(coir_file_truncate(file, 10000000));
    return coir_listener_serve(arg, serve, file);
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    COIR_GROUP(group);
    coir_task *server;
    COIR_TRY(coir_spawn(&group, serve_file, listener, &server));
    size_t size = 0;
    COIR_TRY(download(address, &size));
    printf("%zu bytes\n", size);
    coir_cancel(server, "no more clients");
    return coir_group_finish(&group, 0);
}

int main(void)
{
    return coir_main(app, NULL);
}
