/* curl.c: tests of libcurl's transfers in tasks, against a server of ours: many at once, what
 * callbacks may do, limits, failures, cancellation.
 */
#include <coir/coir.h>
#include <coir/curl.h>
#include <coir/http_testing.h>
#include <coir/testing.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "megabytes.h"

enum { LARGE = 1 << 20 };

static int page(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello %s", coir_http_request_path(request));
}

static int echo(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply(request, 200, "text/plain", body.data, body.length);
}

static int large(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/plain", megabytes(LARGE), LARGE);
}

static int hang(coir_http_request *request)
{
    (void)request;
    return coir_sleep(COIR_FOREVER);
}

static int around(coir_http_request *request)
{
    return coir_http_redirect(request, 302, "/around");
}

static int open_app(coir_http_app **ret_app)
{
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.grace = COIR_MS(1)}, ret_app));
    coir_http_app_get(*ret_app, "/page/{n}", page);
    coir_http_app_post(*ret_app, "/echo", echo);
    coir_http_app_get(*ret_app, "/large", large);
    coir_http_app_get(*ret_app, "/hang", hang);
    coir_http_app_get(*ret_app, "/around", around);
    return 0;
}

#define SERVED()                                                                                   \
    COIR_AUTO(coir_http_app) *app = NULL;                                                          \
    COIR_AUTO(coir_http_test) *test = NULL;                                                        \
    COIR_REQUIRE_OK(open_app(&app));                                                               \
    COIR_REQUIRE_OK(coir_http_test_open(app, &(coir_http_test_opts){.port = true}, &test))

static void clean_up(CURL **curl)
{
    curl_easy_cleanup(*curl);
}
#define HANDLE(name) __attribute__((cleanup(clean_up))) CURL *name = curl_easy_init()

static size_t take(char *data, size_t size, size_t count, void *arg)
{
    return coir_buffer_append(arg, data, size * count) == 0 ? size * count : 0;
}

/* Asks for path of the server at base, with what was set before. */
static int ask(CURL *curl, const char *base, const char *path, coir_buffer *body)
{
    char url[COIR_ADDRESS_TEXT + 64];
    if (curl == NULL)
        return -ENOMEM;
    (void)snprintf(url, sizeof url, "%s%s", base, path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    return coir_curl_perform(curl);
}

/* A handle may be used again; each transfer ends with its connection. */
COIR_TEST_TAGGED(transfers, "real")
{
    long status = 0;
    SERVED();
    HANDLE(curl);
    COIR_AUTO(coir_buffer) body = {0};
    const char *base = coir_http_test_url(test);
    for (int i = 0; i < 2; i++) {
        body.length = 0;
        COIR_EXPECT_OK(ask(curl, base, "page/1", &body));
        COIR_EXPECT_STR(coir_buffer_text(&body), "hello /page/1");
    }
    COIR_EXPECT_EQ(curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status), CURLE_OK);
    COIR_EXPECT_EQ(status, 200);
    body.length = 0;
    COIR_EXPECT_OK(ask(curl, base, "nowhere", &body)); /* a status is no failure */
    COIR_EXPECT_CONTAINS(coir_buffer_text(&body), "404");
    body.length = 0;
    COIR_EXPECT_OK(ask(curl, base, "large", &body));
    COIR_EXPECT_EQ(body.length, LARGE);
    body.length = 0;
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "tea");
    COIR_EXPECT_OK(ask(curl, base, "echo", &body));
    COIR_EXPECT_STR(coir_buffer_text(&body), "tea");
}

struct fetch {
    const char *base;
    int number;
};

static int fetch(void *arg)
{
    const struct fetch *task = arg;
    char path[32], expected[32];
    HANDLE(curl);
    COIR_AUTO(coir_buffer) body = {0};
    (void)snprintf(path, sizeof path, "page/%d", task->number);
    (void)snprintf(expected, sizeof expected, "hello /page/%d", task->number);
    COIR_TRY(ask(curl, task->base, path, &body));
    COIR_EXPECT_STR(coir_buffer_text(&body), expected);
    return 0;
}

COIR_TEST_TAGGED(many_at_once, "real")
{
    enum { MANY = 20 };
    struct fetch tasks[MANY];
    SERVED();
    for (int i = 0; i < MANY; i++)
        tasks[i] = (struct fetch){coir_http_test_url(test), i};
    COIR_EXPECT_OK(coir_map(fetch, tasks, MANY, sizeof tasks[0], NULL));
}

static size_t take_slowly(char *data, size_t size, size_t count, void *arg)
{
    return coir_sleep(COIR_MS(1)) == 0 ? take(data, size, count, arg) : 0;
}

