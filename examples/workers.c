/* workers.c: a server on two loops, each on a thread of its own, that share one address.
 *
 * A real one says coir_workers(0, …): as many as there are processors. The kernel hands each
 * connection to one of the listeners. Whatever ends the call ends all workers: here the end of the
 * group; in a program whose main task it is, SIGTERM.
 */
#include <coir/coir.h>
#include <stdio.h>

static char address[COIR_ADDRESS_TEXT];
static const coir_listen_opts shared = {.reuse_port = true};

static int greet(coir_stream *stream, void *arg)
{
    (void)arg;
    return coir_stream_write(stream, "hello", 5);
}

static int work(unsigned index, void *arg)
{
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen(address, &shared, &listener));
    COIR_TRY(coir_send((coir_sender *)arg, &index)); /* between loops: a shared channel */
    return coir_listener_serve(listener, greet, NULL);
}

static int run_workers(void *arg)
{
    return coir_workers(2, work, arg);
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_sender) *ready = NULL;
    COIR_AUTO(coir_receiver) *listening = NULL;
    COIR_AUTO(coir_listener) *first = NULL;
    COIR_TRY(coir_channel_open_shared(unsigned, 2, &ready, &listening));
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", &shared, &first)); /* a port that is free */
    COIR_TRY(coir_listener_address(first, address, sizeof address));

    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, run_workers, ready, NULL));
    for (unsigned index, i = 0; i < 2; i++)
        COIR_TRY(coir_receive(listening, &index));
    coir_listener_close(COIR_TAKE(first)); /* from here on the workers get all connections */
    for (int i = 0; i < 3; i++) {
        COIR_AUTO(coir_stream) *stream = NULL;
        char text[6] = "";
        COIR_TRY(coir_tcp_connect(address, NULL, &stream));
        COIR_TRY(coir_stream_read_exactly(stream, text, 5));
        printf("%s\n", text);
    }
    return 0; /* leaving the block cancels the call, and that all workers */
}

int main(void)
{
    return coir_main(app, NULL);
}
