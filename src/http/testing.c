/* testing.c: an application under test, and the session that is bound to it.
 *
 * The server is a task of a group of the test's own, at a listener in memory or at a port; the
 * session finds it as its base, in memory by dialling that listener whatever the address. Called by
 * tests of programs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <coir/event.h>
#include <coir/http_testing.h>
#include <coir/memory.h>

#include "server/app.h"

struct coir_http_test {
    coir_http_app *app;
    coir_listener *listener;
    coir_group group; /* of the server */
    coir_event begun; /* it serves, or has failed to */
    bool port, ended;
    int result; /* of the server, when it has ended */
    char text[160];
    coir_http_session *session;
    char address[COIR_ADDRESS_TEXT];
    char url[COIR_ADDRESS_TEXT + 16];
};

static int serve(void *arg)
{
    coir_http_test *test = arg;
    coir_task_set_name(NULL, "http test");
    test->app->begun = &test->begun;
    test->result = coir_http_app_serve_listener(test->app, test->listener);
    test->app->begun = NULL;
    test->ended = true;
    if (test->result < 0)
        (void)snprintf(test->text, sizeof test->text, "%s", coir_last_message(test->result));
    coir_clear_error();
    (void)coir_event_set(&test->begun);
    return 0;
}

static int begin_serving(coir_http_test *test)
{
    COIR_TRY(coir_spawn(&test->group, serve, test, NULL));
    COIR_TRY(coir_event_wait(&test->begun));
    return test->ended && test->result < 0 ? coir_fail(test->result, "%s", test->text) : 0;
}

static int begin_listening(coir_http_test *test)
{
    const char *scheme = test->app->opts.tls != NULL ? "https" : "http";
    const char *host = "localhost", *port = "";
    if (!test->port) {
        COIR_TRY(coir_memory_listen(&test->listener));
    } else {
        COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &test->listener));
        COIR_TRY(coir_listener_address(test->listener, test->address, sizeof test->address));
        port = strrchr(test->address, ':');
        host = test->app->opts.tls != NULL ? "localhost" : "127.0.0.1";
    }
    (void)snprintf(test->url, sizeof test->url, "%s://%s%s/", scheme, host, port);
    return 0;
}

static int dial(const char *address, void *arg, coir_stream **ret_stream)
{
    coir_http_test *test = arg;
    (void)address;
    return coir_memory_connect(test->listener, ret_stream);
}

static int begin(coir_http_test *test, const coir_http_test_opts *opts)
{
    coir_http_session_opts session = opts->session;
    COIR_TRY(begin_listening(test));
    session.base = test->url;
    if (!test->port) {
        session.dial = dial;
        session.dial_arg = test;
    }
    COIR_TRY(coir_http_session_open(&session, &test->session));
    return begin_serving(test);
}

int coir_http_test_open(coir_http_app *app, const coir_http_test_opts *opts,
                        coir_http_test **ret_test)
{
    static const coir_http_test_opts none;
    if (app == NULL || ret_test == NULL)
        return -EINVAL;
    opts = opts != NULL ? opts : &none;
    coir_http_test *test = coir_calloc(1, sizeof *test);
    if (test == NULL)
        return -ENOMEM;
    test->app = app;
    test->port = opts->port;
    int r = coir_group_init(&test->group, COIR_COLLECT);
    if (r < 0) {
        coir_free(test);
        return r;
    }
    r = begin(test, opts);
    if (r < 0) {
        test->result = 0; /* it was told */
        coir_http_test_close(test);
        return r;
    }
    *ret_test = test;
    return 0;
}

void coir_http_test_close(coir_http_test *test)
{
    if (test == NULL)
        return;
    coir_http_session_close(test->session);
    coir_group_cancel(&test->group, "the test is over");
    (void)coir_group_close(&test->group);
    if (test->result < 0)
        coir_report_make(COIR_REPORT_UNREAD, "http test: the server has failed: %s", test->text);
    coir_listener_close(test->listener);
    coir_free(test);
}

coir_http_session *coir_http_test_session(coir_http_test *test)
{
    return test->session;
}

const char *coir_http_test_url(const coir_http_test *test)
{
    return test->url;
}

int coir_http_test_connect(coir_http_test *test, coir_stream **ret_stream)
{
    if (test == NULL || ret_stream == NULL)
        return -EINVAL;
    return test->port ? coir_tcp_connect(test->address, NULL, ret_stream)
                      : coir_memory_connect(test->listener, ret_stream);
}

int coir_http_test_ask(coir_http_session *session, const char *method, const char *url,
                       const coir_http_request_opts *opts, int *ret_status, coir_buffer *body)
{
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes bytes;
    if (ret_status == NULL || body == NULL)
        return -EINVAL;
    COIR_TRY(coir_http_send(session, method, url, opts, &response));
    COIR_TRY(coir_http_response_read(response, &bytes));
    *ret_status = coir_http_response_status(response);
    return coir_buffer_append(body, bytes.data, bytes.length);
}

int coir_http_test_expect(coir_http_session *session, const char *method, const char *url,
                          const coir_http_request_opts *opts, int status, const char *body)
{
    COIR_AUTO(coir_buffer) got = {0};
    int got_status;
    COIR_TRY(coir_http_test_ask(session, method, url, opts, &got_status, &got));
    const char *text = coir_buffer_text(&got);
    if (got_status != status)
        return coir_fail(-EBADMSG, "%s %s is answered by %d, not by %d: %.200s", method, url,
                         got_status, status, text);
    if (body != NULL && (got.length != strlen(body) || memcmp(text, body, got.length) != 0))
        return coir_fail(-EBADMSG, "%s %s is answered by '%.200s', not by '%.200s'", method, url,
                         text, body);
    return 0;
}
