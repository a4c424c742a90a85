/* echo.c: an echo server and two clients in one program, over 127.0.0.1.
 *
 * coir_listener_serve runs the handler for each connection in a task of its own, and closes the
 * stream when it returns. A client that shuts its side down lets the handler read the end (0).
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int echo(coir_stream *stream, void *arg)
{
    (void)arg;
    char data[4096];
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

static int talk(const char *address, const char *text)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(coir_tcp_connect(address, NULL, &stream));
    COIR_TRY(coir_stream_write(stream, text, strlen(text)));
    char reply[64] = "";
    COIR_TRY(coir_stream_read_exactly(stream, reply, strlen(text)));
    COIR_TRY(coir_stream_shutdown(stream));
    size_t n;
    int r = coir_stream_read(stream, &(char){0}, 1, &n);
    printf("'%s' came back, then %s\n", reply, r == 0 ? "the end" : "something else");
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_DEADLINE(COIR_SEC(10)); /* for all of it */
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener)); /* 0: a port that is free */
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_listener_address(listener, address, sizeof address));

    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));
    COIR_TRY(talk(address, "hello"));
    COIR_TRY(talk(address, "goodbye"));
    return 0; /* leaving the block ends the server */
}

int main(void)
{
    return coir_main(app, NULL);
}
