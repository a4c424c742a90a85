/* client.c: WebSockets of a client: the request for one, by way of a session, and what the
 * server has answered.
 *
 * The stream of the answer becomes the socket's own, and the session forgets it; the tasks that
 * write its queue are in a group of its own. Called by programs.
 */
#include "ws.h"

#include <errno.h>

#include <coir/memory.h>

/* A connection that is being asked for. */
struct asking {
    struct coir__ws_config *config;
    coir_buffer url, offer;
    char key[32];
    coir_http_header *headers;
    struct coir__ws_terms terms;
    char *protocol;
};

/* ---- the request: section 4.1 ---- */

/* WebSocket's schemes are HTTP's by other names. */
static int make_url(struct asking *asking, const char *url)
{
    bool plain = coir__http_alike_start(url, "ws://", 5),
         secure = coir__http_alike_start(url, "wss://", 6);
    if (plain || secure)
        COIR_TRY(coir__http_put(&asking->url, plain ? "http" : "https"));
    return coir__http_put(&asking->url, plain ? url + 2 : secure ? url + 3 : url);
}

static int make_headers(struct asking *asking, const coir_http_header *more)
{
    const coir_ws_opts *opts = &asking->config->opts;
    size_t count = 0;
    while (more != NULL && more[count].name != NULL)
        count++;
    asking->headers = coir_calloc(count + 5, sizeof *asking->headers);
    if (asking->headers == NULL)
        return -ENOMEM;
    if (count > 0)
        memcpy(asking->headers, more, count * sizeof *more);
    int r = coir__ws_make_key(asking->key);
    if (r < 0)
        return r;
    asking->headers[count++] = (coir_http_header){"Sec-WebSocket-Key", asking->key};
    asking->headers[count++] = (coir_http_header){"Sec-WebSocket-Version", "13"};
    if (opts->protocols != NULL)
        asking->headers[count++] = (coir_http_header){"Sec-WebSocket-Protocol", opts->protocols};
    if (opts->deflate == COIR_WS_DEFLATE_OFF)
        return 0;
    COIR_TRY(coir__ws_deflate_offer(opts, &asking->offer));
    asking->headers[count] =
        (coir_http_header){"Sec-WebSocket-Extensions", coir_buffer_text(&asking->offer)};
    return 0;
}

/* ---- the answer ---- */

static size_t occurrences(const coir_http_response *response, const char *name)
{
    size_t n = 0;
    for (const coir_http_header *at = coir_http_response_headers(response); at->name != NULL; at++)
        n += coir__http_alike(at->name, name);
    return n;
}

static int check_protocol(struct asking *asking, const char *chosen)
{
    size_t length;
    if (chosen == NULL)
        return 0;
    const char *own = coir__ws_choose(asking->config->opts.protocols, chosen, &length);
    if (own == NULL || strlen(chosen) != length)
        return coir_fail(-COIR_EWEBSOCKET, "the subprotocol %.40s was not offered", chosen);
    asking->protocol = coir_calloc(1, length + 1);
    if (asking->protocol == NULL)
        return -ENOMEM;
    memcpy(asking->protocol, own, length);
    return 0;
}

static int check_answer(struct asking *asking, const coir_http_response *response)
{
    char expected[32];
    int status = coir_http_response_status(response);
    if (status != 101)
        return coir_fail(-COIR_ESTATUS, "GET %.90s: %d %s", coir_http_response_url(response),
                         status, coir_http_status_text(status));
    coir__ws_answer(asking->key, expected);
    const char *answer = coir_http_response_header(response, "Sec-WebSocket-Accept");
    if (answer == NULL || strcmp(answer, expected) != 0)
        return coir_fail(-COIR_EWEBSOCKET, "the server has not understood the request");
    if (occurrences(response, "Sec-WebSocket-Extensions") > 1 ||
        occurrences(response, "Sec-WebSocket-Protocol") > 1)
        return coir_fail(-COIR_EWEBSOCKET, "the server answers twice");
    COIR_TRY(check_protocol(asking, coir_http_response_header(response, "Sec-WebSocket-Protocol")));
    const char *agreed = coir_http_response_header(response, "Sec-WebSocket-Extensions");
    const char *wrong =
        coir__ws_deflate_agree(agreed != NULL ? agreed : "", &asking->config->opts, &asking->terms);
    return wrong != NULL ? coir_fail(-COIR_EWEBSOCKET, "%s", wrong) : 0;
}

/* ---- the socket ---- */

static int make_socket(struct asking *asking, coir_http_response *response, coir_ws **ret_ws)
{
    coir_group *group = coir_calloc(1, sizeof *group);
    coir_ws *ws = group != NULL ? coir__ws_make(asking->config, &asking->terms) : NULL;
    int r = ws != NULL ? coir_group_init(group, COIR_COLLECT) : -ENOMEM;
    if (r == 0) {
        r = coir_http_response_upgraded(response, &ws->stream);
        if (r < 0)
            (void)coir_group_close(group);
    }
    if (r < 0) {
        if (ws != NULL)
            coir__ws_release(ws);
        coir_free(group);
        return r;
    }
    ws->group = group;
    ws->client = true;
    ws->protocol = COIR_TAKE(asking->protocol);
    *ret_ws = ws;
    return 0;
}

static int ask(struct asking *asking, coir_http_session *session, const char *url,
               const coir_ws_opts *more, coir_ws **ret_ws, const coir_site *site)
{
    COIR_TRY(make_url(asking, url));
    COIR_TRY(make_headers(asking, more->headers));
    const coir_http_request_opts opts = {
        .headers = asking->headers, .upgrade = "websocket", .any_status = true};
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_TRY(
        coir_http_send_at(session, "GET", coir_buffer_text(&asking->url), &opts, &response, site));
    int r = check_answer(asking, response);
    if (r == -COIR_ESTATUS && more->ret_refusal != NULL)
        *more->ret_refusal = COIR_TAKE(response);
    return r < 0 ? r : make_socket(asking, response, ret_ws);
}

int coir_ws_connect_at(coir_http_session *session, const char *url, const coir_ws_opts *opts,
                       coir_ws **ret_ws, const coir_site *site)
{
    static const coir_ws_opts none;
    struct asking asking = {0};
    opts = opts != NULL ? opts : &none;
    if (opts->ret_refusal != NULL)
        *opts->ret_refusal = NULL;
    if (session == NULL || url == NULL || ret_ws == NULL)
        return -EINVAL;
    COIR_TRY(coir__ws_config_make(opts, &asking.config));
    int r = ask(&asking, session, url, opts, ret_ws, site);
    coir__ws_config_release(asking.config);
    coir_buffer_close(&asking.url);
    coir_buffer_close(&asking.offer);
    coir_free(asking.headers);
    coir_free(asking.protocol);
    return r;
}
