/* call.c: requests on their way: from what a program asks for, over redirects and middleware, to
 * the response that it gets.
 *
 * Each URL that is asked goes through the middleware once, and send.c makes the exchange. A
 * redirect to another origin takes no secret along: see send.c. Called by programs.
 */
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <coir/memory.h>

/* ---- headers of middleware ---- */

static void clear_headers(coir_http_call *call)
{
    for (size_t i = 0; i < call->set_count; i++)
        coir_free((char *)(uintptr_t)call->set[i].name);
    call->set_count = 0;
    if (call->set != NULL)
        call->set[0] = (coir_http_header){0};
}

/* A header whose texts are one block. */
static int make_header(const char *name, const char *value, coir_http_header *ret_header)
{
    size_t length = strlen(name) + 1, size = strlen(value) + 1;
    char *text = coir_alloc(length + size);
    if (text == NULL)
        return -ENOMEM;
    *ret_header =
        (coir_http_header){memcpy(text, name, length), memcpy(text + length, value, size)};
    return 0;
}

int coir_http_call_set_header(coir_http_call *call, const char *name, const char *value)
{
    coir_http_header header;
    if (call == NULL || name == NULL || value == NULL || !coir__http_is_token(name, strlen(name)) ||
        !coir__http_is_value(value, strlen(value)))
        return coir_fail(-EINVAL, "'%.40s' is no header, or has no such value",
                         name != NULL ? name : "(NULL)");
    if (coir__http_is_own_header(name))
        return coir_fail(-EINVAL, "the header %.40s is not for programs", name);
    COIR_TRY(make_header(name, value, &header));
    for (size_t i = 0; i < call->set_count; i++)
        if (coir__http_alike(call->set[i].name, name)) {
            coir_free((char *)(uintptr_t)call->set[i].name);
            call->set[i] = header;
            return 0;
        }
    coir_http_header *set = coir_realloc(call->set, (call->set_count + 2) * sizeof header);
    if (set == NULL) {
        coir_free((char *)(uintptr_t)header.name);
        return -ENOMEM;
    }
    call->set = set;
    call->set[call->set_count++] = header;
    call->set[call->set_count] = (coir_http_header){0};
    return 0;
}

/* ---- middleware ---- */

int coir_http_session_use(coir_http_session *session,
                          int (*fn)(coir_http_call *call, void *arg,
                                    coir_http_response **ret_response),
                          void *arg)
{
    if (session == NULL || fn == NULL)
        return -EINVAL;
    if (session->loop != NULL)
        return coir_fail(-EBUSY, "the session has sent requests already");
    struct coir__http_layer **last = &session->layers;
    while (*last != NULL)
        last = &(*last)->next;
    *last = coir_calloc(1, sizeof **last);
    if (*last == NULL)
        return -ENOMEM;
    **last = (struct coir__http_layer){.fn = fn, .arg = arg};
    return 0;
}

int coir_http_call_next(coir_http_call *call, coir_http_response **ret_response)
{
    if (call == NULL || ret_response == NULL)
        return -EINVAL;
    *ret_response = NULL;
    const struct coir__http_layer *layer = call->layer;
    if (layer == NULL)
        return coir__http_exchange(call, ret_response);
    call->layer = layer->next;
    int r = layer->fn(call, layer->arg, ret_response);
    call->layer = layer; /* it may be called again */
    if (r >= 0 && *ret_response == NULL)
        return coir_fail(-EINVAL, "a middleware has given no response");
    return r < 0 ? r : 0;
}

const char *coir_http_call_method(const coir_http_call *call)
{
    return call->method;
}

/* It is made for the first who asks. */
const char *coir_http_call_url(coir_http_call *call)
{
    if (call->text.length == 0 && coir_url_format(&call->url, &call->text) < 0)
        return NULL;
    return coir_buffer_text(&call->text);
}

coir_bytes coir_http_call_body(const coir_http_call *call)
{
    return call->body;
}

/* ---- where to ---- */

