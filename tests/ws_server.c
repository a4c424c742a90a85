/* ws_server.c: WebSockets of a server between our own two ends: handlers without a task, rooms,
 * many senders, failures, and how a server ends.
 */
#include <stdlib.h>

#include "http/ws/ws.h"
#include "ws_place.h"

/* ---- handlers ---- */

struct seen {
    coir_ws_room room;
    char text[512];
    int open;
};

static void note(struct seen *seen, const char *format, const char *what, int number)
{
    size_t length = strlen(seen->text);
    (void)snprintf(seen->text + length, sizeof seen->text - length, format, what, number);
}

static int opened(coir_http_request *request, coir_ws *ws)
{
    struct seen *seen = coir_http_request_state(request);
    coir_ws_set_data(ws, seen);
    seen->open++;
    note(seen, "+%s%.0d ", coir_http_request_query_text(request), 0);
    return strcmp(coir_http_request_query_text(request), "refused") == 0 ? -EPERM : 0;
}

static int message_came(coir_ws *ws, const coir_ws_message *message)
{
    struct seen *seen = coir_ws_data(ws);
    const char *text = message->data.data;
    note(seen, "%s%.0d ", text, 0);
    if (strcmp(text, "fail") == 0)
        return coir_fail(-EIO, "as it was told");
    if (strcmp(text, "wait") == 0)
        COIR_TRY(coir_sleep(COIR_SEC(1)));
    if (strcmp(text, "bye") == 0)
        return coir_ws_shutdown(ws, 4000, "bye");
    return coir_ws_send(ws, message->kind, message->data);
}

static void closed(coir_ws *ws)
{
    struct seen *seen = coir_ws_data(ws);
    seen->open--;
    note(seen, "-%s%d ", "", coir_ws_close_code(ws));
}

static const coir_ws_handlers handlers = {opened, message_came, closed, {0}};

COIR_TEST(handlers_get_what_comes)
{
    struct seen seen = {0};
    PLACE(.state = &seen);
    coir_http_app_websocket_handlers(place.app, "/", &handlers, NULL);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/?one", NULL, &ws));
    COIR_REQUIRE_OK(coir_ws_send_text(ws, "a"));
    COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "a", 1));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(70))); /* pings are answered only by who receives */
    COIR_EXPECT_CODE(expect_message(ws, COIR_TEXT, "", 0), -ECONNRESET);
    coir_ws_close(COIR_TAKE(ws));
    COIR_EXPECT_STR(seen.text, "+one a -1006 ");
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/?two", NULL, &ws));
    COIR_REQUIRE_OK(coir_ws_send_text(ws, "wait"));
    COIR_REQUIRE_OK(coir_ws_send_text(ws, "b"));
    COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "wait", 4));
    COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "b", 1));
    COIR_REQUIRE_OK(coir_ws_send_text(ws, "bye"));
    COIR_REQUIRE_OK(expect_end(ws, 4000));
    COIR_EXPECT_STR(coir_ws_close_reason(ws), "bye");
    coir_ws_close(COIR_TAKE(ws));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_STR(seen.text, "+one a -1006 +two wait b bye -4000 ");
    COIR_EXPECT_EQ(seen.open, 0);
}

COIR_TEST_TAGGED(handlers_fail, "expect_reports")
{
    struct seen seen = {0};
    PLACE(.state = &seen);
    coir_http_app_websocket_handlers(place.app, "/", &handlers, NULL);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/?refused", NULL, &ws));
    COIR_REQUIRE_OK(expect_end(ws, COIR_WS_FAILED));
    coir_ws_close(COIR_TAKE(ws));
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/?one", NULL, &ws));
    COIR_REQUIRE_OK(coir_ws_send_text(ws, "fail"));
    COIR_REQUIRE_OK(expect_end(ws, COIR_WS_FAILED));
    coir_ws_close(COIR_TAKE(ws));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_STR(seen.text, "+refused +one fail -1011 ");
}

