/* tcp_proxy.c: a proxy: what comes on either side goes to the other, until both have ended. The
 * kernel moves what is much. */
#include <coir/coir.h>
#include <stdio.h>

struct direction {
    coir_stream *from, *to;
};

static int forward(void *arg)
{
    const struct direction *direction = arg;
    COIR_TRY(coir_stream_splice(direction->from, direction->to, COIR_STREAM_REST, NULL));
    return coir_stream_shutdown(direction->to); /* the end is passed on too */
}

static int proxy(coir_stream *client, void *arg)
{
    COIR_AUTO(coir_stream) *server = NULL;
    COIR_TRY(coir_tcp_connect(arg, NULL, &server));
    struct direction directions[] = {{client, server}, {server, client}};
    return coir_map(forward, directions, 2, sizeof directions[0], NULL);
}

static char behind[COIR_ADDRESS_TEXT]; /* where the server is */

static int serve(void *arg)
{
    return coir_listener_serve(arg, proxy, behind);
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_listener) *far = NULL;
    COIR_AUTO(coir_listener) *near = NULL;
    char address[COIR_ADDRESS_TEXT], data[6];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &far));
    COIR_TRY(coir_listener_address(far, behind, sizeof behind));
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &near));
    COIR_TRY(coir_listener_address(near, address, sizeof address));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, near, NULL));

    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_AUTO(coir_stream) *served = NULL;
    COIR_TRY(coir_tcp_connect(address, NULL, &stream));
    COIR_TRY(coir_stream_write(stream, "hello\n", 6));
    COIR_TRY(coir_stream_shutdown(stream));
    COIR_TRY(coir_listener_accept(far, &served));
    COIR_TRY(coir_stream_splice(served, served, COIR_STREAM_REST, NULL)); /* an echo */
    COIR_TRY(coir_stream_read_exactly(stream, data, sizeof data));
    printf("came back: %.6s", data);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
