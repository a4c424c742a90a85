/* http_tls.c: tests of servers of HTTPS: that an application is served over TLS as it is without,
 * what its connections cost while they are idle, and how they end.
 */
#include "http_kit.h"
#include "tls_kit.h"

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello, %s\n",
                                coir_http_request_param(request, "name"));
}

static int give_cookie(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_cookie(request, "a", "b", NULL));
    return coir_http_reply_text(request, 200, "taken\n");
}

static int echo(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply(request, 200, "text/plain", body.data, body.length);
}

/* An application over TLS, with whom it is served: contexts, a listener, or a stream. */
struct site {
    struct both contexts;
    coir_http_app *app;
    coir_listener *listener;
    char address[COIR_ADDRESS_TEXT];
    coir_stream *stream; /* taken over */
    int result;
    coir_time ended;
};

static void site_close(struct site *site)
{
    coir_http_app_close(COIR_TAKE(site->app));
    coir_listener_close(COIR_TAKE(site->listener));
    coir_stream_abort(COIR_TAKE(site->stream));
    both_close(&site->contexts);
}

typedef struct site site;
COIR_CLOSER_VALUE(site, site_close);

static int site_open(struct site *site, coir_http_app_opts app_opts)
{
    coir_tls_opts opts = {.alpn = "http/1.1"};
    COIR_TRY(both_open(opts, opts, &site->contexts));
    app_opts.tls = site->contexts.server;
    app_opts.no_date = true;
    COIR_TRY(coir_http_app_open(&app_opts, &site->app));
    coir_http_app_get(site->app, "/hello/{name}", hello);
    coir_http_app_get(site->app, "/cookie", give_cookie);
    coir_http_app_post(site->app, "/echo", echo);
    return listen_somewhere(BY_TCP, &site->listener, site->address);
}

static int serve_listener(void *arg)
{
    struct site *site = arg;
    site->result = coir_http_app_serve_listener(site->app, site->listener);
    site->ended = coir_now();
    return 0;
}

static int serve_stream(void *arg)
{
    struct site *site = arg;
    site->result = coir_http_app_serve_stream(site->app, COIR_TAKE(site->stream));
    return site->result;
}

static int dial(struct site *site, coir_stream **ret_stream)
{
    return coir_tls_dial(site->contexts.client, site->address, NULL, ret_stream);
}

/* Sends input, and expects exactly that reply. */
static int exchange(coir_stream *stream, const char *input, const char *reply)
{
    char data[1024];
    size_t length = strlen(reply);
    COIR_TRY(coir_stream_write(stream, input, strlen(input)));
    COIR_TRY(coir_stream_read_exactly(stream, data, length));
    return memcmp(data, reply, length) == 0 ? 0 : -EBADMSG;
}

static size_t idle(const struct site *site)
{
    coir_http_app_stats stats;
    coir_http_app_stats_get(site->app, &stats);
    return stats.idle;
}

static size_t connections(const struct site *site)
{
    coir_http_app_stats stats;
    coir_http_app_stats_get(site->app, &stats);
    return stats.connections;
}

/* Longer than what takes no time: a kernel's clock goes on while others have the processor. */
static coir_time soon(void)
{
    return strcmp(coir_test_backend(), "sim") == 0 ? COIR_MS(200) : COIR_SEC(5);
}

static size_t tasks(void)
{
    struct coir_loop_stats stats;
    coir_loop_stats(NULL, &stats);
    return stats.tasks;
}

/* A site that is served by TCP in a task, until that is cancelled. */
#define SERVED(name, group, server, opts)                                                          \
    PATIENCE;                                                                                      \
    COIR_AUTO(site) name = {.contexts = {.transport = -1}};                                        \
    COIR_REQUIRE_OK(site_open(&name, (opts)));                                                     \
    COIR_GROUP(group);                                                                             \
    coir_task *server;                                                                             \
    COIR_REQUIRE_OK(coir_spawn(&group, serve_listener, &name, &server))
#define LIMITS ((coir_http_app_opts){.head_limit = COIR_MS(300), .idle_limit = COIR_MS(400)})

