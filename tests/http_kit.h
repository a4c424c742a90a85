/* http_kit.h: for tests of servers: an application on one end of a stream in memory, raw bytes at
 * the other.
 */
#ifndef COIR_TESTS_HTTP_KIT_H
#define COIR_TESTS_HTTP_KIT_H

#include <stdio.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/stream_pair.h>
#include <coir/testing.h>

#define HOST "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

/* A reply in text/plain, as the server writes it without a date. length is a literal. */
#define REPLY(status, more, length, body)                                                          \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\n" more                      \
    "Content-Length: " length "\r\n\r\n" body
#define OK(length, body) REPLY("200 OK", "", length, body)
#define LAST(status, length, body)                                                                 \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\n"                           \
    "Content-Length: " length "\r\nConnection: close\r\n\r\n" body

struct serving {
    coir_http_app *app;
    coir_stream *stream; /* taken over */
    int result;
};

static inline int serve_it(void *arg)
{
    struct serving *serving = arg;
    serving->result = coir_http_app_serve_stream(serving->app, COIR_TAKE(serving->stream));
    return serving->result == -ECANCELED ? 0 : serving->result;
}

/* Begins to serve app in a task of group; *ret_client is the other end. */
static inline int begin_serving(coir_group *group, struct serving *serving,
                                coir_stream **ret_client)
{
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_TRY(coir_stream_pair(0, &client, &serving->stream));
    int r = coir_spawn(group, serve_it, serving, NULL);
    if (r < 0) {
        coir_stream_abort(COIR_TAKE(serving->stream));
        return r;
    }
    *ret_client = COIR_TAKE(client);
    return 0;
}

/* Adds all that comes to text, up to the end. */
static inline int read_rest(coir_stream *stream, coir_buffer *text)
{
    char data[4096];
    size_t n;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        COIR_TRY(coir_buffer_append(text, data, n));
    return r;
}

/* Sends input to app in one piece, then the end, and adds what comes back to text. */
static inline int visit_bytes(coir_http_app *app, const void *input, size_t length,
                              coir_buffer *text)
{
    struct serving serving = {.app = app};
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_GROUP(group);
    COIR_TRY(begin_serving(&group, &serving, &client));
    int r = coir_stream_write(client, input, length);
    if (r == 0)
        r = coir_stream_shutdown(client);
    if (r == 0 || r == -EPIPE || r == -ENOTCONN)
        r = read_rest(client, text);
    coir_stream_close(COIR_TAKE(client));
    COIR_TRY(coir_group_wait(&group));
    return r;
}

static inline int visit(coir_http_app *app, const char *input, coir_buffer *text)
{
    return visit_bytes(app, input, strlen(input), text);
}

/* Sends input to app, and expects exactly output. */
#define EXPECT_VISIT(app, input, output)                                                           \
    do {                                                                                           \
        COIR_AUTO(coir_buffer) coir_text = {0};                                                    \
        if (COIR_EXPECT_OK(visit((app), (input), &coir_text)))                                     \
            COIR_EXPECT_STR(coir_buffer_text(&coir_text), (output));                               \
    } while (0)

/* An application whose replies are the same at any time. */
static inline int open_app(coir_http_app_opts opts, coir_http_app **ret_app)
{
    opts.no_date = true;
    return coir_http_app_open(&opts, ret_app);
}

#endif
