/* http_error_pages.c: pages of one's own for failures: a middleware replies to what the handlers
 * behind it have not, also where there is none. What is the server's fault is returned, and so
 * reported, too.
 */
#include <coir/coir.h>
#include <coir/http_testing.h>
#include <stdio.h>
#include <string.h>

static int pages(coir_http_request *request, void *arg)
{
    (void)arg;
    int r = coir_http_next(request);
    if (r >= 0)
        return r;
    int status = coir_http_failure_status(request, r);
    COIR_TRY(coir_http_reply_text(request, status, "Sorry: %d.\n", status));
    return status < 500 ? 0 : r;
}

static int stumble(coir_http_request *request)
{
    (void)request;
    return coir_fail(-EIO, "the disk of 10.0.0.7 is full"); /* is for the report alone */
}

static void on_report(const coir_report *report, void *arg)
{
    (void)arg;
    printf("reported: %.*s\n", (int)strcspn(report->text, "\n"), report->text);
}

static int app(void *arg)
{
    (void)arg;
    static const char *const urls[] = {"/tea", "/stumble"};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_TRY(coir_http_app_open(NULL, &app));
    coir_http_app_use(app, pages, NULL);
    coir_http_app_get(app, "/stumble", stumble);
    COIR_TRY(coir_http_test_open(app, NULL, &test));
    for (size_t i = 0; i < COIR_COUNT(urls); i++) {
        int status;
        COIR_AUTO(coir_buffer) page = {0};
        coir_http_session *session = coir_http_test_session(test);
        COIR_TRY(coir_http_test_ask(session, "GET", urls[i], NULL, &status, &page));
        printf("%s %d: %s", urls[i], status, coir_buffer_text(&page));
    }
    return 0;
}

int main(void)
{
    int result;
    return coir_run(app, NULL, &(coir_loop_opts){.report = on_report}, &result) < 0 || result < 0;
}
