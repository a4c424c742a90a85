/* http_app_time.c: tests of what a server bounds in time, in virtual time: slow heads, bodies and
 * readers, silence, the end of the server, clients that leave.
 */
#include "http_town.h"
#include "megabytes.h"
#include "net_pair.h"

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

static int read_body(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply_text(request, 200, "%zu", body.length);
}

/* A client that sends a byte of text at each interval, again and again if endless, until the
 * server has had enough. What comes back is in answer, and when it came in took. */
struct dribble {
    coir_stream *stream;
    const char *text;
    coir_time interval;
    bool endless;
};

static int send_slowly(void *arg)
{
    const struct dribble *dribble = arg;
    for (const char *at = dribble->text; *at != '\0'; at++) {
        COIR_TRY(coir_stream_write(dribble->stream, at, 1));
        COIR_TRY(coir_sleep(dribble->interval));
        if (dribble->endless && at[1] == '\0')
            at--;
    }
    return 0;
}

static int dribble_to(coir_http_app *app, struct dribble dribble, coir_buffer *answer,
                      coir_time *ret_took)
{
    struct serving serving = {.app = app};
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_GROUP(group);
    COIR_TRY(begin_serving(&group, &serving, &client));
    dribble.stream = client;
    coir_time start = coir_now();
    coir_task *sender;
    COIR_GROUP_COLLECT(senders);
    COIR_TRY(coir_spawn(&senders, send_slowly, &dribble, &sender));
    int r = read_rest(client, answer);
    *ret_took = coir_now() - start;
    int sent;
    coir_cancel(sender, NULL);
    COIR_TRY(coir_join(sender, &sent));
    coir_stream_close(COIR_TAKE(client));
    COIR_TRY(coir_group_wait(&group));
    return r;
}

static bool is_about(coir_time time, coir_time expected)
{
    return time >= expected && time <= expected + COIR_SEC(2);
}

static void keep_line(const char *line, void *arg)
{
    (void)snprintf(arg, 256, "%s", line);
}

COIR_TEST(a_head_has_one_time_for_all_of_it)
{
    static char line[256];
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) answer = {0};
    coir_time took;
    COIR_REQUIRE_OK(open_app(
        (coir_http_app_opts){.head_limit = COIR_SEC(10), .log = keep_line, .log_arg = line}, &app));
    coir_http_app_get(app, "/", hello);
    struct dribble slow = {NULL, "GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaa", COIR_SEC(1),
                           true};
    COIR_EXPECT_OK(dribble_to(app, slow, &answer, &took));
    COIR_EXPECT_STR(coir_buffer_text(&answer),
                    LAST("408 Request Timeout", "20", "408 Request Timeout\n"));
    COIR_EXPECT(is_about(took, COIR_SEC(10)));
    coir_http_app_stats stats;
    coir_http_app_stats_get(app, &stats);
    COIR_EXPECT_EQ(stats.refused, 1);
    COIR_EXPECT_CONTAINS(line, "] \"GET / HTTP\" 408 20 10.0");
}

COIR_TEST(silence_ends_a_connection_without_a_word)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) answer = {0};
    COIR_AUTO(coir_buffer) nothing = {0};
    coir_time took;
    coir_http_app_opts opts = {.head_limit = COIR_SEC(10), .idle_limit = COIR_SEC(75)};
    COIR_REQUIRE_OK(open_app(opts, &app));
    coir_http_app_get(app, "/", hello);
    COIR_EXPECT_OK(dribble_to(app, (struct dribble){.text = ""}, &nothing, &took));
    COIR_EXPECT_EQ(nothing.length, 0);
    COIR_EXPECT(is_about(took, COIR_SEC(10)));
    COIR_EXPECT_OK(dribble_to(app, (struct dribble){.text = GET("/")}, &answer, &took));
    COIR_EXPECT_STR(coir_buffer_text(&answer), OK("6", "hello\n"));
    COIR_EXPECT(is_about(took, COIR_SEC(75)));
}