/* An idle socket answers pings, and is pinged itself. */
COIR_TEST(handlers_and_silence)
{
    struct seen seen = {0};
    PLACE(.state = &seen);
    coir_http_app_websocket_handlers(place.app, "/", &handlers, NULL);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(
        coir_ws_connect(place.http, "/", &(coir_ws_opts){.heartbeat = COIR_SEC(20)}, &ws));
    coir_ws_message message;
    COIR_SCOPE(while_nothing_comes, COIR_SEC(200));
    COIR_EXPECT_CODE(coir_ws_receive(ws, &message), -ETIME);
    coir_scope_leave(&while_nothing_comes);
    COIR_REQUIRE_OK(coir_ws_send_text(ws, "a"));
    COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "a", 1));
    struct coir_loop_stats stats;
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    coir_loop_stats(coir_loop_current(), &stats);
    COIR_EXPECT_LE(stats.tasks, 5); /* this one, the server's: none of the socket */
}

/* ---- rooms ---- */

static int join_room(coir_http_request *request, coir_ws *ws)
{
    struct seen *seen = coir_http_request_state(request);
    coir_ws_message message;
    int r;
    COIR_TRY(coir_ws_join(ws, &seen->room));
    COIR_TRY(coir_ws_join(ws, &seen->room)); /* once */
    COIR_TRY(coir_ws_send_text(ws, "welcome"));
    while ((r = coir_ws_receive(ws, &message)) > 0) {
        if (strcmp(message.data.data, "leave") == 0) {
            coir_ws_leave(ws, &seen->room);
            continue;
        }
        COIR_EXPECT_OK(coir_ws_broadcast(&seen->room, message.kind, message.data, ws));
    }
    return r;
}

COIR_TEST(rooms)
{
    struct seen seen = {0};
    PLACE(.state = &seen);
    coir_http_app_websocket(place.app, "/", join_room);
    OPEN();
    enum { COUNT = 4 };
    coir_ws *sockets[COUNT] = {0};
    char text[3000];
    memset(text, 'x', sizeof text); /* is packed for those who want it */
    text[0] = 'y';
    for (int i = 0; i < COUNT; i++) {
        const coir_ws_opts opts = {.deflate = i == 1   ? COIR_WS_DEFLATE_OFF
                                              : i == 2 ? COIR_WS_DEFLATE_CONTEXT
                                                       : COIR_WS_DEFLATE};
        int r = coir_ws_connect(place.http, "/", &opts, &sockets[i]);
        if (COIR_EXPECT_OK(r))
            COIR_EXPECT_OK(expect_message(sockets[i], COIR_TEXT, "welcome", 7));
    }
    COIR_EXPECT_EQ(coir_ws_room_count(&seen.room), COUNT);
    COIR_EXPECT_OK(coir_ws_send(sockets[0], COIR_TEXT, (coir_bytes){text, sizeof text}));
    for (int i = 1; i < COUNT; i++)
        COIR_EXPECT_OK(expect_message(sockets[i], COIR_TEXT, text, sizeof text));
    COIR_EXPECT_OK(coir_ws_send_text(sockets[1], "leave"));
    coir_ws_close(COIR_TAKE(sockets[2]));
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_EQ(coir_ws_room_count(&seen.room), COUNT - 2);
    COIR_EXPECT_OK(coir_ws_send_text(sockets[1], "to all"));
    COIR_EXPECT_OK(expect_message(sockets[0], COIR_TEXT, "to all", 6));
    COIR_EXPECT_OK(expect_message(sockets[3], COIR_TEXT, "to all", 6));
    for (int i = 0; i < COUNT; i++)
        coir_ws_close(sockets[i]);
    coir_ws_room_close(&seen.room);
}

/* A room of clients: each frame has a mask of its own. */
COIR_TEST(a_room_of_clients)
{
    PLACE();
    coir_http_app_websocket(place.app, "/", echo);
    OPEN();
    COIR_AUTO(coir_ws_room) room = {0};
    COIR_AUTO(coir_ws) *one = NULL, *two = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &one));
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &two));
    COIR_REQUIRE_OK(coir_ws_join(one, &room));
    COIR_REQUIRE_OK(coir_ws_join(two, &room));
    COIR_EXPECT_CODE(coir_ws_broadcast(&room, COIR_TEXT, (coir_bytes){"\xff", 1}, NULL), -EBADMSG);
    COIR_EXPECT_EQ(coir_ws_broadcast(&room, COIR_TEXT, (coir_bytes){"hello", 5}, NULL), 2);
    COIR_REQUIRE_OK(expect_message(one, COIR_TEXT, "hello", 5));
    COIR_REQUIRE_OK(expect_message(two, COIR_TEXT, "hello", 5));
    COIR_REQUIRE_OK(coir_ws_shutdown(one, 0, NULL));
    COIR_EXPECT_EQ(coir_ws_broadcast(&room, COIR_TEXT, (coir_bytes){"hello", 5}, NULL), 1);
}