/* ---- requests ---- */

/* What a client may do on one connection: keep it, send requests at once, send a body. */
static int converse(coir_stream *stream)
{
    char big[70000], reply[70000];
    COIR_TRY(exchange(stream, GET("/hello/me"), OK("10", "hello, me\n")));
    COIR_TRY(exchange(stream, GET("/hello/a") GET("/hello/b"),
                      OK("9", "hello, a\n") OK("9", "hello, b\n")));
    int head = snprintf(big, sizeof big,
                        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60000"
                        "\r\n\r\n");
    memset(big + head, 'x', 60000);
    COIR_TRY(coir_stream_write(stream, big, (size_t)head + 60000));
    int length = snprintf(reply, sizeof reply,
                          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                          "Content-Length: 60000\r\n\r\n");
    COIR_TRY(coir_stream_read_exactly(stream, reply + length, (size_t)length));
    if (memcmp(reply, reply + length, (size_t)length) != 0)
        return -EBADMSG;
    COIR_TRY(coir_stream_read_exactly(stream, reply, 60000));
    return memcmp(reply, big + head, 60000) == 0 ? 0 : -EBADMSG;
}

COIR_TEST(over_memory)
{
    PATIENCE;
    COIR_AUTO(site) site = {.contexts = {.transport = -1}};
    COIR_REQUIRE_OK(site_open(&site, (coir_http_app_opts){0}));
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &stream, &site.stream));
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, serve_stream, &site, NULL));
    COIR_REQUIRE_OK(
        coir_tls_connect(site.contexts.client, "localhost", COIR_TAKE(stream), NULL, &stream));
    COIR_EXPECT_OK(converse(stream));
    coir_stream_close(COIR_TAKE(stream));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(site.result);
}