/* Some clients end a body with a line of its own: no request that would be late. */
COIR_TEST(an_empty_line_behind_a_body_asks_for_nothing)
{
    static const char post[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab\r\n";
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) answer = {0};
    coir_time took;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_post(app, "/", read_body);
    COIR_EXPECT_OK(dribble_to(app, (struct dribble){.text = post}, &answer, &took));
    COIR_EXPECT_STR(coir_buffer_text(&answer), OK("1", "2"));
}

COIR_TEST(a_body_must_come_at_a_rate)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) answer = {0};
    coir_time took;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.stall_limit = COIR_SEC(30)}, &app));
    coir_http_app_post(app, "/", read_body);
    struct serving serving = {.app = app};
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
    static const char head[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n";
    COIR_REQUIRE_OK(coir_stream_write(client, head, strlen(head)));
    coir_time start = coir_now();
    struct dribble slow = {client, "x", COIR_SEC(1), true};
    coir_task *sender;
    COIR_GROUP_COLLECT(senders);
    COIR_REQUIRE_OK(coir_spawn(&senders, send_slowly, &slow, &sender));
    COIR_EXPECT_OK(read_rest(client, &answer));
    took = coir_now() - start;
    int sent;
    coir_cancel(sender, NULL);
    COIR_REQUIRE_OK(coir_join(sender, &sent));
    COIR_EXPECT_STR(
        coir_buffer_text(&answer),
        LAST("408 Request Timeout", "47", "408 Request Timeout: the body comes too slowly\n"));
    COIR_EXPECT(is_about(took, COIR_SEC(30)));
    coir_stream_close(COIR_TAKE(client));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- readers ---- */

enum { LARGE = 4 << 20 };

static int send_large(coir_http_request *request)
{
    return coir_http_reply(request, 200, NULL, megabytes(LARGE), LARGE);
}

static int send_on(coir_http_request *request)
{
    const char *data = megabytes(LARGE);
    COIR_TRY(coir_http_reply_begin(request, 200, NULL));
    for (int i = 0; i < 4; i++) /* a handler that does not look */
        if (coir_http_reply_write(request, data, i % 2 == 0 ? LARGE : 10) < 0)
            COIR_TRY(coir_sleep(COIR_SEC(1)));
    return 0;
}

static int visit_slowly(coir_http_app *app, const char *input, coir_time before, size_t piece,
                        coir_time pause, size_t *ret_length)
{
    struct serving serving = {.app = app};
    COIR_AUTO(coir_stream) *client = NULL;
    char *data = megabytes(piece);
    int r;
    *ret_length = 0;
    COIR_GROUP(group);
    COIR_TRY(begin_serving(&group, &serving, &client));
    COIR_TRY(coir_stream_write(client, input, strlen(input)));
    COIR_TRY(coir_sleep(before));
    for (size_t n; (r = coir_stream_read(client, data, piece, &n)) > 0; *ret_length += n)
        COIR_TRY(coir_sleep(pause));
    coir_stream_close(COIR_TAKE(client));
    COIR_TRY(coir_group_wait(&group));
    return r;
}

#define CLOSING(path) "GET " path " HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"

COIR_TEST(who_does_not_read_is_let_go)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    size_t length;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.stall_limit = COIR_SEC(30)}, &app));
    coir_http_app_get(app, "/", send_large);
    coir_http_app_get(app, "/on", send_on);
    coir_time start = coir_now();
    COIR_EXPECT_CODE(visit_slowly(app, CLOSING("/"), COIR_SEC(31), 1 << 16, 0, &length),
                     -ECONNRESET);
    COIR_EXPECT_LT(length, LARGE);
    COIR_EXPECT(is_about(coir_now() - start, COIR_SEC(31)));
    /* and what is lost is not hidden by a handler that goes on */
    COIR_EXPECT_CODE(visit_slowly(app, CLOSING("/on"), COIR_SEC(31), 1 << 16, 0, &length),
                     -ECONNRESET);
}

