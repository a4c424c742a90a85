/* http_call.c: tests of what stands around a client's requests: middleware, traces, the history of
 * redirects, cookies that are saved, the loop that a session belongs to.
 */
#include <coir/coir.h>
#include <coir/http_call.h>
#include <coir/http_testing.h>
#include <coir/limiter.h>
#include <coir/testing.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the server ---- */

static int busy; /* so many times it says 503 */

static int show(coir_http_request *request)
{
    const char *signature = coir_http_request_header(request, "X-Signature");
    return coir_http_reply_text(request, 200, "%s %s", coir_http_request_path(request),
                                signature != NULL ? signature : "unsigned");
}

static int be_busy(coir_http_request *request)
{
    return busy-- > 0 ? coir_http_fail(request, 503, "busy") : show(request);
}

static int go_on(coir_http_request *request)
{
    return coir_http_redirect(request, 302, "/end?of=it");
}

static int go_away(coir_http_request *request)
{
    return coir_http_redirect(request, 307, "http://elsewhere/show");
}

static int bake(coir_http_request *request)
{
    const coir_http_cookie_opts opts = {.age = COIR_SEC(1000)};
    COIR_TRY(coir_http_reply_cookie(request, "kept", "1", &opts));
    COIR_TRY(coir_http_reply_cookie(request, "brief", "2", NULL));
    return coir_http_reply_text(request, 200, "baked");
}

static int taste(coir_http_request *request)
{
    const char *cookies = coir_http_request_header(request, "Cookie");
    return coir_http_reply_text(request, 200, "%s", cookies != NULL ? cookies : "none");
}

static int open_app(coir_http_app **ret_app)
{
    COIR_TRY(coir_http_app_open(NULL, ret_app));
    coir_http_app_route(*ret_app, NULL, "/show", show);
    coir_http_app_get(*ret_app, "/end", show);
    coir_http_app_get(*ret_app, "/busy", be_busy);
    coir_http_app_get(*ret_app, "/go", go_on);
    coir_http_app_get(*ret_app, "/away", go_away);
    coir_http_app_get(*ret_app, "/bake", bake);
    coir_http_app_get(*ret_app, "/taste", taste);
    return 0;
}

#define SERVED(...)                                                                                \
    COIR_AUTO(coir_http_app) *app = NULL;                                                          \
    COIR_AUTO(coir_http_test) *test = NULL;                                                        \
    COIR_REQUIRE_OK(open_app(&app));                                                               \
    COIR_REQUIRE_OK(coir_http_test_open(                                                           \
        app, &(coir_http_test_opts){.session = {.no_compression = true, __VA_ARGS__}}, &test));    \
    coir_http_session *http = coir_http_test_session(test)

/* ---- middleware ---- */

static int sign(coir_http_call *call, void *arg, coir_http_response **ret_response)
{
    char signature[100];
    const char *before = coir_http_call_header(call, "X-Signature");
    coir_bytes body = coir_http_call_body(call);
    (void)snprintf(signature, sizeof signature, "%s%s(%s %s %.*s)", before != NULL ? before : "",
                   (const char *)arg, coir_http_call_method(call),
                   strchr(coir_http_call_url(call) + 8, '/'), (int)body.length,
                   body.length > 0 ? (const char *)body.data : "");
    COIR_TRY(coir_http_call_set_header(call, "x-signature", signature));
    return coir_http_call_next(call, ret_response);
}

static int retry(coir_http_call *call, void *arg, coir_http_response **ret_response)
{
    for (int *tries = arg;; (*tries)++) {
        COIR_TRY(coir_http_call_next(call, ret_response));
        if (coir_http_response_status(*ret_response) != 503)
            return 0;
        coir_http_response_close(COIR_TAKE(*ret_response));
        COIR_TRY(coir_sleep(COIR_SEC(1)));
    }
}