/* ---- many senders ---- */

struct sender {
    coir_ws *ws;
    char letter;
};

static int send_many(void *arg)
{
    const struct sender *sender = arg;
    char data[20000];
    memset(data, sender->letter, sizeof data);
    for (size_t i = 0; i < 20; i++) {
        size_t length = i * i * 37 % sizeof data + 1;
        if (i % 3 == 0) {
            COIR_TRY(coir_ws_send_some(sender->ws, COIR_BINARY, (coir_bytes){data, 1}, false));
            COIR_TRY(coir_yield());
            COIR_TRY(coir_ws_send_some(sender->ws, COIR_BINARY, (coir_bytes){data, length}, true));
        } else {
            COIR_TRY(coir_ws_send(sender->ws, COIR_BINARY, (coir_bytes){data, length}));
        }
    }
    return 0;
}

/* Messages of several tasks come whole, each task's in order, pings among them. */
COIR_TEST_TAGGED(senders_never_mix, "slow,limit=30")
{
    PLACE();
    coir_http_app_websocket(place.app, "/", echo);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &ws));
    struct sender senders[3] = {{ws, 'a'}, {ws, 'b'}, {ws, 'c'}};
    size_t next[3] = {0};
    COIR_DEADLINE(COIR_SEC(100));
    COIR_GROUP(sending);
    for (size_t i = 0; i < COIR_COUNT(senders); i++)
        COIR_REQUIRE_OK(coir_spawn(&sending, send_many, &senders[i], NULL));
    for (int i = 0; i < 60; i++) {
        coir_ws_message message;
        COIR_REQUIRE_EQ(coir_ws_receive(ws, &message), 1);
        const char *data = message.data.data;
        size_t who = (size_t)(data[0] - 'a');
        COIR_REQUIRE(who < COIR_COUNT(senders));
        size_t number = next[who]++;
        COIR_EXPECT_EQ(message.data.length, number * number * 37 % 20000 + 1 + (number % 3 == 0));
        for (size_t k = 1; k < message.data.length; k++)
            if (data[k] != data[0]) {
                COIR_FAIL("message %d has '%c' among '%c'", i, data[k], data[0]);
                return;
            }
        if (i % 10 == 0)
            COIR_EXPECT_OK(coir_ws_ping(ws));
    }
}

/* ---- two sources of events in one group ---- */

struct forwarder {
    coir_ws *ws;
    coir_subscription *news;
};

static int forward(void *arg)
{
    struct forwarder *forwarder = arg;
    int line, r;
    while ((r = coir_subscription_receive(forwarder->news, &line)) > 0)
        COIR_TRY(coir_ws_send_text(forwarder->ws, "news %d", line));
    return r < 0 ? r : coir_ws_shutdown(forwarder->ws, COIR_WS_GOING_AWAY, "no more news");
}

static int two_sources(coir_http_request *request, coir_ws *ws)
{
    COIR_AUTO(coir_subscription) *news = NULL;
    COIR_TRY(coir_broadcast_subscribe(coir_http_request_state(request), &news));
    struct forwarder forwarder = {ws, news};
    COIR_GROUP(both);
    COIR_TRY(coir_spawn(&both, forward, &forwarder, NULL));
    coir_ws_message message;
    int r;
    while ((r = coir_ws_receive(ws, &message)) > 0)
        COIR_TRY(coir_ws_send_text(ws, "Echo: %s", (const char *)message.data.data));
    return coir_group_finish(&both, r);
}