/* 64 KiB in 2 s: all of it takes 128 s, and none of it stalls. */
COIR_TEST(who_reads_slowly_gets_it_all)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    size_t length;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.stall_limit = COIR_SEC(30)}, &app));
    coir_http_app_get(app, "/", send_large);
    COIR_EXPECT_OK(visit_slowly(app, CLOSING("/"), 0, 1 << 16, COIR_SEC(2), &length));
    COIR_EXPECT_GT(length, LARGE);
}

/* ---- the end of the server ---- */

static int take_long(coir_http_request *request)
{
    const char *n = coir_http_request_param(request, "n");
    COIR_TRY(coir_sleep(COIR_SEC(1) * (n[0] - '0')));
    return coir_http_reply_text(request, 200, "done\n");
}

#define DONE                                                                                       \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"          \
    "Connection: close\r\n\r\ndone\n"

COIR_TEST_TAGGED(a_cancelled_server_drains, "no_torture,real_clock,limit=30")
{
    struct town town = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *idle = NULL;
    COIR_AUTO(coir_stream) *quick = NULL;
    COIR_AUTO(coir_stream) *slow = NULL;
    COIR_AUTO(coir_buffer) first = {0};
    COIR_AUTO(coir_buffer) second = {0};
    COIR_AUTO(coir_buffer) third = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.grace = COIR_SEC(2)}, &app));
    coir_http_app_get(app, "/{n}", take_long);
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_DEADLINE(patience());
    COIR_GROUP(group);
    COIR_REQUIRE_OK(build(&town, app, listener, &group));
    COIR_REQUIRE_OK(ask(&town, "", &idle));
    COIR_REQUIRE_OK(ask(&town, GET("/1"), &quick));
    COIR_REQUIRE_OK(ask(&town, GET("/9"), &slow));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(300)));
    coir_time start = coir_now();
    coir_cancel(town.task, NULL);
    COIR_EXPECT_OK(read_rest(idle, &first)); /* at once */
    COIR_EXPECT_EQ(first.length, 0);
    COIR_EXPECT_LT(coir_now() - start, COIR_MS(600));
    COIR_EXPECT_OK(read_rest(quick, &second)); /* when it is done */
    COIR_EXPECT_STR(coir_buffer_text(&second), DONE);
    COIR_EXPECT_LT(coir_now() - start, COIR_MS(1500));
    (void)read_rest(slow, &third); /* after the grace */
    COIR_EXPECT_EQ(third.length, 0);
    COIR_EXPECT_GE(coir_now() - start, COIR_SEC(2) - COIR_MS(50));
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(4));
    int result;
    COIR_EXPECT_OK(coir_join(town.task, &result));
    COIR_EXPECT_EQ(town.host.result, 0);
}

static int fail_soon(void *arg)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_MS(300)));
    return -ENOSPC;
}

/* A request that hangs holds a server that has failed for its grace, and no longer. */
COIR_TEST_TAGGED(a_service_that_fails_ends_the_server, "no_torture,real_clock,limit=30")
{
    struct town town = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *slow = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.grace = COIR_SEC(1)}, &app));
    coir_http_app_get(app, "/{n}", take_long);
    coir_http_app_service(app, fail_soon, NULL);
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_DEADLINE(patience());
    COIR_GROUP(group);
    COIR_REQUIRE_OK(build(&town, app, listener, &group));
    COIR_REQUIRE_OK(ask(&town, GET("/9"), &slow));
    coir_time start = coir_now();
    int result;
    COIR_EXPECT_OK(coir_join(town.task, &result));
    COIR_EXPECT_EQ(town.host.result, -ENOSPC);
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(3));
}

/* ---- clients that leave ---- */

static int last_result;

static int wait_long(coir_http_request *request)
{
    last_result = coir_sleep(COIR_SEC(1000));
    COIR_TRY(last_result);
    return coir_http_reply_text(request, 200, "late\n");
}

