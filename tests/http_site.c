/* http_site.c: tests of where a server is, and before whom: several addresses, Unix sockets, many
 * loops, proxies that say who their client is, clients that end their side.
 */
#include <unistd.h>

#include <coir/workers.h>

#include "http_town.h"
#include "net_pair.h"

#define HELLO OK("6", "hello\n")

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

static int show_client(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "%s %s", coir_http_request_scheme(request),
                                coir_http_request_client(request));
}

/* ---- addresses ---- */

struct site {
    coir_http_app *app;
    const char *addresses;
    int result;
};

static int serve_site(void *arg)
{
    struct site *site = arg;
    site->result = coir_http_app_serve(site->app, site->addresses);
    return 0;
}

static int connect_to(const char *path, coir_stream **ret_client)
{
    int r = -ENOENT;
    for (int i = 0; i < 100 && (r == -ENOENT || r == -ECONNREFUSED); i++) {
        COIR_TRY(coir_sleep(COIR_MS(5)));
        r = coir_unix_connect(path, NULL, ret_client);
    }
    return r;
}

COIR_TEST_TAGGED(an_application_has_several_addresses, "real_clock,no_torture")
{
    char addresses[200], one[60], two[60];
    (void)snprintf(one, sizeof one, "@coir-http-%d-one", (int)getpid());
    (void)snprintf(two, sizeof two, "@coir-http-%d-two", (int)getpid());
    (void)snprintf(addresses, sizeof addresses, "unix:%s, 127.0.0.1:0,unix:%s", one, two);
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.proxies = "unix"}, &app));
    coir_http_app_get(app, "/", hello);
    coir_http_app_get(app, "/client", show_client);
    struct site site = {app, addresses, 1};
    coir_task *server;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, serve_site, &site, &server));
    for (int i = 0; i < 2; i++) {
        static const char asked[] = GET("/") GET("/client") "GET /client HTTP/1.1\r\n" HOST
                                                            "X-Forwarded-For: 192.0.2.1\r\n\r\n";
        COIR_AUTO(coir_stream) *client = NULL;
        COIR_REQUIRE_OK(connect_to(i == 0 ? one : two, &client));
        COIR_REQUIRE_OK(coir_stream_write(client, asked, sizeof asked - 1));
        COIR_REQUIRE_OK(expect_text(client, HELLO OK("5", "http ") OK("14", "http 192.0.2.1")));
    }
    coir_cancel(server, NULL);
    int result;
    COIR_EXPECT_OK(coir_join(server, &result));
    COIR_EXPECT_EQ(site.result, 0);
}

COIR_TEST(wrong_addresses_are_told)
{
    static const struct {
        const char *addresses, *text;
        int code;
    } rows[] = {
        {"", "there is no address to serve at", -EINVAL},
        {" , ", "there is no address to serve at", -EINVAL},
        {"127.0.0.1:0, nowhere", "nowhere", -COIR_EADDRESS},
        {"unix:", "", -COIR_EADDRESS},
        {"[::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0 "
         "[::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0 [::1]:0",
         "more than 16 addresses", -EINVAL},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_EXPECT_CODE(coir_http_app_serve(app, rows[i].addresses), rows[i].code);
        COIR_EXPECT_CONTAINS(coir_last_message(rows[i].code), rows[i].text);
    }
    COIR_EXPECT_CODE(coir_http_app_serve(app, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_http_app_serve_listeners(app, NULL, 1), -EINVAL);
}

/* ---- many loops ---- */

enum { LOOPS = 2, VISITS = 40 };

static int serve_worker(unsigned index, void *arg)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.reuse_port = true, .no_date = true}, &app));
    coir_http_app_get(app, "/", hello);
    (void)index;
    return coir_http_app_serve(app, arg);
}

static int serve_workers(void *address)
{
    int r = coir_workers(LOOPS, serve_worker, address);
    return r == -ECANCELED ? 0 : r;
}

/* Each loop has an application of its own, and the kernel hands connections to one of them. */
COIR_TEST_TAGGED(each_loop_serves_the_same_address, "real,real_clock,no_torture,limit=30")
{
    char address[COIR_ADDRESS_TEXT];
    COIR_AUTO(coir_listener) *place = NULL; /* holds the port, and accepts nothing */
    COIR_REQUIRE_OK(
        coir_tcp_listen("127.0.0.1:0", &(coir_listen_opts){.reuse_port = true}, &place));
    COIR_REQUIRE_OK(coir_listener_address(place, address, sizeof address));
    coir_listener_close(COIR_TAKE(place));
    coir_task *server;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, serve_workers, address, &server));
    for (int i = 0; i < VISITS; i++) {
        COIR_AUTO(coir_stream) *client = NULL;
        int r = -ECONNREFUSED;
        while (r == -ECONNREFUSED && coir_sleep(i == 0 ? COIR_MS(10) : 0) == 0)
            r = coir_tcp_connect(address, NULL, &client);
        COIR_REQUIRE_OK(r);
        COIR_REQUIRE_OK(coir_stream_write(client, GET("/"), strlen(GET("/"))));
        COIR_REQUIRE_OK(expect_text(client, HELLO));
    }
    coir_cancel(server, NULL);
    int result;
    COIR_EXPECT_OK(coir_join(server, &result));
}

