/* http_rate_limited.c: asks each host no more often than agreed, and goes on after failures.
 *
 * A semaphore would bound how many requests are under way; this bounds how many begin in a second.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/http_session.h>
#include <coir/limiter.h>
#include <stdio.h>

static int user(coir_http_request *request)
{
    const char *name = coir_http_request_param(request, "name");
    return name[0] == 'x' ? coir_http_fail(request, 404, "nobody")
                          : coir_http_reply_text(request, 200, "%s", name);
}

static int serve(void *listener)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(NULL, &app));
    coir_http_app_get(app, "/{name}", user);
    return coir_http_app_serve_listener(app, listener);
}

static int fetch(coir_http_session *http, const char *name, coir_time start)
{
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body = {"", 0};
    int r = coir_http_get(http, name, NULL, &response);
    if (r == 0)
        r = coir_http_response_read(response, &body);
    printf("%.1f s  %s: %s\n", (double)(coir_now() - start) / 1e9, name,
           r < 0 ? coir_error_name(r) : (const char *)body.data);
    return r == -ECANCELED ? r : 0;
}

static int app(void *arg)
{
    static const char *const names[] = {"/ada", "/grace", "/xerxes", "/edsger"};
    char base[COIR_ADDRESS_TEXT + 8] = "http://";
    COIR_AUTO(coir_listener) *listener = arg;
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, base + 7, sizeof base - 7));
    coir_limiter limiter = {.rate = 2, .per = COIR_SEC(1)};
    coir_http_session_opts opts = {base, .limiter_per_host = &limiter, .fail_on_status = true};
    COIR_TRY(coir_http_session_open(&opts, &http));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));
    coir_time start = coir_now();
    for (size_t i = 0; i < COIR_COUNT(names); i++)
        COIR_TRY(fetch(http, names[i], start));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