COIR_TEST(a_client_that_leaves_cancels_its_handler)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    struct serving serving = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.cancel_on_end = true}, &app));
    coir_http_app_get(app, "/", wait_long);
    serving.app = app;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
    COIR_REQUIRE_OK(coir_stream_write(client, GET("/") GET("/"), 2 * strlen(GET("/"))));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    coir_time start = coir_now();
    coir_stream_close(COIR_TAKE(client));
    COIR_EXPECT_OK(coir_group_wait(&group)); /* no report of a failure is made */
    COIR_EXPECT_CODE(last_result, -ECANCELED);
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(2));
}

/* ---- idle connections ---- */

COIR_TEST_TAGGED(an_idle_connection_holds_no_task, "no_torture,real_clock")
{
    enum { CONNECTIONS = 20 };
    static coir_stream *clients[CONNECTIONS];
    static struct serving servings[CONNECTIONS];
    struct coir_loop_stats before, after;
    char reply[sizeof OK("6", "hello\n") - 1];
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    COIR_GROUP(group);
    coir_loop_stats(NULL, &before);
    int r = 0;
    for (int i = 0; i < CONNECTIONS && r >= 0; i++) {
        servings[i] = (struct serving){.app = app};
        r = coir_unix_pair(&clients[i], &servings[i].stream);
        if (r >= 0) {
            r = coir_spawn(&group, serve_it, &servings[i], NULL);
            if (r < 0)
                coir_stream_abort(servings[i].stream);
        }
        if (r >= 0)
            r = coir_stream_write(clients[i], GET("/"), strlen(GET("/")));
        if (r >= 0)
            r = coir_stream_read_exactly(clients[i], reply, sizeof reply);
    }
    if (COIR_EXPECT_OK(r) && COIR_EXPECT_OK(coir_sleep(COIR_MS(300)))) {
        coir_http_app_stats stats;
        coir_http_app_stats_get(app, &stats);
        COIR_EXPECT_EQ(stats.idle, CONNECTIONS);
        coir_loop_stats(NULL, &after);
        COIR_EXPECT_EQ(after.tasks - before.tasks, CONNECTIONS); /* serve_it; no other */
    }
    for (int i = 0; i < CONNECTIONS; i++)
        coir_stream_close(COIR_TAKE(clients[i]));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- both at once ---- */

/* A stream of requests, of which each but the first is read while the time for it runs out. */
struct late {
    const char *const *requests;
    size_t next;
    coir_buffer said;
};

static int read_late(void *state, void *data, size_t size, size_t *ret_n)
{
    struct late *late = state;
    const char *text = late->requests[late->next];
    if (text == NULL)
        return 0;
    if (late->next++ > 0) {
        COIR_SHIELD(COIR_SEC(1));
        COIR_TRY(coir_sleep(COIR_MS(60)));
    }
    *ret_n = strlen(text);
    COIR_EXPECT_LT(*ret_n, size);
    memcpy(data, text, *ret_n);
    return 1;
}

static int write_late(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct late *late = state;
    *ret_n = 0;
    for (size_t i = 0; i < count; i++) {
        COIR_TRY(coir_buffer_append(&late->said, vectors[i].iov_base, vectors[i].iov_len));
        *ret_n += vectors[i].iov_len;
    }
    return 0;
}

static int shutdown_late(void *state)
{
    (void)state;
    return 0;
}

static void close_late(void *state, bool abrupt)
{
    (void)state;
    (void)abrupt;
}

COIR_TEST_TAGGED(a_request_that_comes_as_the_time_for_it_ends_is_answered, "no_torture")
{
    static const coir_stream_ops ops = {.name = "late",
                                        .read = read_late,
                                        .write = write_late,
                                        .shutdown = shutdown_late,
                                        .close = close_late};
    static const char *const requests[] = {GET("/"), GET("/"), GET("/"), NULL};
    struct late late = {.requests = requests};
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_stream *stream;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", hello);
    COIR_REQUIRE_OK(coir_stream_open(&ops, &late, &stream));
    COIR_EXPECT_OK(coir_http_app_serve_stream(app, stream));
    COIR_EXPECT_STR(coir_buffer_text(&late.said),
                    OK("6", "hello\n") OK("6", "hello\n") OK("6", "hello\n"));
    coir_buffer_close(&late.said);
}
