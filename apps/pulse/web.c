/* web.c: the status for browsers and programs: a page, its events, and the same as JSON.
 *
 * The page is three files of web/, which are part of the program. It draws itself from the JSON
 * that /events sends whenever something has changed, at most ten times a second; /api/status is
 * that JSON by itself. Names, addresses and errors are data all the way: the page puts them in as
 * text, and its policy lets no other script run.
 */
#include "pages.h"
#include "status.h"
#include "text.h"

#include <jansson.h>
#include <stdlib.h>

#include <coir/http_app.h>

static const coir_time frame_time = COIR_MS(100);

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *milliseconds(coir_time duration)
{
    return json_real((double)duration / 1e6);
}

/* The latencies of the last checks, the newest last; null for one that failed. */
static json_t *history_of(const struct row *row)
{
    json_t *list = json_array();
    unsigned first = row->count > HISTORY ? row->count - HISTORY : 0;
    for (unsigned i = first; list && i < row->count; i++) {
        coir_time latency = row->history[i % HISTORY];
        if (json_array_append_new(list, latency < 0 ? json_null() : milliseconds(latency)) < 0)
            return json_decref(list), NULL;
    }
    return list;
}

static json_t *row_of(const struct row *row, coir_time now)
{
    bool up = row->state == UP, certified = row->certificate_days >= 0;
    char warning[48];
    return json_pack("{ss ss ss so so* so* so* ss* ss* ss* so* so}", "name", row->target->name,
                     "address", row->target->label, "state", state_name(row->state), "since_s",
                     json_real((double)(now - row->since) / 1e9), "latency_ms",
                     up ? milliseconds(row->latency) : NULL, "status",
                     row->http_status ? json_integer(row->http_status) : NULL, "certificate_days",
                     certified ? json_integer(row->certificate_days) : NULL, "warning",
                     row->warns ? text_warning(row->certificate_days, warning, sizeof warning)
                                : NULL,
                     "last_error", row->failed ? row->reason : NULL, "last_error_detail",
                     row->failed ? row->error : NULL, "failed_s",
                     row->failed ? json_real((double)(now - row->failed) / 1e9) : NULL, "history",
                     history_of(row));
}

static json_t *status_json(const struct status *status)
{
    coir_time now = coir_now();
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < status->count; i++)
        if (json_array_append_new(rows, row_of(&status->rows[i], now)) < 0)
            return json_decref(rows), NULL;
    return json_pack("{sI si si si so}", "results", (json_int_t)status->results, "up",
                     (int)status_count(status, 0, UP), "down", (int)status_count(status, 0, DOWN),
                     "unknown", (int)status_count(status, 0, UNKNOWN), "targets", rows);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static int answer_status(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_header(request, "Cache-Control", "no-store"));
    return coir_http_reply_json(request, 200, status_json(coir_http_request_state(request)));
}

static int send_status(coir_http_request *request, const struct status *status)
{
    json_t *json = status_json(status);
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(json);
    int r = text ? coir_http_reply_event(request, NULL, NULL, text) : -ENOMEM;
    free(text);
    return r;
}

static int answer_events(coir_http_request *request)
{
    const struct status *status = coir_http_request_state(request);
    COIR_AUTO(coir_watcher) *watcher = NULL;
    COIR_TRY(coir_watch_subscribe(status->changed, &watcher));
    uint64_t results;
    while (COIR_TRY(coir_watcher_next(watcher, &results)) > 0) {
        COIR_TRY(send_status(request, status));
        COIR_TRY(coir_sleep(frame_time));
    }
    return 0;
}

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
                                    "connect-src 'self'; img-src data:; frame-ancestors 'none'"));
    COIR_TRY(coir_http_reply_header(request, "X-Content-Type-Options", "nosniff"));
    return coir_http_next(request);
}

int web_run(void *arg)
{
    struct web *web = arg;
    coir_http_app_opts opts = {.state = (void *)(uintptr_t)web->status,
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