COIR_TEST(whichever_source_ends_first_ends_the_other)
{
    COIR_AUTO(coir_broadcast) *news = NULL;
    COIR_REQUIRE_OK(coir_broadcast_open(int, 8, NULL, &news));
    PLACE(.state = news);
    coir_http_app_websocket(place.app, "/", two_sources);
    OPEN();
    COIR_AUTO(coir_ws) *one = NULL, *two = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &one));
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &two));
    COIR_REQUIRE_OK(coir_ws_send_text(one, "hi"));
    COIR_REQUIRE_OK(expect_message(one, COIR_TEXT, "Echo: hi", 8));
    COIR_REQUIRE_OK(coir_ws_send_text(two, "ho"));
    COIR_REQUIRE_OK(expect_message(two, COIR_TEXT, "Echo: ho", 8));
    COIR_REQUIRE_OK(coir_broadcast_send(news, &(int){7}));
    COIR_REQUIRE_OK(expect_message(one, COIR_TEXT, "news 7", 6));
    COIR_REQUIRE_OK(expect_message(two, COIR_TEXT, "news 7", 6));
    coir_ws_close(COIR_TAKE(one)); /* ends the handler, and its subscription */
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    struct coir_broadcast_stats stats;
    coir_broadcast_stats(news, &stats);
    COIR_EXPECT_EQ(stats.subscriptions, 1);
    coir_broadcast_close(COIR_TAKE(news)); /* ends the news, and the handler */
    COIR_REQUIRE_OK(expect_end(two, COIR_WS_GOING_AWAY));
}

/* ---- failures, and handlers of one's own ---- */

static int fail(coir_http_request *request, coir_ws *ws)
{
    (void)request;
    (void)ws;
    return coir_fail(-EIO, "the disk is gone");
}

static int accept_or_answer(coir_http_request *request)
{
    if (!coir_ws_is_asked(request))
        return coir_http_reply_text(request, 200, "a page");
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_TRY(coir_ws_accept(request, NULL, &ws));
    return echo(request, ws);
}

static int forget(coir_http_request *request)
{
    coir_ws *ws;
    return coir_ws_accept(request, NULL, &ws);
}

static int refuse_strangers(coir_http_request *request, void *arg)
{
    (void)arg;
    if (coir_http_request_header(request, "X-Key") == NULL)
        return coir_http_fail(request, 401, "no key");
    return coir_http_next(request);
}

COIR_TEST_TAGGED(failures, "expect_reports")
{
    PLACE();
    coir_http_app_websocket(place.app, "/fail", fail);
    coir_http_app_get(place.app, "/forget", forget);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/fail", NULL, &ws));
    COIR_REQUIRE_OK(expect_end(ws, COIR_WS_FAILED));
    coir_ws_close(COIR_TAKE(ws));
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/forget", NULL, &ws));
    coir_ws_message message;
    COIR_EXPECT_LT(coir_ws_receive(ws, &message), 0);
    coir_ws_close(COIR_TAKE(ws));
    COIR_EXPECT_CODE(coir_ws_connect(place.http, "/nowhere", NULL, &ws), -COIR_ESTATUS);
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ESTATUS), "404 Not Found");
}

COIR_TEST(a_page_at_the_same_path)
{
    PLACE();
    coir_http_app_use(place.app, refuse_strangers, NULL);
    coir_http_app_get(place.app, "/", accept_or_answer);
    OPEN();
    COIR_AUTO(coir_ws) *ws = NULL;
    const coir_ws_opts with_key = {.headers = (coir_http_header[]){{"X-Key", "1"}, {0}}};
    COIR_EXPECT_CODE(coir_ws_connect(place.http, "/", NULL, &ws), -COIR_ESTATUS);
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ESTATUS), "401");
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "ws://localhost/", &with_key, &ws));
    COIR_REQUIRE_OK(coir_ws_send_text(ws, "a"));
    COIR_REQUIRE_OK(expect_message(ws, COIR_TEXT, "a", 1));
    coir_ws_close(COIR_TAKE(ws));
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body;
    COIR_REQUIRE_OK(coir_http_get(
        place.http, "/", &(coir_http_request_opts){.headers = with_key.headers}, &response));
    COIR_REQUIRE_OK(coir_http_response_read(response, &body));
    COIR_EXPECT_STR(body.data, "a page");
}

static int keep_receiving(void *arg)
{
    coir_ws *ws = arg;
    coir_ws_message message;
    COIR_DEADLINE(COIR_SEC(100));
    while (coir_ws_receive(ws, &message) > 0)
        ;
    COIR_EXPECT_EQ(coir_ws_close_code(ws), COIR_WS_GOING_AWAY);
    coir_ws_close(ws);
    return 0;
}

