/* activation.c: a server that takes its socket from a service manager (systemd), and opens one
 * itself when it is started by hand.
 *
 * With the manager holding the socket nobody is refused while the program starts again. The options
 * say how silent peers are found out. Try it with:
 *     systemd-socket-activate -l 8080 --fdname=http build/examples/activation
 */
#include <coir/coir.h>
#include <stdio.h>

static int greet(coir_stream *stream, void *arg)
{
    (void)arg;
    return coir_stream_write(stream, "hello\n", 6);
}

static int serve(void *arg)
{
    return coir_listener_serve(arg, greet, NULL);
}

static int open_listener(coir_listener **ret_listener)
{
    const coir_listen_opts opts = {
        .keep_alive = {.idle = COIR_SEC(60), .interval = COIR_SEC(10), .count = 3},
    };
    int r = coir_listen_activated("http", &opts, ret_listener);
    printf("%s\n", r == 0 ? "the socket was given" : "started by hand");
    return r == -ENOENT ? coir_tcp_listen("127.0.0.1:0", &opts, ret_listener) : r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(open_listener(&listener));
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));

    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(coir_tcp_connect(address, NULL, &stream));
    coir_bytes line;
    COIR_TRY(coir_stream_read_line(stream, 0, &line));
    printf("%.*s\n", (int)line.length, (const char *)line.data);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