/* Takes url over as what is asked next. */
static int aim(coir_http_call *call, coir_url *url)
{
    coir_url_close(&call->url);
    call->url = *url;
    if (call->url.host == NULL ||
        (strcmp(call->url.scheme, "http") != 0 && strcmp(call->url.scheme, "https") != 0))
        return coir_fail(-COIR_EURL, "a URL of the scheme %.20s", call->url.scheme);
    call->origin.length = call->text.length = 0;
    COIR_TRY(coir__http_put(&call->origin, call->url.scheme));
    COIR_TRY(coir__http_put(&call->origin, call->url.ipv6 ? "://[" : "://"));
    COIR_TRY(coir__http_put(&call->origin, call->url.host));
    COIR_TRY(coir__http_put(&call->origin, call->url.ipv6 ? "]:" : ":"));
    return coir__http_put_number(&call->origin, (uint64_t)call->url.port);
}

/* Where a response sends its client, or NULL: it is what was asked for. */
static const char *location_of(const coir_http_call *call, const coir_http_response *response)
{
    int status = response->head.status;
    bool redirects =
        status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    bool keeps = status == 307 || status == 308;
    if (!redirects || call->opts->no_redirects || call->session->opts.redirects == UINT_MAX ||
        (keeps && call->stream_begun))
        return NULL;
    return coir_http_response_header(response, "Location");
}

/* RFC 9110, section 15.4: 303, and by custom a POST with 301 and 302, go on as GET. */
static void change_method(coir_http_call *call, int status)
{
    bool other = status == 303 ? strcmp(call->method, "HEAD") != 0
                               : status <= 302 && strcmp(call->method, "POST") == 0;
    if (!other)
        return;
    call->method = "GET";
    call->body = (coir_bytes){0};
    call->type = NULL;
    call->streams = false;
}

/* Remembers a response that was passed over. */
static int add_hop(coir_http_call *call, const coir_http_response *response)
{
    const char *url = coir_http_response_url(response);
    coir_http_hop *hops = coir_realloc(call->hops, (call->hop_count + 1) * sizeof *hops);
    if (hops == NULL)
        return -ENOMEM;
    call->hops = hops;
    char *kept = coir_alloc(strlen(url) + 1);
    if (kept == NULL)
        return -ENOMEM;
    memcpy(kept, url, strlen(url) + 1);
    hops[call->hop_count++] = (coir_http_hop){response->head.status, kept};
    return 0;
}

static int redirect(coir_http_call *call, const coir_http_response *response, const char *location)
{
    coir_url next;
    COIR_TRY(coir_url_resolve(&call->url, location, &next));
    call->foreign |= !coir__http_is_same_origin(&call->url, &next);
    change_method(call, response->head.status);
    call->session->stats.redirected++;
    COIR_TRY(aim(call, &next));
    COIR_TRY(add_hop(call, response));
    COIR__HTTP_TELL(call, .phase = COIR_HTTP_REDIRECTED, .status = response->head.status,
                    .text = coir_http_call_url(call));
    return 0;
}

/* Asks one URL, through the middleware. */
static int ask(coir_http_call *call, coir_http_response **ret_response)
{
    clear_headers(call);
    call->layer = call->session->layers;
    if (call->layer != NULL && coir_http_call_url(call) == NULL)
        return -ENOMEM; /* a middleware always has one */
    COIR__HTTP_TELL(call, .phase = COIR_HTTP_BEGUN);
    return coir_http_call_next(call, ret_response);
}

static int follow(coir_http_call *call, coir_http_response **ret_response)
{
    for (unsigned left = call->session->opts.redirects;; left--) {
        COIR_AUTO(coir_http_response) *response = NULL;
        COIR_TRY(ask(call, &response));
        const char *location = location_of(call, response);
        if (location != NULL && left == 0)
            return coir_fail(-COIR_EREDIRECTS, "more than %u redirects",
                             call->session->opts.redirects);
        if (location == NULL) {
            coir__http_response_keep_hops(response, COIR_TAKE(call->hops), call->hop_count);
            *ret_response = COIR_TAKE(response);
            return 0;
        }
        COIR_TRY(redirect(call, response, location));
    }
}

/* ---- what a program asks for ---- */

static int make_form(coir_http_call *call)
{
    for (const coir_http_header *at = call->opts->form; at->name != NULL; at++)
        COIR_TRY(coir_query_add(&call->form, at->name, at->value));
    call->body = (coir_bytes){call->form.data, call->form.length};
    call->type = "application/x-www-form-urlencoded";
    return 0;
}

