/* net_pair.h: for tests of streams: two ends of a connection, by TCP or by a Unix socket, and tasks
 * that talk over them. Every function releases what it made when it fails.
 */
#ifndef COIR_TESTS_NET_PAIR_H
#define COIR_TESTS_NET_PAIR_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <coir/tcp.h>
#include <coir/testing.h>

enum transport { BY_TCP, BY_UNIX, TRANSPORTS };

/* A listener on a free address, written to name. */
static inline int listen_somewhere(enum transport transport, coir_listener **ret_listener,
                                   char name[COIR_ADDRESS_TEXT])
{
    COIR_AUTO(coir_listener) *listener = NULL;
    if (transport == BY_TCP) {
        COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    } else {
        static int number;
        (void)snprintf(name, COIR_ADDRESS_TEXT, "@coir-test-%d-%d", (int)getpid(), number++);
        COIR_TRY(coir_unix_listen(name, NULL, &listener));
    }
    COIR_TRY(coir_listener_address(listener, name, COIR_ADDRESS_TEXT));
    *ret_listener = COIR_TAKE(listener);
    return 0;
}

static inline int connect_by(enum transport transport, const char *name, coir_stream **ret_stream)
{
    return transport == BY_TCP ? coir_tcp_connect(name, NULL, ret_stream)
                               : coir_unix_connect(name, NULL, ret_stream);
}

/* Both ends of a connection. */
static inline int open_pair(enum transport transport, coir_stream **ret_client,
                            coir_stream **ret_server)
{
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_TRY(listen_somewhere(transport, &listener, name));
    COIR_TRY(connect_by(transport, name, &client));
    COIR_TRY(coir_listener_accept(listener, ret_server));
    *ret_client = COIR_TAKE(client);
    return 0;
}

/* How long a tortured test goes on: with a kernel nobody can tell that a peer which was cancelled
 * will never answer. On a virtual clock the wait costs nothing; on the real one thousands of points
 * pay for it. */
static inline coir_time patience(void)
{
    if (!coir_test_tortured() || strcmp(coir_test_backend(), "sim") == 0)
        return COIR_FOREVER; /* the test's own limit is enough */
    return coir_test_loop_opts().virtual_clock ? COIR_SEC(1) : COIR_MS(150);
}

/* Bounds the rest of a test in a run of torture. */
#define PATIENCE COIR_DEADLINE(patience())

/* Declares a connected pair for the rest of a test. */
#define PAIR(transport, a, b)                                                                      \
    PATIENCE;                                                                                      \
    COIR_AUTO(coir_stream) *a = NULL;                                                              \
    COIR_AUTO(coir_stream) *b = NULL;                                                              \
    COIR_REQUIRE_OK(open_pair((transport), &a, &b))

/* The byte at position of a long message. */
static inline unsigned char pattern(size_t position)
{
    return (unsigned char)(position * 7 + position / 251);
}

/* A task that sends a long message and says that it ends. */
struct message {
    coir_stream *stream;
    size_t size;
    size_t chunk;
    size_t done; /* by the receiver: read; by the sender: size at the end */
    bool intact; /* by the receiver */
    int result;
};

static inline int send_message(void *arg)
{
    struct message *message = arg;
    unsigned char data[65536];
    int r = 0;
    for (size_t at = 0; at < message->size && r == 0;) {
        size_t n = message->chunk < message->size - at ? message->chunk : message->size - at;
        for (size_t i = 0; i < n; i++)
            data[i] = pattern(at + i);
        r = coir_stream_write(message->stream, data, n);
        at += n;
        message->done = r == 0 ? at : message->done;
    }
    if (r == 0)
        r = coir_stream_shutdown(message->stream);
    return message->result = r;
}

static inline int receive_message(void *arg)
{
    struct message *message = arg;
    unsigned char data[65536];
    size_t n;
    int r;
    message->intact = true;
    while ((r = coir_stream_read(message->stream, data, message->chunk, &n)) > 0) {
        for (size_t i = 0; i < n; i++)
            message->intact &= data[i] == pattern(message->done + i);
        message->done += n;
    }
    return message->result = r;
}

/* Tasks that read once, and exactly ten bytes. */
static inline int read_some(void *arg)
{
    char data[64];
    size_t n;
    return coir_stream_read(arg, data, sizeof data, &n);
}

static inline int read_ten(void *arg)
{
    char data[10];
    return coir_stream_read_exactly(arg, data, sizeof data);
}

#endif
