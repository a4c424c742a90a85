/* tls_kit.h: for tests of TLS: contexts with the certificates that tests/certificates.sh has made,
 * and connections in memory. Every function releases what it made when it fails.
 */
#ifndef COIR_TESTS_TLS_KIT_H
#define COIR_TESTS_TLS_KIT_H

#include <stdio.h>
#include <string.h>

#include <coir/stream_pair.h>
#include <coir/testing_streams.h>
#include <coir/tls.h>

#include "net_pair.h"

/* The path of a file; one of eight, used in turn. */
static inline const char *certificate_file(const char *name, const char *ending)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % COIR_COUNT(paths)];
    (void)snprintf(path, sizeof paths[0], "%s/%s.%s", COIR_TEST_CERTIFICATES, name, ending);
    return path;
}

/* A server with the certificate of that name. */
static inline int server_with(const char *name, coir_tls_opts opts, coir_tls_context **ret_context)
{
    opts.certificate_file = certificate_file(name, "pem");
    opts.key_file = certificate_file(name, "key");
    if (opts.verify != COIR_TLS_VERIFY_DEFAULT)
        opts.trust_file = certificate_file("root", "pem");
    return coir_tls_context_open(COIR_TLS_SERVER, &opts, ret_context);
}

/* A client that trusts the root. */
static inline int client_with(coir_tls_opts opts, coir_tls_context **ret_context)
{
    if (opts.trust_file == NULL)
        opts.trust_file = certificate_file("root", "pem");
    return coir_tls_context_open(COIR_TLS_CLIENT, &opts, ret_context);
}

/* One side of a handshake, and how it ended. */
struct side {
    coir_tls_context *context;
    const char *host;
    const coir_tls_connect_opts *opts;
    coir_stream *lower; /* taken over */
    coir_stream *stream;
    int result;
    char text[160];
};

static inline int side_ended(struct side *side, int result)
{
    side->result = result;
    if (result < 0)
        (void)snprintf(side->text, sizeof side->text, "%s", coir_last_message(result));
    return result;
}

static inline int accept_side(void *arg)
{
    struct side *side = arg;
    return side_ended(side, coir_tls_accept(side->context, COIR_TAKE(side->lower), &side->stream));
}

static inline int connect_side(void *arg)
{
    struct side *side = arg;
    return side_ended(side, coir_tls_connect(side->context, side->host, COIR_TAKE(side->lower),
                                             side->opts, &side->stream));
}

/* Closes what a side still has. */
static inline void side_close(struct side *side)
{
    coir_stream_abort(COIR_TAKE(side->stream));
    coir_stream_abort(COIR_TAKE(side->lower));
}

/* Shakes hands; each side has its result. Returns 0, or why it could not be tried; then both are
 * closed. */
static inline int shake(struct side *client, struct side *server)
{
    int r;
    {
        COIR_GROUP_COLLECT(group);
        r = coir_spawn(&group, accept_side, server, NULL);
        if (r == 0) {
            (void)connect_side(client);
            r = coir_group_wait(&group);
        }
        (void)coir_group_errors(&group);
    }
    if (client->result < 0 || server->result < 0)
        r = 0;
    if (r < 0) {
        side_close(client);
        side_close(server);
    }
    return r;
}

/* A connection, over the streams of below. */
static inline int open_tls(coir_tls_context *client, coir_tls_context *server, coir_stream *a,
                           coir_stream *b, coir_stream **ret_client, coir_stream **ret_server)
{
    struct side sides[] = {{.context = client, .host = "example.org", .lower = a},
                           {.context = server, .lower = b}};
    int r = shake(&sides[0], &sides[1]);
    for (size_t i = 0; i < 2 && r == 0; i++)
        r = sides[i].stream == NULL ? sides[i].result : 0;
    if (r < 0 || sides[0].stream == NULL || sides[1].stream == NULL) {
        side_close(&sides[0]);
        side_close(&sides[1]);
        return r < 0 ? r : -ECANCELED;
    }
    *ret_client = sides[0].stream;
    *ret_server = sides[1].stream;
    return 0;
}

/* The contexts of a test, and connections between them. */
struct both {
    coir_tls_context *client, *server;
    size_t capacity; /* of the pair in memory; 0: the default */
    int transport;   /* -1: memory */
    size_t pieces;   /* bytes that pass at most at a time; 0: any number */
};

static inline void both_close(struct both *both)
{
    coir_tls_context_close(COIR_TAKE(both->client));
    coir_tls_context_close(COIR_TAKE(both->server));
}

typedef struct both both;
COIR_CLOSER_VALUE(both, both_close);

static inline int both_open(coir_tls_opts client, coir_tls_opts server, struct both *ret_both)
{
    COIR_TRY(server_with("good", server, &ret_both->server));
    return client_with(client, &ret_both->client);
}

/* On failure it closes both. */
static inline int put_in_pieces(coir_stream **stream, coir_stream **other, size_t most)
{
    coir_fault_opts opts = {.read_most = most, .write_most = most, .seed = 4711};
    int r = coir_fault_stream_open(COIR_TAKE(*stream), &opts, stream);
    if (r < 0)
        coir_stream_abort(COIR_TAKE(*other));
    return r;
}

/* As struct coir_stream_maker wants it. */
static inline int make_tls(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    const struct both *both = arg;
    coir_stream *a, *b;
    if (both->transport < 0)
        COIR_TRY(coir_stream_pair(both->capacity, &a, &b));
    else
        COIR_TRY(open_pair((enum transport)both->transport, &a, &b));
    if (both->pieces > 0) {
        COIR_TRY(put_in_pieces(&a, &b, both->pieces));
        COIR_TRY(put_in_pieces(&b, &a, both->pieces));
    }
    return open_tls(both->client, both->server, a, b, ret_a, ret_b);
}

/* Declares contexts with these options and a connection in memory for the rest of a test. */
#define TLS_CONTEXTS(contexts, client_opts, server_opts)                                           \
    PATIENCE;                                                                                      \
    COIR_AUTO(both) contexts = {.transport = -1};                                                  \
    COIR_REQUIRE_OK(both_open((client_opts), (server_opts), &contexts))
#define TLS_PAIR(contexts, a, b)                                                                   \
    COIR_AUTO(coir_stream) *a = NULL;                                                              \
    COIR_AUTO(coir_stream) *b = NULL;                                                              \
    COIR_REQUIRE_OK(make_tls(&contexts, &a, &b))
#define DEFAULTS ((coir_tls_opts){0})

/* One side says something to the other. */
static inline int say(coir_stream *from, coir_stream *to, const char *text)
{
    char data[256];
    size_t length = strlen(text);
    COIR_TRY(coir_stream_write(from, text, length));
    COIR_TRY(coir_stream_read_exactly(to, data, length));
    return memcmp(data, text, length) == 0 ? 0 : -EIO;
}

#endif