/* ---- proxies ---- */

static int ask_by_proxy(coir_http_app_opts opts, const char *headers, const char *expected)
{
    struct town town = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    char text[600], reply[300];
    COIR_TRY(open_app(opts, &app));
    coir_http_app_get(app, "/", show_client);
    COIR_GROUP(group);
    COIR_TRY(build_here(&town, app, &group, &listener));
    (void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "%s\r\n", headers);
    (void)snprintf(reply, sizeof reply, OK("%zu", "%s"), strlen(expected), expected);
    COIR_TRY(ask(&town, text, &client));
    return expect_text(client, reply);
}

#define FOR "X-Forwarded-For: "
#define PROTO "X-Forwarded-Proto: "

COIR_TEST_TAGGED(a_proxy_says_who_its_client_is, "real_clock,no_torture")
{
    static const struct {
        const char *proxies, *headers, *expected;
    } rows[] = {
        {NULL, FOR "192.0.2.1\r\n" PROTO "https\r\n", "http 127.0.0.1"},
        {"10.0.0.0/8", FOR "192.0.2.1\r\n" PROTO "https\r\n", "http 127.0.0.1"},
        {"unix", FOR "192.0.2.1\r\n", "http 127.0.0.1"},
        {"127.0.0.1", "", "http 127.0.0.1"},
        {"127.0.0.1", FOR "192.0.2.1\r\n", "http 192.0.2.1"},
        {"127.0.0.1", FOR "192.0.2.1\r\n" PROTO "https\r\n", "https 192.0.2.1"},
        {"127.0.0.1", FOR "192.0.2.1\r\n" PROTO "gopher\r\n", "http 192.0.2.1"},
        {"127.0.0.0/8", FOR "192.0.2.1:4711\r\n", "http 192.0.2.1"},
        {"127.0.0.1/31", FOR "2001:db8::1\r\n", "http 2001:db8::1"},
        {"0.0.0.0/0", FOR "[2001:DB8::1]:80\r\n", "http 2001:db8::1"},
        {"10.0.0.0/8, 127.0.0.1", FOR "203.0.113.9, 192.0.2.1 , 10.1.2.3\r\n", "http 192.0.2.1"},
        {"10.0.0.0/8 127.0.0.1", FOR "192.0.2.1\r\n" FOR "10.1.2.3,10.1.2.4\r\n", "http 192.0.2.1"},
        {"10.0.0.0/8,127.0.0.1", FOR "10.9.9.9, 10.1.2.3\r\n", "http 10.9.9.9"},
        {"10.0.0.0/8,127.0.0.1", FOR "192.0.2.1, nonsense, 10.1.2.3\r\n", "http 10.1.2.3"},
        {"127.0.0.1", FOR "nonsense\r\n", "http 127.0.0.1"},
        {"127.0.0.1", FOR "\r\n" FOR ",\r\n", "http 127.0.0.1"},
        {"127.0.0.1, ::1", "Forwarded: for=192.0.2.1\r\n", "http 127.0.0.1"},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++)
        if (!COIR_EXPECT_OK(ask_by_proxy((coir_http_app_opts){.proxies = rows[i].proxies},
                                         rows[i].headers, rows[i].expected)))
            printf("  in row %zu\n", i);
}