/* The first one is the outermost; what the program sets is there for all; each URL begins anew. */
COIR_TEST(middleware_is_called_around_each_url)
{
    char a[] = "a", b[] = "b";
    SERVED();
    COIR_REQUIRE_OK(coir_http_session_use(http, sign, a));
    COIR_REQUIRE_OK(coir_http_session_use(http, sign, b));
    const coir_http_request_opts post = {.body = {"tea", 3}};
    COIR_EXPECT_HTTP(http, "POST", "/show", &post, 200, "/show a(POST /show tea)b(POST /show tea)");
    COIR_EXPECT_HTTP(http, "GET", "/go", NULL, 200, "/end a(GET /end?of=it )b(GET /end?of=it )");
    const coir_http_header headers[] = {{"X-Signature", "mine"}, {0}};
    const coir_http_request_opts own = {.headers = headers};
    COIR_EXPECT_HTTP(http, "GET", "/show", &own, 200, "/show minea(GET /show )b(GET /show )");
}

COIR_TEST(a_middleware_asks_again)
{
    int tries = 0;
    char name[] = "x";
    busy = 3;
    SERVED();
    COIR_REQUIRE_OK(coir_http_session_use(http, retry, &tries));
    COIR_REQUIRE_OK(coir_http_session_use(http, sign, name));
    coir_time start = coir_now();
    COIR_EXPECT_HTTP(http, "GET", "/busy", NULL, 200,
                     "/busy x(GET /busy )x(GET /busy )x(GET /busy )x(GET /busy )");
    COIR_EXPECT_EQ(tries, 3);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
}

static int fail(coir_http_call *call, void *arg, coir_http_response **ret_response)
{
    (void)call, (void)ret_response;
    return coir_fail(*(int *)arg, "not today");
}

static int forget(coir_http_call *call, void *arg, coir_http_response **ret_response)
{
    (void)call, (void)arg, (void)ret_response;
    return 0;
}

static int set_wrong(coir_http_call *call, void *arg, coir_http_response **ret_response)
{
    (void)arg;
    COIR_EXPECT_CODE(coir_http_call_set_header(call, "Content-Length", "3"), -EINVAL);
    COIR_EXPECT_CODE(coir_http_call_set_header(call, "A b", "3"), -EINVAL);
    COIR_EXPECT_CODE(coir_http_call_set_header(call, "A", "b\r\nC: d"), -EINVAL);
    COIR_EXPECT_OK(coir_http_call_set_header(call, "X-Signature", "first"));
    COIR_EXPECT_OK(coir_http_call_set_header(call, "X-SIGNATURE", "second"));
    return coir_http_call_next(call, ret_response);
}

COIR_TEST(a_middleware_may_fail)
{
    coir_http_response *response = NULL;
    int code = -EPERM;
    {
        SERVED();
        COIR_EXPECT_CODE(coir_http_session_use(http, NULL, NULL), -EINVAL);
        COIR_REQUIRE_OK(coir_http_session_use(http, fail, &code));
        int r = coir_http_get(http, "/show", NULL, &response);
        COIR_EXPECT_CODE(r, -EPERM);
        COIR_EXPECT_CONTAINS(coir_last_message(r), "GET /show: not today");
        COIR_EXPECT_CODE(coir_http_session_use(http, fail, &code), -EBUSY);
    }
    {
        SERVED();
        COIR_REQUIRE_OK(coir_http_session_use(http, forget, NULL));
        COIR_EXPECT_CODE(coir_http_get(http, "/show", NULL, &response), -EINVAL);
    }
    SERVED();
    COIR_REQUIRE_OK(coir_http_session_use(http, set_wrong, NULL));
    COIR_EXPECT_HTTP(http, "GET", "/show", NULL, 200, "/show second");
}

/* What a middleware sets is meant for the URL that it was asked about, also when it is a secret;
 * the program's own stays behind. */
static int authorize(coir_http_call *call, void *arg, coir_http_response **ret_response)
{
    const char *before = coir_http_call_header(call, "Authorization");
    bool elsewhere = strstr(coir_http_call_url(call), "elsewhere") != NULL;
    (void)arg;
    if (elsewhere)
        COIR_EXPECT(before == NULL);
    else
        COIR_EXPECT_STR(before, "mine");
    return coir_http_call_next(call, ret_response);
}

