/* web.c: the status for browsers and programs: a page, its events, and the same as JSON.
 *
 * The page is three files of web/, which are part of the program. It draws itself from the JSON
 * that /events sends: all targets first, and then those that have changed, whenever some have, at
 * most ten times a second. /api/status is that JSON by itself. Names, addresses and errors are data
 * all the way: the page puts them in as text, and its policy lets no other script run.
 */
#include "json.h"
#include "pages.h"

#include <errno.h>
#include <stdlib.h>

#include <coir/http_app.h>

static const coir_time frame_time = COIR_MS(100);

/* --- The state -------------------------------------------------------------------------------- */

static int answer_status(coir_http_request *request)
{
    const struct web *web = coir_http_request_state(request);
    COIR_TRY(coir_http_reply_header(request, "Cache-Control", "no-store"));
    return coir_http_reply_json(request, 200, status_json(web->status, web->lag, 0));
}

/* What has changed since that many results, as text that is to be freed. */
static int changes(const struct web *web, uint64_t *since, char **ret_text)
{
    json_t *json = status_json(web->status, web->lag, *since);
    *since = web->status->results;
    *ret_text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(json);
    return *ret_text ? 0 : -ENOMEM;
}

static int send_event(coir_http_request *request, const struct web *web, uint64_t *since)
{
    char *text;
    COIR_TRY(changes(web, since, &text));
    int r = coir_http_reply_event(request, NULL, NULL, text);
    free(text);
    return r;
}

static int answer_events(coir_http_request *request)
{
    const struct web *web = coir_http_request_state(request);
    COIR_AUTO(coir_watcher) *watcher = NULL;
    COIR_TRY(coir_watch_subscribe(web->status->changed, &watcher));
    uint64_t results, since = 0;
    while (COIR_TRY(coir_watcher_next(watcher, &results)) > 0) {
        COIR_TRY(send_event(request, web, &since));
        COIR_TRY(coir_sleep(frame_time));
    }
    return 0;
}

/* --- The page --------------------------------------------------------------------------------- */

static int answer_html(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/html; charset=utf-8", page_html, sizeof page_html);
}

static int answer_css(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/css; charset=utf-8", page_css, sizeof page_css);
}

static int answer_js(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/javascript; charset=utf-8", page_js, sizeof page_js);
}

/* Nothing from elsewhere, no script but the page's own, in nobody's frame. */
static int protect(coir_http_request *request, void *arg)
{
    (void)arg;
    COIR_TRY(coir_http_reply_header(request, "Content-Security-Policy",
                                    "default-src 'none'; style-src 'self'; script-src 'self'; "
                                    "connect-src 'self'; img-src data:; frame-ancestors 'none'; "
                                    "base-uri 'none'; form-action 'none'"));
    COIR_TRY(coir_http_reply_header(request, "X-Content-Type-Options", "nosniff"));
    COIR_TRY(coir_http_reply_header(request, "Referrer-Policy", "no-referrer"));
    return coir_http_next(request);
}

int web_run(void *arg)
{
    struct web *web = arg;
    coir_http_app_opts opts = {.state = web,
                               .connections = 1000,
                               .grace = COIR_MS(100), /* events never end by themselves */
                               .cancel_on_disconnect = true};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&opts, &app));
    coir_http_app_use(app, protect, NULL);
    coir_http_app_get(app, "/", answer_html);
    coir_http_app_get(app, "/page.css", answer_css);
    coir_http_app_get(app, "/page.js", answer_js);
    coir_http_app_get(app, "/events", answer_events);
    coir_http_app_get(app, "/api/status", answer_status);
    return coir_http_app_serve_listener(app, web->listener);
}
