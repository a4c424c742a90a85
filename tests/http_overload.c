/* http_overload.c: tests of servers with more clients than places, with greedy ones, and with such
 * as send byte by byte; and that nobody waits for a reply behind somebody else's.
 */
#include "http_town.h"
#include "net_pair.h"

#define HELLO OK("6", "hello\n")

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

static int take_long(coir_http_request *request)
{
    COIR_TRY(coir_sleep(COIR_MS(500)));
    return coir_http_reply_text(request, 200, "hello\n");
}

static coir_http_app_stats stats_of(const coir_http_app *app)
{
    coir_http_app_stats stats;
    coir_http_app_stats_get(app, &stats);
    return stats;
}

/* That the server has closed a connection: by its end, or by a reset. */
static void expect_closed(coir_stream *client)
{
    char byte;
    size_t n;
    int r = coir_stream_read(client, &byte, 1, &n);
    COIR_EXPECT(r == 0 || r == -ECONNRESET);
}

/* A server at a free port, with so much room, and two clients that are not connected yet. Its grace
 * is shorter than the test may take: a connection that a failing poll has woken has no request. */
#define SERVER(...)                                                                                \
    struct town town = {0};                                                                        \
    COIR_AUTO(coir_http_app) *app = NULL;                                                          \
    COIR_AUTO(coir_listener) *listener = NULL;                                                     \
    COIR_AUTO(coir_stream) *first = NULL;                                                          \
    COIR_AUTO(coir_stream) *second = NULL;                                                         \
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.grace = COIR_SEC(3), __VA_ARGS__}, &app));      \
    coir_http_app_get(app, "/", hello);                                                            \
    coir_http_app_get(app, "/slow", take_long);                                                    \
    COIR_DEADLINE(patience());                                                                     \
    COIR_GROUP(group);                                                                             \
    COIR_REQUIRE_OK(build_here(&town, app, &group, &listener))

/* ---- places ---- */

COIR_TEST_TAGGED(the_one_that_is_idle_for_longest_makes_room, "real_clock")
{
    SERVER(.connections = 2);
    COIR_AUTO(coir_stream) *third = NULL;
    COIR_REQUIRE_OK(ask(&town, GET("/"), &first));
    COIR_REQUIRE_OK(expect_text(first, HELLO));
    COIR_REQUIRE_OK(ask(&town, GET("/"), &second));
    COIR_REQUIRE_OK(expect_text(second, HELLO));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
    COIR_REQUIRE_OK(coir_stream_write(first, GET("/"), strlen(GET("/"))));
    COIR_REQUIRE_OK(expect_text(first, HELLO)); /* now the second is idle for longer */
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
    COIR_EXPECT_EQ(stats_of(app).idle, 2);
    COIR_REQUIRE_OK(ask(&town, GET("/"), &third));
    COIR_REQUIRE_OK(expect_text(third, HELLO));
    expect_closed(second);
    COIR_REQUIRE_OK(coir_stream_write(first, GET("/"), strlen(GET("/"))));
    COIR_REQUIRE_OK(expect_text(first, HELLO));
    COIR_EXPECT_EQ(stats_of(app).evicted, 1);
    COIR_EXPECT_EQ(stats_of(app).connections, 2);
}

/* All have a request: one more waits until one of them has its reply. */
COIR_TEST_TAGGED(who_finds_no_place_waits_for_a_reply, "real_clock")
{
    SERVER(.connections = 1);
    coir_time start = coir_now();
    COIR_REQUIRE_OK(ask(&town, GET("/slow"), &first));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
    COIR_REQUIRE_OK(ask(&town, GET("/"), &second));
    COIR_REQUIRE_OK(expect_text(second, HELLO));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(450));
    COIR_REQUIRE_OK(expect_text(first, HELLO));
    expect_closed(first); /* there was no room for it without a request */
    COIR_EXPECT_EQ(stats_of(app).evicted, 0);
}

/* A server that is ended while somebody waits for a place. */
COIR_TEST_TAGGED(who_waits_for_a_place_does_not_hold_the_server, "real_clock")
{
    SERVER(.connections = 1);
    COIR_REQUIRE_OK(ask(&town, GET("/slow"), &first));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
    COIR_REQUIRE_OK(ask(&town, GET("/slow"), &second));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
    coir_cancel(town.task, NULL);
    expect_closed(second);
    int result;
    COIR_EXPECT_OK(coir_join(town.task, &result));
    COIR_EXPECT_EQ(town.host.result, 0);
    COIR_EXPECT_EQ(stats_of(app).connections, 0);
}

/* ---- clients ---- */

static int connect_from(const struct town *town, const char *local, coir_stream **ret_client)
{
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_TRY(coir_tcp_connect(town->address, &(coir_connect_opts){.local = local}, &client));
    COIR_TRY(coir_stream_write(client, GET("/"), strlen(GET("/"))));
    *ret_client = COIR_TAKE(client);
    return 0;
}

COIR_TEST_TAGGED(a_client_has_so_many_connections_and_no_more, "real_clock")
{
    SERVER(.client_connections = 2);
    COIR_AUTO(coir_stream) *third = NULL;
    COIR_AUTO(coir_stream) *other = NULL;
    COIR_REQUIRE_OK(ask(&town, GET("/"), &first));
    COIR_REQUIRE_OK(ask(&town, GET("/"), &second));
    COIR_REQUIRE_OK(expect_text(first, HELLO));
    COIR_REQUIRE_OK(expect_text(second, HELLO));
    COIR_REQUIRE_OK(ask(&town, "", &third));
    expect_closed(third);
    COIR_EXPECT_EQ(stats_of(app).rejected, 1);
    COIR_EXPECT_EQ(stats_of(app).connections, 2);
    COIR_REQUIRE_OK(connect_from(&town, "127.0.0.2:0", &other)); /* is somebody else */
    COIR_REQUIRE_OK(expect_text(other, HELLO));
    coir_stream_close(COIR_TAKE(second));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(100)));
    coir_stream_close(COIR_TAKE(third));
    COIR_REQUIRE_OK(ask(&town, GET("/"), &third));
    COIR_REQUIRE_OK(expect_text(third, HELLO));
    COIR_EXPECT_EQ(stats_of(app).rejected, 1);
}