static int send_on_and_on(coir_http_request *request, coir_ws *ws)
{
    static const char data[5000];
    (void)request;
    for (;;)
        COIR_TRY(coir_ws_send(ws, COIR_BINARY, (coir_bytes){data, sizeof data}));
}

static int accept_and_send(coir_http_request *request)
{
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_TRY(coir_ws_accept(request, NULL, &ws));
    return send_on_and_on(request, ws);
}

/* A peer that goes, and a server that stops, are no failure of who sends: nothing is reported. Not
 * tortured: without a goodbye somebody sends until a time that does not come while he does. */
COIR_TEST_TAGGED(sending_to_nobody, "no_torture")
{
    PLACE();
    coir_http_app_websocket(place.app, "/a", send_on_and_on);
    coir_http_app_get(place.app, "/b", accept_and_send);
    OPEN();
    for (int i = 0; i < 2; i++) {
        COIR_AUTO(coir_ws) *ws = NULL;
        coir_ws_message message;
        COIR_REQUIRE_OK(coir_ws_connect(place.http, i == 0 ? "/a" : "/b", NULL, &ws));
        COIR_REQUIRE_EQ(coir_ws_receive(ws, &message), 1);
        COIR_DEADLINE(0); /* so that it is cut */
        coir_ws_close(COIR_TAKE(ws));
    }
    coir_ws *ws;
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/a", NULL, &ws));
    COIR_GROUP(receiving);
    const coir_spawn_opts eager = {.eager = true};
    int r = coir_spawn_with(&receiving, keep_receiving, ws, &eager, NULL);
    if (r < 0)
        coir_ws_close(ws);
    COIR_REQUIRE_OK(r);
    COIR_REQUIRE_OK(coir_yield());
    coir_http_test_close(COIR_TAKE(place.test));
    COIR_REQUIRE_OK(coir_group_wait(&receiving));
}

/* ---- the end of a server ---- */

static int keep_open(void *arg)
{
    coir_ws *ws = arg;
    coir_ws_message message;
    COIR_DEADLINE(COIR_SEC(100));
    COIR_EXPECT_EQ(coir_ws_receive(ws, &message), 0);
    COIR_EXPECT_EQ(coir_ws_close_code(ws), COIR_WS_GOING_AWAY);
    coir_ws_close(ws);
    return 0;
}

COIR_TEST(a_server_that_stops_says_so)
{
    struct seen seen = {0};
    PLACE(.state = &seen);
    coir_http_app_websocket(place.app, "/task", echo);
    coir_http_app_websocket_handlers(place.app, "/handlers", &handlers, NULL);
    OPEN();
    COIR_GROUP_COLLECT(clients);
    for (int i = 0; i < 4; i++) {
        coir_ws *ws;
        COIR_REQUIRE_OK(coir_ws_connect(place.http, i < 2 ? "/task" : "/handlers", NULL, &ws));
        int r = coir_spawn(&clients, keep_open, ws, NULL);
        if (r < 0)
            coir_ws_close(ws);
        COIR_REQUIRE_OK(r);
    }
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    coir_time began = coir_now();
    coir_http_test_close(COIR_TAKE(place.test));
    COIR_REQUIRE_OK(coir_group_wait(&clients));
    COIR_EXPECT_LE(coir_now() - began, COIR_SEC(3));
    COIR_EXPECT_EQ(seen.open, 0);
}

/* What a handler cannot send any more, since the peer or the server has said goodbye, is no failure
 * of its. */
static int answer_late(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    (void)request;
    int r = coir_ws_receive(ws, &message);
    if (r > 0)
        r = coir_sleep(COIR_MS(100));
    return r < 0 ? r : coir_ws_send_text(ws, "late");
}

static const coir_ws_opts hasty = {.close_limit = COIR_MS(500)};

static int accept_and_answer_late(coir_http_request *request)
{
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_TRY(coir_ws_accept(request, &hasty, &ws));
    return answer_late(request, ws);
}

static int handle_late(coir_ws *ws, const coir_ws_message *message)
{
    COIR_TRY(coir_sleep(COIR_MS(100)));
    return coir_ws_send(ws, message->kind, message->data);
}

static const coir_ws_handlers late_handlers = {.on_message = handle_late};