COIR_TEST(secrets_stay_behind_in_middleware_too)
{
    const coir_http_header headers[] = {{"Authorization", "mine"}, {0}};
    SERVED();
    COIR_REQUIRE_OK(coir_http_session_use(http, authorize, NULL));
    COIR_EXPECT_HTTP(http, "GET", "/away", &(coir_http_request_opts){.headers = headers}, 200,
                     "/show unsigned");
}

/* ---- traces ---- */

struct log {
    coir_buffer text;
    coir_time last;
    uint64_t requests;
    int wrong;
};

static void close_log(struct log *log)
{
    coir_buffer_close(&log->text);
}

#define LOG(name) __attribute__((cleanup(close_log))) struct log name = {0}

static void write_down(const coir_http_event *event, void *arg)
{
    struct log *log = arg;
    char line[160];
    (void)snprintf(line, sizeof line, "%d %s%s%s %d\n", (int)event->request,
                   coir_http_phase_text(event->phase), event->text != NULL ? " " : "",
                   event->text != NULL ? event->text : "",
                   event->status != 0 ? event->status : event->code);
    if (coir_buffer_append(&log->text, line, strlen(line)) < 0)
        log->wrong++;
    log->wrong += event->time < log->last || (event->request == 0 && event->origin == NULL);
    log->wrong += (event->request > 0) != (event->url != NULL);
    log->wrong += event->request > 0 && event->state != log;
    log->last = event->time;
}

COIR_TEST_TAGGED(a_trace_tells_all, "fifo")
{
    LOG(log);
    int tries = 0;
    SERVED(.trace = write_down, .trace_arg = &log);
    COIR_REQUIRE_OK(coir_http_session_use(http, retry, &tries));
    const coir_http_request_opts opts = {.state = &log};
    coir_http_response *response = NULL;
    COIR_EXPECT_HTTP(http, "GET", "/go", &opts, 200, "/end unsigned");
    COIR_EXPECT_CODE(coir_http_get(http, "ftp://x/", &opts, &response), -COIR_EURL);
    COIR_EXPECT_STR(coir_buffer_text(&log.text),
                    "1 begun 0\n"
                    "1 queued 0\n"
                    "0 connecting localhost:80 0\n"
                    "0 connected localhost:80 0\n"
                    "1 opened 0\n"
                    "1 sent 0\n"
                    "1 answered 302\n"
                    "1 redirected http://localhost/end?of=it 302\n"
                    "1 begun 0\n"
                    "1 queued 0\n"
                    "1 reused 0\n"
                    "1 sent 0\n"
                    "1 answered 200\n"
                    "1 chunk 200\n"
                    "1 ended 200\n"
                    "2 failed GET ftp://x/: a URL of the scheme ftp -5040\n");
    COIR_EXPECT_EQ(log.wrong, 0);
}

/* The steps of a real connection, with its name. */
COIR_TEST(a_trace_of_connecting)
{
    LOG(log);
    char url[COIR_ADDRESS_TEXT + 16];
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_REQUIRE_OK(open_app(&app));
    COIR_REQUIRE_OK(coir_http_test_open(app, &(coir_http_test_opts){.port = true}, &test));
    COIR_REQUIRE_OK(coir_http_session_open(
        &(coir_http_session_opts){.trace = write_down, .trace_arg = &log}, &http));
    (void)snprintf(url, sizeof url, "%sshow", coir_http_test_url(test));
    const coir_http_request_opts opts = {.state = &log};
    COIR_EXPECT_HTTP(http, "GET", url, &opts, 200, "/show unsigned");
    const char *text = coir_buffer_text(&log.text);
    char line[COIR_ADDRESS_TEXT + 40];
    (void)snprintf(line, sizeof line, "0 connecting %.*s 0\n", (int)strcspn(url + 7, "/"), url + 7);
    COIR_EXPECT_CONTAINS(text, line);
    (void)snprintf(line, sizeof line, "0 connected %.*s 0\n", (int)strcspn(url + 7, "/"), url + 7);
    COIR_EXPECT_CONTAINS(text, line);
    COIR_EXPECT_EQ(log.wrong, 0);
    coir_http_session_close(COIR_TAKE(http));
}

