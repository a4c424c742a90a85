/* web.c: the status for browsers and programs: a page, what it lives on, and the same as JSON.
 *
 * The page is three files of web/, which are part of the program. It draws itself from JSON that
 * comes by WebSocket from /live: all targets first, and then those that have changed, whenever some
 * have, at most ten times a second. A change is made and encoded once for all pages, which hold no
 * task; one that does not keep up is cut off, and begins anew. Where WebSocket cannot get through,
 * /events sends the same. /api/status is that JSON by itself. Names, addresses and errors are data
 * all the way: the page puts them in as text, and its policy lets no other script run.
 */
#include "json.h"
#include "pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <coir/http_app.h>
#include <coir/ws.h>

static const coir_time frame_time = COIR_MS(100);

/* What is served. */
struct site {
    const struct web *web;
    coir_ws_room pages; /* that listen by WebSocket */
};

/* --- The state -------------------------------------------------------------------------------- */

static int answer_status(coir_http_request *request)
{
    const struct site *site = coir_http_request_state(request);
    COIR_TRY(coir_http_reply_header(request, "Cache-Control", "no-store"));
    return coir_http_reply_json(request, 200, status_json(site->web->status, site->web->lag, 0));
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
    const struct web *web = ((const struct site *)coir_http_request_state(request))->web;
    COIR_AUTO(coir_watcher) *watcher = NULL;
    COIR_TRY(coir_watch_subscribe(web->status->changed, &watcher));
    uint64_t results, since = 0;
    while (COIR_TRY(coir_watcher_next(watcher, &results)) > 0) {
        COIR_TRY(send_event(request, web, &since));
        COIR_TRY(coir_sleep(frame_time));
    }
    return 0;
}

/* Sends all there is to a page that has come; changes follow. */
static int begin_page(coir_http_request *request, coir_ws *ws)
{
    struct site *site = coir_http_request_state(request);
    uint64_t since = 0;
    char *text;
    COIR_TRY(changes(site->web, &since, &text));
    int r = coir_ws_send(ws, COIR_TEXT, (coir_bytes){text, strlen(text)});
    free(text);
    return r < 0 ? r : coir_ws_join(ws, &site->pages);
}

/* Sends changes to all pages, as long as the server runs. A service. */
static int publish(void *arg)
{
    struct site *site = arg;
    COIR_AUTO(coir_watcher) *watcher = NULL;
    COIR_TRY(coir_watch_subscribe(site->web->status->changed, &watcher));
    uint64_t results, since = 0;
    while (COIR_TRY(coir_watcher_next(watcher, &results)) > 0) {
        char *text;
        if (coir_ws_room_count(&site->pages) == 0) {
            since = results;
            continue;
        }
        COIR_TRY(changes(site->web, &since, &text));
        int r = coir_ws_broadcast(&site->pages, COIR_TEXT, (coir_bytes){text, strlen(text)}, NULL);
        free(text);
        COIR_TRY(r);
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
    static const coir_ws_handlers live = {.on_open = begin_page};
    const struct web *web = arg;
    struct site site = {.web = web};
    coir_http_app_opts opts = {.state = &site,
                               .connections = 1000,
                               .grace = COIR_MS(100), /* events never end by themselves */
                               .cancel_on_end = true};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&opts, &app));
    coir_http_app_use(app, protect, NULL);
    coir_http_app_get(app, "/", answer_html);
    coir_http_app_get(app, "/page.css", answer_css);
    coir_http_app_get(app, "/page.js", answer_js);
    coir_http_app_get(app, "/events", answer_events);
    coir_http_app_websocket_handlers(app, "/live", &live,
                                     &(coir_ws_opts){.close_limit = COIR_MS(200)});
    coir_http_app_service(app, publish, &site);
    coir_http_app_get(app, "/api/status", answer_status);
    return coir_http_app_serve_listener(app, web->listener);
}
