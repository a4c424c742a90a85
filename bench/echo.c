/* coir's side of the benchmarks echo/: a server that sends back what it reads, written as a user
 * would: one task for each connection, and no copy of what has come. Listens on a free port of
 * 127.0.0.1 and says `PORT n`; COIR_BACKEND chooses the backend. With the word `read` it reads into
 * a buffer on each task's stack instead. Runs until it is ended. */
#include <string.h>

#include <coir/coir.h>

#include "listen.h"

static int echo(coir_stream *stream, void *arg)
{
    (void)arg;
    coir_bytes bytes;
    int r;
    while ((r = coir_stream_peek(stream, 1, &bytes)) > 0) {
        COIR_TRY(coir_stream_write(stream, bytes.data, bytes.length));
        coir_stream_consume(stream, bytes.length);
    }
    return r;
}

static int echo_by_reading(coir_stream *stream, void *arg)
{
    (void)arg;
    char data[16384];
    size_t n;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        COIR_TRY(coir_stream_write(stream, data, n));
    return r;
}

static int app(void *arg)
{
    const char *how = arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(bench_listen("127.0.0.1:0", &listener));
    return coir_listener_serve(listener, strcmp(how, "read") == 0 ? echo_by_reading : echo, NULL);
}

int main(int argc, char **argv)
{
    return coir_main(app, argv[argc - 1]);
}