/* ---- history ---- */

COIR_TEST(redirects_are_remembered)
{
    size_t count;
    SERVED();
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_REQUIRE_OK(coir_http_get(http, "/go", NULL, &response));
    const coir_http_hop *hops = coir_http_response_history(response, &count);
    COIR_REQUIRE_EQ(count, 1);
    COIR_EXPECT_EQ(hops[0].status, 302);
    COIR_EXPECT_STR(hops[0].url, "http://localhost/go");
    COIR_EXPECT_STR(coir_http_response_url(response), "http://localhost/end?of=it");
    COIR_EXPECT_STR(coir_http_response_reason(response), "OK");
    coir_http_response_close(COIR_TAKE(response));
    COIR_REQUIRE_OK(coir_http_get(http, "/show", NULL, &response));
    COIR_EXPECT(coir_http_response_history(response, &count) == NULL);
    COIR_EXPECT_EQ(count, 0);
}

/* ---- cookies ---- */

COIR_TEST(cookies_are_saved_and_loaded)
{
    COIR_AUTO(coir_buffer) saved = {0};
    SERVED();
    COIR_EXPECT_HTTP(http, "GET", "/bake", NULL, 200, "baked");
    COIR_REQUIRE_OK(coir_http_session_save_cookies(http, &saved));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&saved), "localhost\tFALSE\t/\tFALSE\t0\tbrief\t2\n");
    COIR_EXPECT_CONTAINS(coir_buffer_text(&saved), "\tkept\t1\n");
    coir_http_test_close(COIR_TAKE(test));
    COIR_REQUIRE_OK(coir_http_test_open(app, NULL, &test));
    http = coir_http_test_session(test);
    COIR_EXPECT_HTTP(http, "GET", "/taste", NULL, 200, "none");
    const coir_bytes text = {saved.data, saved.length};
    COIR_REQUIRE_OK(coir_http_session_load_cookies(http, text));
    COIR_EXPECT_HTTP(http, "GET", "/taste", NULL, 200, "kept=1; brief=2");
}

/* What browsers and curl write, and what nobody should. */
COIR_TEST(cookie_files)
{
    static const char good[] = "# Netscape HTTP Cookie File\r\n"
                               "\r\n"
                               "#HttpOnly_localhost\tFALSE\t/\tFALSE\t0\ta\t1\r\n"
                               ".example.org\tTRUE\t/\tTRUE\t0\tother\t1\n"
                               "localhost\tFALSE\t/deep\tFALSE\t0\tdeep\t1\n"
                               "localhost\tFALSE\t/\tFALSE\t1\told\t1\n"
                               "localhost\tFALSE\t/\tFALSE\t0\tempty\t";
    static const struct {
        const char *text, *line;
    } wrong[] = {
        {"localhost\tFALSE\t/\tFALSE\t0\ta", "line 1"},
        {"#\nlocalhost FALSE / FALSE 0 a b", "line 2"},
        {"localhost\tFALSE\tpath\tFALSE\t0\ta\tb", "line 1"},
        {"localhost\tFALSE\t/\tFALSE\tsoon\ta\tb", "line 1"},
        {"localhost\tFALSE\t/\tFALSE\t-1\ta\tb", "line 1"},
        {".\tFALSE\t/\tFALSE\t0\ta\tb", "line 1"},
        {"localhost\tFALSE\t/\tFALSE\t0\t\tb", "line 1"},
        {"localhost\tFALSE\t/\tFALSE\t0\ta=b\tc", "line 1"},
        {"localhost\tFALSE\t/\tFALSE\t0\ta\tb; c", "line 1"},
        {"localhost\tFALSE\t/\tFALSE\t0\ta\tb\x01", "line 1"},
    };
    SERVED();
    const coir_bytes text = {good, sizeof good - 1};
    COIR_EXPECT_OK(coir_http_session_load_cookies(http, text));
    COIR_EXPECT_HTTP(http, "GET", "/taste", NULL, 200, "a=1; empty=");
    for (size_t i = 0; i < COIR_COUNT(wrong); i++) {
        const coir_bytes bytes = {wrong[i].text, strlen(wrong[i].text)};
        int r = coir_http_session_load_cookies(http, bytes);
        COIR_EXPECT_CODE(r, -EBADMSG);
        COIR_EXPECT_CONTAINS(coir_last_message(r), wrong[i].line);
    }
    COIR_EXPECT_OK(coir_http_session_load_cookies(http, (coir_bytes){0}));
    COIR_EXPECT_CODE(coir_http_session_load_cookies(http, (coir_bytes){NULL, 1}), -EINVAL);
    COIR_EXPECT_HTTP(http, "GET", "/taste", NULL, 200, "a=1; empty=");
}