COIR_TEST(who_answers_after_the_end_has_not_failed)
{
    static const char *const paths[] = {"/task", "/accept", "/handlers"};
    for (size_t i = 0; i < 2 * COIR_COUNT(paths); i++) {
        PLACE();
        coir_http_app_websocket_with(place.app, "/task", answer_late, &hasty);
        coir_http_app_get(place.app, "/accept", accept_and_answer_late);
        coir_http_app_websocket_handlers(place.app, "/handlers", &late_handlers, &hasty);
        OPEN();
        COIR_AUTO(coir_ws) *ws = NULL;
        COIR_REQUIRE_OK(coir_ws_connect(place.http, paths[i / 2], NULL, &ws));
        COIR_REQUIRE_OK(coir_ws_send_text(ws, "a"));
        if (i % 2 == 0)
            coir_ws_close(COIR_TAKE(ws));
        else
            COIR_REQUIRE_OK(coir_sleep(COIR_MS(10)));
        coir_http_test_close(COIR_TAKE(place.test));
    }
}

/* A socket without a task whose peer does not answer a goodbye is given up in time. */
struct met {
    coir_ws *ws;
    int closed;
};

static int meet(coir_http_request *request, coir_ws *ws)
{
    struct met *met = coir_http_request_state(request);
    met->ws = ws;
    coir_ws_set_data(ws, met);
    return 0;
}

static int take_a_moment(coir_ws *ws, const coir_ws_message *message)
{
    (void)ws;
    (void)message;
    return coir_sleep(COIR_MS(20));
}

static void part(coir_ws *ws)
{
    struct met *met = coir_ws_data(ws);
    met->closed++;
}

static const coir_ws_handlers patient = {meet, take_a_moment, part, {0}};

/* Over a port: in memory a socket that waits has a task. */
#define OPEN_PORT()                                                                                \
    COIR_REQUIRE_OK(                                                                               \
        coir_http_test_open(place.app, &(coir_http_test_opts){.port = true}, &place.test));        \
    place.http = coir_http_test_session(place.test)

COIR_TEST(an_idle_socket_keeps_half_a_message_and_nothing_else)
{
    struct met met = {0};
    PLACE(.state = &met);
    coir_http_app_websocket_handlers(place.app, "/", &patient, NULL);
    OPEN_PORT();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &ws));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(20)));
    COIR_REQUIRE(met.ws != NULL && met.ws->idle);
    COIR_EXPECT(met.ws->in == NULL);
    COIR_REQUIRE_OK(coir_ws_send_some(ws, COIR_TEXT, (coir_bytes){"abc", 3}, false));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(50)));
    COIR_EXPECT(met.ws->idle && met.ws->in != NULL && met.ws->in->message.length == 3);
    COIR_REQUIRE_OK(coir_ws_send_some(ws, COIR_TEXT, (coir_bytes){"d", 1}, true));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(200)));
    COIR_EXPECT_EQ(met.ws->received, 1);
    COIR_EXPECT(met.ws->idle && met.ws->in == NULL);
}

COIR_TEST(an_idle_socket_is_told_goodbye)
{
    for (int by = 0; by < 2; by++) {
        struct met met = {0};
        const coir_ws_opts opts = {.heartbeat = COIR_FOREVER, .close_limit = COIR_MS(50)};
        PLACE(.state = &met);
        coir_http_app_websocket_handlers(place.app, "/", &patient, &opts);
        OPEN_PORT();
        COIR_AUTO(coir_ws) *ws = NULL;
        COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &ws));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(20)));
        if (by == 0)
            COIR_REQUIRE_OK(coir_ws_shutdown(met.ws, 4000, "enough"));
        else
            coir_ws_close(met.ws);
        COIR_EXPECT_EQ(met.closed, 0);
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(200)));
        COIR_EXPECT_EQ(met.closed, 1);
    }
}

COIR_TEST_TAGGED(a_server_that_stops_under_a_message, "expect_reports")
{
    struct met met = {0};
    PLACE(.state = &met, .grace = COIR_MS(100));
    coir_http_app_websocket_handlers(place.app, "/", &patient, NULL);
    OPEN_PORT();
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &ws));
    COIR_REQUIRE_OK(coir_ws_send_text(ws, "a"));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(10)));
    coir_time began = coir_now();
    coir_http_test_close(COIR_TAKE(place.test)); /* whose peer does not answer */
    COIR_EXPECT_LE(coir_now() - began, COIR_SEC(2));
    COIR_EXPECT_EQ(met.closed, 1);
}