COIR_TEST_TAGGED(a_proxy_says_it_in_the_way_of_rfc_7239, "real_clock,no_torture")
{
    static const char *const rows[][2] = {
        {"Forwarded: for=192.0.2.1;proto=https;by=203.0.113.4\r\n", "https 192.0.2.1"},
        {"Forwarded: Proto=HTTPS; For=\"[2001:db8::1]:4711\"\r\n", "https 2001:db8::1"},
        {"Forwarded: for=1.2.3.4, for=192.0.2.1, for=10.0.0.1;proto=http\r\n", "http 192.0.2.1"},
        {"Forwarded: for=192.0.2.1, for=_hidden\r\n", "http 127.0.0.1"},
        {"Forwarded: for=192.0.2.1, for=unknown;proto=https\r\n", "https 127.0.0.1"},
        {"Forwarded: by=192.0.2.1\r\n", "http 127.0.0.1"},
        {"Forwarded: for=192.0.2.1;host=\"x, for=1.2.3.4\"\r\n", "http 192.0.2.1"},
        {"Forwarded: for=192.0.2.1;host=\"x, for=1.2.3.4;y\"\r\n", "http 192.0.2.1"},
        {"Forwarded: host=\"x;for=1.2.3.4;y\";for=192.0.2.1\r\n", "http 192.0.2.1"},
        {"Forwarded: host=\"\\\",for=1.2.3.4;proto=https;\";for=192.0.2.1\r\n", "http 192.0.2.1"},
        {"Forwarded: for=\", for=192.0.2.1;host=\"x\"\r\n", "http 192.0.2.1"},
        {"Forwarded: for=\"1.2.3.4\\, for=\"192.0.2.1\"\r\n", "http 192.0.2.1"},
        {"Forwarded: for=192.0.2.1;\tproto=https; \r\n", "https 192.0.2.1"},
        {"Forwarded: ;;for=;for\r\n", "http 127.0.0.1"},
        {FOR "192.0.2.1\r\n" PROTO "https\r\n", "http 127.0.0.1"},
    };
    coir_http_app_opts opts = {.proxies = "127.0.0.1, 10.0.0.0/8", .forwarded = true};
    for (size_t i = 0; i < COIR_COUNT(rows); i++)
        if (!COIR_EXPECT_OK(ask_by_proxy(opts, rows[i][0], rows[i][1])))
            printf("  in row %zu\n", i);
}

COIR_TEST(wrong_proxies_are_told)
{
    static const char *const rows[] = {"example.org", "10.0.0.0/33", "::1/129",
                                       "10.0.0.0/",   "10.0.0.0/x",  "10.0.0/8",
                                       "/8",          "unixx",       "10.0.0.1/8/8"};
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_AUTO(coir_http_app) *app = NULL;
        char proxies[100], expected[200];
        (void)snprintf(proxies, sizeof proxies, "127.0.0.1, %s", rows[i]);
        (void)snprintf(expected, sizeof expected, "proxies: '%s' is no address and no network",
                       rows[i]);
        COIR_EXPECT_CODE(open_app((coir_http_app_opts){.proxies = proxies}, &app), -EINVAL);
        COIR_EXPECT_CONTAINS(coir_last_message(-EINVAL), expected);
    }
}

/* A proxy brings many clients: its connections are not counted as one's. */
COIR_TEST_TAGGED(proxies_have_any_number_of_connections, "real_clock,no_torture")
{
    struct town town = {0};
    coir_http_app_opts opts = {.proxies = "127.0.0.1", .client_connections = 1};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *one = NULL;
    COIR_AUTO(coir_stream) *two = NULL;
    COIR_REQUIRE_OK(open_app(opts, &app));
    coir_http_app_get(app, "/", hello);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(build_here(&town, app, &group, &listener));
    COIR_REQUIRE_OK(ask(&town, GET("/"), &one));
    COIR_REQUIRE_OK(expect_text(one, HELLO));
    COIR_REQUIRE_OK(ask(&town, GET("/"), &two));
    COIR_REQUIRE_OK(expect_text(two, HELLO));
    COIR_REQUIRE_OK(coir_stream_write(one, GET("/"), strlen(GET("/"))));
    COIR_REQUIRE_OK(expect_text(one, HELLO));
}

/* ---- clients that end their side ---- */

static int answer_later(coir_http_request *request)
{
    COIR_TRY(coir_sleep(COIR_SEC(10)));
    return coir_http_reply_text(request, 200, "hello\n");
}

COIR_TEST(a_client_that_ends_its_side_has_not_gone)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_app) *strict = NULL;
    COIR_AUTO(coir_buffer) nothing = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.cancel_on_disconnect = true}, &app));
    coir_http_app_get(app, "/", answer_later);
    EXPECT_VISIT(app, GET("/"), HELLO);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.cancel_on_end = true}, &strict));
    coir_http_app_get(strict, "/", answer_later);
    coir_time start = coir_now();
    (void)visit(strict, GET("/"), &nothing);
    COIR_EXPECT_EQ(nothing.length, 0);
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(2));
}

static int last_result;

static int wait_long(coir_http_request *request)
{
    (void)request;
    last_result = coir_sleep(COIR_SEC(1000));
    return last_result;
}

COIR_TEST(a_client_that_resets_its_connection_has_gone)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    struct serving serving = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.cancel_on_disconnect = true}, &app));
    coir_http_app_get(app, "/", wait_long);
    serving.app = app;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
    COIR_REQUIRE_OK(coir_stream_write(client, GET("/"), strlen(GET("/"))));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    coir_stream_abort(COIR_TAKE(client));
    coir_time start = coir_now();
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(last_result, -ECANCELED);
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(2));
}
