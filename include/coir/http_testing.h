/* coir/http_testing.h: tests of HTTP applications: one that is served, and a session that is bound
 * to it. In libcoir-http (`pkg-config --libs coir-http`).
 *
 *     COIR_TEST(home_is_there)
 *     {
 *         COIR_AUTO(coir_http_app) *app = NULL;
 *         COIR_AUTO(coir_http_test) *test = NULL;
 *         COIR_REQUIRE_OK(create_app(&app));
 *         COIR_REQUIRE_OK(coir_http_test_open(app, NULL, &test));
 *         COIR_EXPECT_HTTP(coir_http_test_session(test), "GET", "/", NULL, 200, "hello\n");
 *     }
 *
 * (COIR_TEST is of <coir/testing.h>.) The application is served as it would be, with its contexts
 * and services, in memory: no port is taken, no kernel asked, and time is virtual on every backend,
 * so that what waits for a minute takes none. With opts.port it listens at a free port of
 * 127.0.0.1; then time is virtual on the simulated backend.
 */
#ifndef COIR_HTTP_TESTING_H
#define COIR_HTTP_TESTING_H

#include <coir/http_app.h>
#include <coir/http_session.h>

COIR__BEGIN

/* An application that is served, and a session for it; opaque. */
typedef struct coir_http_test coir_http_test;

/* Zero means the default for each field. */
typedef struct coir_http_test_opts {
    coir_http_session_opts session; /* of the session; base, and in memory dial, are the kit's */
    bool port;                      /* listen at a port, for clients of other kinds too */
    size_t coir__reserved[4];
} coir_http_test_opts;

/* Serves app, which stays the caller's and must outlive *ret_test, in a task of the loop, and opens
 * a session whose base it is. When it returns, the contexts of app have started. In memory every
 * host and port of a URL is this application. One that serves HTTPS is "https://localhost/", and
 * opts.session.tls must trust its certificate. opts may be NULL.
 * Returns 0, and writes *ret_test, which is the caller's to close. Errors: those of
 * coir_http_app_serve and coir_http_session_open, -EINVAL, -ENOMEM, -COIR_ENOTASK, -ECANCELED,
 * -ETIME. Cancel safety: nothing is left. Thread safety: the loop's thread. */
COIR__CHECKED int coir_http_test_open(coir_http_app *app, const coir_http_test_opts *opts,
                                      coir_http_test **ret_test);

/* Closes the session, ends the server as a cancellation does (its requests have their grace), and
 * frees test; NULL is accepted. A server that ends with a failure is reported (COIR_REPORT_UNREAD).
 * Cancel safety: always closes. Thread safety: the loop's thread, in a task. */
COIR__PUBLIC void coir_http_test_close(coir_http_test *test);

COIR_CLOSER(coir_http_test, coir_http_test_close);

/* The session that is bound to the application; and the URL of its root, "http://localhost/" or
 * "http://127.0.0.1:40123/".
 * Returns what lives as long as test. Cancel safety: never waits. Thread safety: the loop's thread.
 */
COIR__PUBLIC coir_http_session *coir_http_test_session(coir_http_test *test);
COIR__PUBLIC const char *coir_http_test_url(const coir_http_test *test);

/* Connects to the application without a session, for bytes that no client would send.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: those of
 * coir_memory_connect or coir_tcp_connect. Cancel safety: no connection is left. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_http_test_connect(coir_http_test *test, coir_stream **ret_stream);

/* Sends a request and reads the response: its status, and its body, added to body.
 * Returns 0, and writes *ret_status. Errors: those of coir_http_send and coir_http_response_read.
 * Cancel safety, Thread safety: as coir_http_send. */
COIR__CHECKED int coir_http_test_ask(coir_http_session *session, const char *method,
                                     const char *url, const coir_http_request_opts *opts,
                                     int *ret_status, coir_buffer *body);

/* As coir_http_test_ask, and compares: the answer must have that status, and exactly that body
 * (NULL: any).
 * Returns 0. Errors: -EBADMSG for another answer, with a text that has both; else as
 * coir_http_test_ask. Cancel safety, Thread safety: as coir_http_send. */
COIR__CHECKED int coir_http_test_expect(coir_http_session *session, const char *method,
                                        const char *url, const coir_http_request_opts *opts,
                                        int status, const char *body);

/* The same as an expectation of <coir/testing.h>. */
#define COIR_EXPECT_HTTP(session, method, url, opts, status, body)                                 \
    COIR_EXPECT_OK(coir_http_test_expect((session), (method), (url), (opts), (status), (body)))

COIR__END
#endif