/* A callback waits, and the others go on. */
COIR_TEST_TAGGED(callbacks_may_wait, "real")
{
    SERVED();
    HANDLE(curl);
    COIR_AUTO(coir_buffer) body = {0};
    struct fetch other = {coir_http_test_url(test), 7};
    char url[COIR_ADDRESS_TEXT + 32];
    (void)snprintf(url, sizeof url, "%slarge", other.base);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_slowly);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, fetch, &other, NULL));
    COIR_EXPECT_OK(coir_curl_perform(curl));
    COIR_EXPECT_EQ(body.length, LARGE);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

static size_t refuse(char *data, size_t size, size_t count, void *arg)
{
    (void)data, (void)size, (void)count, (void)arg;
    return 0;
}

COIR_TEST_TAGGED(failures, "real")
{
    SERVED();
    HANDLE(curl);
    COIR_AUTO(coir_buffer) body = {0};
    const char *base = coir_http_test_url(test);
    COIR_EXPECT_CODE(coir_curl_perform(NULL), -EINVAL);
    COIR_EXPECT_CODE(ask(curl, "", "nonsense://x/", &body), -COIR_EURL);
    int r = ask(curl, "", "http://127.0.0.1:1/", &body);
    COIR_EXPECT_CODE(r, -ECONNREFUSED);
    COIR_EXPECT_CONTAINS(coir_last_message(r), "curl http://127.0.0.1:1/: ");
    r = ask(curl, "http://ada:lovelace@127.0.0.1:1/", "", &body);
    COIR_EXPECT_CODE(r, -ECONNREFUSED);
    COIR_EXPECT_CONTAINS(coir_last_message(r), "curl http://127.0.0.1:1/: ");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 3L);
    COIR_EXPECT_CODE(ask(curl, base, "around", &body), -COIR_EREDIRECTS);
    (void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    COIR_EXPECT_CODE(ask(curl, base, "nowhere", &body), -COIR_ESTATUS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20L);
    COIR_EXPECT_CODE(ask(curl, base, "hang", &body), -ETIMEDOUT);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, refuse);
    char url[COIR_ADDRESS_TEXT + 32];
    (void)snprintf(url, sizeof url, "%spage/1", base);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    COIR_EXPECT_CODE(coir_curl_perform(curl), -EIO);
}

static int wait_for_answer(void *arg)
{
    const struct fetch *task = arg;
    HANDLE(curl);
    COIR_AUTO(coir_buffer) body = {0};
    return ask(curl, task->base, "hang", &body);
}

/* It ends at once, with its connection, and so does its handle's transfer. */
COIR_TEST_TAGGED(cancelled_transfers, "real")
{
    SERVED();
    struct fetch task = {coir_http_test_url(test), 0};
    coir_http_app_stats stats;
    coir_task *asking;
    int result = 0;
    {
        COIR_DEADLINE(COIR_MS(20));
        COIR_EXPECT_CODE(wait_for_answer(&task), -ETIME);
    }
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for_answer, &task, &asking));
    for (int i = 0; i < 1000; i++) { /* until it waits for the answer */
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
        coir_http_app_stats_get(app, &stats);
        if (stats.connections - stats.idle > 0 || coir_task_done(asking))
            break;
    }
    coir_cancel(asking, NULL);
    COIR_REQUIRE_OK(coir_join(asking, &result));
    COIR_EXPECT_CODE(result, -COIR_ECANCELEDTASK);
}

static size_t ask_again(char *data, size_t size, size_t count, void *arg)
{
    (void)data;
    COIR_EXPECT_CODE(coir_curl_perform(*(CURL **)arg), -EBUSY);
    return size * count;
}

COIR_TEST_TAGGED(one_transfer_at_a_time, "real")
{
    SERVED();
    HANDLE(curl);
    char url[COIR_ADDRESS_TEXT + 32];
    (void)snprintf(url, sizeof url, "%spage/1", coir_http_test_url(test));
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ask_again);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &curl);
    COIR_EXPECT_OK(coir_curl_perform(curl));
}

/* Handles that share their connections find those that are kept. */
COIR_TEST_TAGGED(connections_are_shared, "real")
{
    SERVED();
    CURLSH *share = curl_share_init();
    (void)curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
    for (int i = 0; i < 3; i++) {
        HANDLE(curl);
        COIR_AUTO(coir_buffer) body = {0};
        (void)curl_easy_setopt(curl, CURLOPT_SHARE, share);
        COIR_EXPECT_OK(ask(curl, coir_http_test_url(test), "page/1", &body));
    }
    coir_http_app_stats stats;
    coir_http_app_stats_get(app, &stats);
    COIR_EXPECT_EQ(stats.accepted, 1);
    (void)curl_share_cleanup(share);
}
