/* http_trace.c: what becomes of a request, step by step: a trace, and a middleware that asks again
 * while the server is busy. The server is in memory, with <coir/http_testing.h>.
 */
#include <coir/coir.h>
#include <coir/http_call.h>
#include <coir/http_testing.h>
#include <stdio.h>

static int tea(coir_http_request *request)
{
    int *busy = coir_http_request_state(request);
    if ((*busy)-- > 0)
        return coir_http_fail(request, 503, "busy");
    return coir_http_reply_text(request, 200, "tea\n");
}

static void tell(const coir_http_event *event, void *arg)
{
    (void)arg;
    printf("%s", coir_http_phase_text(event->phase));
    if (event->status != 0)
        printf(" %d", event->status);
    printf(event->bytes > 0 ? ", %zu bytes\n" : "\n", event->bytes);
}

static int retry(coir_http_call *call, void *arg, coir_http_response **ret_response)
{
    (void)arg;
    for (int i = 0;; i++) {
        COIR_TRY(coir_http_call_next(call, ret_response));
        if (coir_http_response_status(*ret_response) != 503 || i == 3)
            return 0;
        coir_http_response_close(COIR_TAKE(*ret_response));
        COIR_TRY(coir_sleep(COIR_SEC(1) << i));
    }
}

static int app(void *arg)
{
    (void)arg;
    int busy = 1;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.state = &busy}, &app));
    coir_http_app_get(app, "/tea", tea);
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_TRY(coir_http_test_open(app, &(coir_http_test_opts){.session.trace = tell}, &test));
    coir_http_session *http = coir_http_test_session(test);
    COIR_TRY(coir_http_session_use(http, retry, NULL));
    return coir_http_test_expect(http, "GET", "/tea", NULL, 200, "tea\n");
}

int main(void)
{
    return coir_main(app, NULL);
}