COIR_TEST(over_tcp)
{
    SERVED(site, group, server, ((coir_http_app_opts){0}));
    for (int i = 0; i < 2; i++) {
        COIR_AUTO(coir_stream) *stream = NULL;
        coir_tls_info info;
        COIR_REQUIRE_OK(dial(&site, &stream));
        COIR_EXPECT_OK(converse(stream));
        COIR_EXPECT_OK(coir_tls_stream_info(stream, &info));
        COIR_EXPECT_STR(info.protocol, "http/1.1");
        COIR_EXPECT_EQ(info.resumed, i == 1);
    }
    coir_cancel(server, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(site.result);
}

/* Browsers are told to keep cookies to connections like this one. */
COIR_TEST(cookies_are_secure)
{
    SERVED(site, group, server, ((coir_http_app_opts){0}));
    COIR_AUTO(coir_stream) *stream = NULL;
    coir_bytes head;
    COIR_REQUIRE_OK(dial(&site, &stream));
    COIR_EXPECT_OK(coir_stream_write(stream, GET("/cookie"), strlen(GET("/cookie"))));
    COIR_REQUIRE_CODE(coir_stream_read_until(stream, "\r\n\r\n", 4, 4096, &head), 1);
    COIR_EXPECT(memmem(head.data, head.length, "; Secure", 8) != NULL);
    coir_stream_close(COIR_TAKE(stream));
    coir_cancel(server, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- connections without a request ---- */

/* A moment after the handshake, and after each request, nobody waits for a connection; a request
 * that comes then is answered. The first one must come soon, others have more time. */
COIR_TEST(idle_connections_hold_no_task)
{
    SERVED(site, group, server, LIMITS);
    size_t before = tasks() + 1; /* the one that accepts is not there yet */
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(dial(&site, &stream));
    for (int i = 0; i < 3; i++) {
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
        COIR_EXPECT_EQ(idle(&site), 1);
        COIR_EXPECT_EQ(tasks(), before);
        COIR_EXPECT_OK(exchange(stream, GET("/hello/me"), OK("10", "hello, me\n")));
        COIR_EXPECT_EQ(idle(&site), 0);
    }
    coir_time start = coir_now();
    COIR_EXPECT_CODE(read_some(stream), 0);
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(400));
    COIR_EXPECT_LT(coir_now() - start, COIR_MS(450) + soon());
    coir_stream_close(COIR_TAKE(stream));
    COIR_REQUIRE_OK(dial(&site, &stream));
    start = coir_now();
    COIR_EXPECT_CODE(read_some(stream), 0);
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(300));
    COIR_EXPECT_LT(coir_now() - start, COIR_MS(350) + soon());
    coir_cancel(server, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* Who only connects, and who speaks plain HTTP, is left, and keeps nobody out. */
COIR_TEST(clients_without_tls)
{
    SERVED(site, group, server, LIMITS);
    COIR_AUTO(coir_stream) *silent = NULL;
    COIR_AUTO(coir_stream) *plain = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(coir_tcp_connect(site.address, NULL, &silent));
    COIR_REQUIRE_OK(coir_tcp_connect(site.address, NULL, &plain));
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_stream_write(plain, GET("/hello/me"), strlen(GET("/hello/me"))));
    int r;
    while ((r = read_some(plain)) > 0)
        ;
    COIR_EXPECT(r == 0 || r == -ECONNRESET);
    COIR_EXPECT_LT(coir_now() - start, soon());
    COIR_REQUIRE_OK(dial(&site, &stream));
    COIR_EXPECT_OK(exchange(stream, GET("/hello/me"), OK("10", "hello, me\n")));
    coir_stream_close(COIR_TAKE(stream));
    COIR_EXPECT_CODE(read_some(silent), 0);
    COIR_EXPECT_LT(coir_now() - start, COIR_MS(300) + soon());
    while (connections(&site) > 0 && coir_now() - start < COIR_SEC(2))
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(10))); /* the server may still be at its goodbyes */
    COIR_EXPECT_EQ(connections(&site), 0);
    coir_tls_stats stats;
    coir_tls_context_stats(site.contexts.server, &stats);
    COIR_EXPECT_EQ(stats.done, 1);
    COIR_EXPECT_EQ(stats.failed, 1);
    coir_cancel(server, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- the end ---- */

static int read_and_close(void *arg)
{
    coir_stream *stream = arg;
    int r = read_some(stream);
    coir_stream_close(stream);
    return r;
}

/* A server that is cancelled closes its idle connections side by side: at once when the clients
 * answer its goodbyes, after one linger when none of them does. Some have sent a request, others
 * nothing but their handshake, and some not even that. */
COIR_TEST_TAGGED(many_idle_connections_end_at_once, "no_torture")
{
    enum { CLIENTS = 120 };
    for (int answered = 0; answered < 2; answered++) {
        SERVED(site, group, server, ((coir_http_app_opts){0}));
        COIR_GROUP(readers);
        coir_stream *clients[CLIENTS];
        for (size_t i = 0; i < CLIENTS; i++) {
            COIR_REQUIRE_OK(i % 3 == 0 ? coir_tcp_connect(site.address, NULL, &clients[i])
                                       : dial(&site, &clients[i]));
            if (i % 3 == 1)
                COIR_REQUIRE_OK(exchange(clients[i], GET("/hello/me"), OK("10", "hello, me\n")));
            if (answered == 1)
                COIR_REQUIRE_OK(coir_spawn(&readers, read_and_close, clients[i], NULL));
        }
        coir_time start = coir_now();
        while (idle(&site) < CLIENTS && coir_now() - start < COIR_SEC(2))
            COIR_REQUIRE_OK(coir_sleep(COIR_MS(20))); /* the last one may be late */
        COIR_EXPECT_EQ(idle(&site), CLIENTS);
        start = coir_now();
        coir_cancel(server, NULL);
        COIR_EXPECT_OK(coir_group_wait(&group));
        COIR_EXPECT_OK(site.result);
        COIR_EXPECT_LT(site.ended - start, (answered == 1 ? 0 : COIR_SEC(1)) + soon());
        COIR_EXPECT_OK(coir_group_wait(&readers));
        for (size_t i = 0; i < CLIENTS && answered == 0; i++)
            coir_stream_abort(clients[i]);
    }
}