/* ---- bytes that trickle ---- */

struct trickle {
    coir_stream *stream;
    const char *text;
};

static int send_bytes(void *arg)
{
    const struct trickle *trickle = arg;
    for (const char *at = trickle->text; *at != '\0'; at++) {
        COIR_TRY(coir_stream_write(trickle->stream, at, 1));
        COIR_TRY(coir_sleep(COIR_MS(1)));
    }
    return 0;
}

/* Sends text byte by byte, and expects expected within a second. */
static int trickle_to(coir_http_app *app, const char *text, const char *expected)
{
    struct serving serving = {.app = app};
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_GROUP(group);
    COIR_TRY(begin_serving(&group, &serving, &client));
    struct trickle trickle = {client, text};
    COIR_GROUP_COLLECT(senders);
    COIR_TRY(coir_spawn(&senders, send_bytes, &trickle, NULL));
    coir_time start = coir_now();
    COIR_TRY(expect_text(client, expected));
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(1));
    COIR_TRY(coir_group_wait(&senders));
    coir_stream_close(COIR_TAKE(client));
    return coir_group_wait(&group);
}

COIR_TEST_TAGGED(heads_come_byte_by_byte, "no_torture")
{
    static const char *const rows[][2] = {
        {GET("/"), HELLO},
        {"\r\n" GET("/"), HELLO},
        {"GET / HTTP/1.1\r\nA: b\r\nHost: a\r\nAccept: everything\r\n\r\n" GET("/"), HELLO HELLO},
        {"GET / HTTP/1.1\r\n" HOST "A: a value of some length\n",
         LAST("400 Bad Request", "47", "400 Bad Request: a line ends without CR and LF\n")},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    for (size_t i = 0; i < COIR_COUNT(rows); i++)
        COIR_EXPECT_OK(trickle_to(app, rows[i][0], rows[i][1]));
}

/* Nor does the time until a head is late help bytes that are none. */
COIR_TEST_TAGGED(what_came_before_the_time_was_over_is_looked_at, "no_torture")
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.head_limit = COIR_MS(500)}, &app));
    struct serving serving = {.app = app};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
    COIR_REQUIRE_OK(coir_stream_write(client, "GET", 3));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_REQUIRE_OK(coir_stream_write(client, "a@", 2));
    COIR_EXPECT_OK(expect_text(
        client, LAST("400 Bad Request", "45", "400 Bad Request: a request line that is none\n")));
}

/* Bytes that came with the end of what the client sends are judged as those before. */
COIR_TEST_TAGGED(what_came_before_the_end_is_looked_at, "no_torture")
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    struct serving serving = {.app = app};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
    COIR_REQUIRE_OK(coir_stream_write(client, "GET", 3));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_REQUIRE_OK(coir_stream_write(client, "a@", 2)); /* less than as much again */
    COIR_REQUIRE_OK(coir_stream_shutdown(client));
    COIR_EXPECT_OK(expect_text(
        client, LAST("400 Bad Request", "45", "400 Bad Request: a request line that is none\n")));
}

/* ---- replies that are ready ---- */

static int fail_late(coir_http_request *request)
{
    COIR_TRY(coir_sleep(COIR_MS(500)));
    return coir_http_fail(request, 403, "no");
}

static int stream_slowly(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_begin(request, 200, NULL));
    COIR_TRY(coir_sleep(COIR_MS(500)));
    COIR_TRY(coir_http_reply_write(request, "ab", 2));
    return 0;
}

COIR_TEST(a_reply_does_not_wait_for_the_handler_behind_it)
{
    static const char *const rows[][2] = {
        {GET("/") GET("/") GET("/slow") GET("/"), HELLO HELLO},
        {GET("/") GET("/slow") GET("/slow") GET("/"), HELLO HELLO},
        {GET("/") GET("/fail"), REPLY("403 Forbidden", "", "18", "403 Forbidden: no\n")},
        {GET("/") GET("/stream"),
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"},
    };
    static const size_t before[] = {2, 1, 1, 1};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    coir_http_app_get(app, "/slow", take_long);
    coir_http_app_get(app, "/fail", fail_late);
    coir_http_app_get(app, "/stream", stream_slowly);
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        struct serving serving = {.app = app};
        COIR_AUTO(coir_stream) *client = NULL;
        COIR_AUTO(coir_buffer) rest = {0};
        COIR_GROUP(group);
        COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
        COIR_REQUIRE_OK(coir_stream_write(client, rows[i][0], strlen(rows[i][0])));
        COIR_REQUIRE_OK(coir_stream_shutdown(client));
        coir_time start = coir_now();
        for (size_t k = 0; k < before[i]; k++)
            COIR_REQUIRE_OK(expect_text(client, HELLO));
        COIR_EXPECT_LT(coir_now() - start, COIR_MS(300));
        COIR_EXPECT_OK(read_rest(client, &rest));
        COIR_EXPECT_STR(coir_buffer_text(&rest), i == 1 ? HELLO HELLO HELLO : rows[i][1]);
        COIR_EXPECT_GE(coir_now() - start, COIR_MS(450));
        COIR_EXPECT_OK(coir_group_wait(&group));
    }
}