static int make_body(coir_http_call *call)
{
    const coir_http_request_opts *opts = call->opts;
    call->body = opts->body;
    call->type = opts->type;
    call->streams = opts->stream != NULL;
    if ((opts->body.data != NULL) + (opts->json != NULL) + (opts->form != NULL) + call->streams > 1)
        return coir_fail(-EINVAL, "a request has one body at most");
    if (opts->form != NULL)
        return make_form(call);
    if (opts->json == NULL)
        return 0;
    call->json = json_dumps(opts->json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (call->json == NULL)
        return -ENOMEM;
    call->body = (coir_bytes){call->json, strlen(call->json)};
    call->type = "application/json";
    return 0;
}

static int find_url(coir_http_call *call, const char *text)
{
    coir_url url;
    COIR_AUTO(coir_buffer) whole = {0};
    const char *query = call->opts->query;
    if (query != NULL) {
        size_t before = strcspn(text, "#");
        COIR_TRY(coir_buffer_append(&whole, text, before));
        COIR_TRY(coir__http_put(&whole, memchr(text, '?', before) != NULL ? "&" : "?"));
        COIR_TRY(coir__http_put(&whole, query));
        text = coir_buffer_text(&whole);
    }
    COIR_TRY(call->session->base.scheme != NULL ? coir_url_resolve(&call->session->base, text, &url)
                                                : coir_url_parse(text, &url));
    return aim(call, &url);
}

static void close_call(coir_http_call *call)
{
    clear_headers(call);
    coir_free(call->set);
    coir__http_free_hops(call->hops, call->hop_count);
    coir_url_close(&call->url);
    if (call->session->scratch.data == NULL)
        call->session->scratch = call->origin; /* for the next call */
    else
        coir_buffer_close(&call->origin);
    coir_buffer_close(&call->text);
    coir_buffer_close(&call->form);
    free(call->json);
}

static int run(coir_http_call *call, const char *url, coir_http_response **ret_response)
{
    if (!coir__http_is_token(call->method, strlen(call->method)) ||
        strcmp(call->method, "CONNECT") == 0)
        return coir_fail(-EINVAL, "'%.20s' is no method", call->method);
    COIR_TRY(find_url(call, url));
    COIR_TRY(make_body(call));
    return follow(call, ret_response);
}

/* The failure as one of this request: "GET http://…: connect 127.0.0.1:1: connection refused". */
static int name_failure(const char *method, const char *url, int code)
{
    char text[128], shown[91];
    if (code == -ECANCELED || code == -ETIME || code == -COIR_ECLOSED)
        return code;
    (void)snprintf(text, sizeof text, "%s", coir_last_message(code));
    coir__http_hide_password(url, shown, sizeof shown);
    return coir_fail(code, "%s %s: %s", method, shown, text);
}

int coir_http_send_at(coir_http_session *session, const char *method, const char *url,
                      const coir_http_request_opts *opts, coir_http_response **ret_response,
                      const coir_site *site)
{
    static const coir_http_request_opts none;
    if (session == NULL || method == NULL || url == NULL || ret_response == NULL)
        return -EINVAL;
    if (coir_current() == NULL)
        return -COIR_ENOTASK;
    if (session->loop == NULL)
        session->loop = coir_loop_current();
    if (session->loop != coir_loop_current())
        return -COIR_EWRONGLOOP;
    coir_http_call call = {
        .session = session, .method = method, .opts = opts != NULL ? opts : &none, .site = site};
    call.number = ++session->calls;
    session->users++;
    call.origin = session->scratch;
    session->scratch = (coir_buffer){0};
    int r = run(&call, url, ret_response);
    bool picky = session->opts.fail_on_status && !call.opts->any_status;
    if (r == 0 && picky && (*ret_response)->head.status >= 400) {
        r = coir_fail(-COIR_ESTATUS, "%d %s", (*ret_response)->head.status,
                      coir_http_status_text((*ret_response)->head.status));
        coir_http_response_close(COIR_TAKE(*ret_response));
    }
    if (r < 0) {
        r = name_failure(method, url, r);
        COIR__HTTP_TELL(&call, .phase = COIR_HTTP_FAILED, .code = r, .text = coir_last_message(r));
    }
    close_call(&call);
    coir__http_session_leave(session);
    return r;
}