/* Those who do not hear it are not waited for longer than the grace. */
COIR_TEST_TAGGED(a_server_that_stops_waits_for_nobody, "expect_reports")
{
    struct seen seen = {0};
    PLACE(.state = &seen, .grace = COIR_SEC(8));
    coir_http_app_websocket(place.app, "/task", echo);
    coir_http_app_websocket_handlers(place.app, "/handlers", &handlers, NULL);
    OPEN();
    COIR_AUTO(coir_ws) *one = NULL, *two = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/task", NULL, &one));
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/handlers", NULL, &two));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    coir_time began = coir_now();
    coir_http_test_close(COIR_TAKE(place.test));
    COIR_EXPECT_LE(coir_now() - began, COIR_SEC(9));
    COIR_EXPECT_EQ(seen.open, 0);
}

/* ---- closing under those who wait ---- */

static int receive_until_closed(void *arg)
{
    coir_ws_message message;
    int r = coir_ws_receive(arg, &message);
    COIR_EXPECT(r == -COIR_ECLOSED || r == 0); /* or it has heard the answer to our goodbye */
    return 0;
}

COIR_TEST(closing_wakes_who_receives)
{
    PLACE();
    coir_http_app_websocket(place.app, "/", echo);
    OPEN();
    coir_ws *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &ws));
    COIR_DEADLINE(COIR_SEC(100));
    COIR_GROUP(receiving);
    coir_ws_message message;
    const coir_spawn_opts eager = {.eager = true};
    int r = coir_spawn_with(&receiving, receive_until_closed, ws, &eager, NULL);
    if (r == 0)
        r = coir_sleep(COIR_SEC(1));
    if (r == 0)
        COIR_EXPECT_CODE(coir_ws_receive(ws, &message), -EBUSY);
    coir_ws_close(ws);
    COIR_EXPECT_OK(r);
    COIR_EXPECT_OK(coir_group_wait(&receiving));
}

/* ---- rooms, and sockets that are being closed ---- */

static int take_no_goodbye(coir_http_request *request, coir_ws *ws)
{
    (void)request;
    (void)ws;
    return coir_sleep(COIR_SEC(3));
}

struct late {
    coir_ws *ws;
    coir_ws_room *room;
};

static int join_late(void *arg)
{
    const struct late *late = arg;
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    return coir_ws_join(late->ws, late->room);
}

/* Not tortured: a close that is cut short is over before somebody joins. */
COIR_TEST_TAGGED(who_is_being_closed_stays_in_no_room, "no_torture")
{
    PLACE();
    coir_ws_room room = {0};
    coir_http_app_websocket(place.app, "/", take_no_goodbye);
    OPEN();
    coir_ws *ws = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &ws));
    struct late late = {ws, &room};
    COIR_GROUP_COLLECT(joining);
    int r = coir_spawn(&joining, join_late, &late, NULL);
    coir_ws_close(ws); /* takes some seconds */
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_OK(coir_group_wait(&joining));
    COIR_EXPECT_EQ(coir_ws_room_count(&room), 0);
    COIR_EXPECT_EQ(coir_ws_broadcast(&room, COIR_TEXT, B("hello"), NULL), 0);
}

/* ---- who is at the other end ---- */

static int tell_who(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    COIR_TRY(coir_ws_send_text(ws, "%s %s", coir_http_request_client(request),
                               coir_http_request_peer(request)));
    return coir_ws_receive(ws, &message);
}

COIR_TEST(a_socket_counts_for_its_client)
{
    PLACE(.client_connections = 2);
    coir_http_app_websocket(place.app, "/", tell_who);
    OPEN_PORT();
    COIR_AUTO(coir_ws) *one = NULL, *two = NULL, *three = NULL;
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &one));
    COIR_REQUIRE_OK(coir_ws_connect(place.http, "/", NULL, &two));
    coir_ws_message message;
    COIR_REQUIRE_EQ(coir_ws_receive(one, &message), 1);
    COIR_EXPECT_CONTAINS(message.data.data, "127.0.0.1 127.0.0.1:");
    COIR_EXPECT_LT(coir_ws_connect(place.http, "/", NULL, &three), 0);
}