/* ---- rates ---- */

/* Those of hosts that have rested are forgotten, the others hold. */
COIR_TEST(many_hosts_have_their_rates)
{
    char url[64];
    coir_limiter limiter = {.rate = 1, .per = COIR_SEC(10)};
    SERVED(.limiter_per_host = &limiter);
    coir_time start = coir_now();
    for (int i = 0; i < 30; i++) {
        (void)snprintf(url, sizeof url, "http://host%d/show", i);
        COIR_EXPECT_HTTP(http, "GET", url, NULL, 200, NULL);
    }
    COIR_EXPECT_EQ(coir_now() - start, 0);
    COIR_EXPECT_HTTP(http, "GET", "http://host29/show", NULL, 200, NULL);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(10));
    COIR_EXPECT_HTTP(http, "GET", "http://another/show", NULL, 200, NULL); /* forgets 29 of them */
    COIR_EXPECT_HTTP(http, "GET", "http://host0/show", NULL, 200, NULL);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(10));
    COIR_EXPECT_HTTP(http, "GET", "http://host29/show", NULL, 200, NULL);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(20));
}

/* ---- loops ---- */

static int ask_nobody(void *session)
{
    coir_http_response *response = NULL;
    return coir_http_get(session, "http://127.0.0.1:1/", NULL, &response);
}

static int close_it(void *session)
{
    coir_http_session_close(session);
    return 0;
}

static int run_in(coir_loop *loop, coir_fn fn, void *arg)
{
    coir_task *task;
    int result;
    COIR_TRY(coir_loop_spawn(loop, fn, arg, &task));
    COIR_TRY(coir_loop_run_until(loop, task, &result));
    return result;
}

/* A session is opened anywhere, and belongs to the loop that has used it first. Not tortured: who
 * gets no task to close it in leaves it open. */
COIR_TEST_TAGGED(a_session_belongs_to_its_first_loop, "own_loop,no_torture")
{
    coir_loop_opts opts = coir_test_loop_opts();
    coir_loop *one, *other;
    coir_http_session *session;
    COIR_REQUIRE_OK(coir_http_session_open(NULL, &session));
    if (COIR_EXPECT_OK(coir_loop_open(&opts, &one))) {
        COIR_EXPECT_CODE(ask_nobody(session), -COIR_ENOTASK);
        COIR_EXPECT_CODE(run_in(one, ask_nobody, session), -ECONNREFUSED);
        if (COIR_EXPECT_OK(coir_loop_open(&opts, &other))) {
            COIR_EXPECT_CODE(run_in(other, ask_nobody, session), -COIR_EWRONGLOOP);
            COIR_EXPECT_OK(coir_loop_close(other));
        }
        COIR_EXPECT_OK(run_in(one, close_it, session));
        COIR_EXPECT_OK(coir_loop_close(one));
    }
}
