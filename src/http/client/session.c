/* session.c: sessions: their options, their connections, their end.
 *
 * Connections are kept by a pool under the origin that they lead to, "https://example.org:443",
 * from which they are opened too. One that was not in use is looked at before it is used again:
 * where something has come meanwhile, be it the end, nobody knows what it answers. Called by
 * programs and send.c.
 */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include <coir/limiter.h>
#include <coir/memory.h>
#include <coir/name.h>
#include <coir/tcp.h>
#include <coir/tls.h>

#define OR(value, usual) ((value) != 0 ? (value) : (usual))

/* ---- connections ---- */

static int secure(coir_http_session *session, coir_tls_context **ret_context)
{
    static const coir_tls_opts opts = {.alpn = "http/1.1"};
    *ret_context = session->opts.tls != NULL ? session->opts.tls : session->tls;
    if (*ret_context != NULL)
        return 0;
    COIR_TRY(coir_tls_context_open(COIR_TLS_CLIENT, &opts, &session->tls));
    *ret_context = session->tls;
    return 0;
}

/* A connection that is being opened, for the trace. */
struct opening {
    const coir_http_session *session;
    const char *origin;
};

static void tell_connect(const coir_connect_event *event, void *arg)
{
    static const coir_http_phase phases[] = {
        [COIR_CONNECT_LOOKUP] = COIR_HTTP_LOOKUP,
        [COIR_CONNECT_RESOLVED] = COIR_HTTP_RESOLVED,
        [COIR_CONNECT_TRY] = COIR_HTTP_CONNECTING,
        [COIR_CONNECT_TRIED] = COIR_HTTP_CONNECTED,
    };
    const struct opening *opening = arg;
    coir__http_tell_link(
        opening->session, opening->origin,
        (coir_http_event){.phase = phases[event->what], .text = event->text, .code = event->code});
}

static int dial(const struct opening *opening, const char *address, coir_stream **ret_stream)
{
    const coir_http_session_opts *opts = &opening->session->opts;
    const coir_connect_opts told = {.trace = tell_connect, .trace_arg = (void *)(uintptr_t)opening};
    coir_http_event event = {.phase = COIR_HTTP_CONNECTING, .text = address};
    if (opts->dial == NULL)
        return coir_tcp_connect(address, opts->trace != NULL ? &told : NULL, ret_stream);
    coir__http_tell_link(opening->session, opening->origin, event);
    event.phase = COIR_HTTP_CONNECTED;
    event.code = opts->dial(address, opts->dial_arg, ret_stream);
    coir__http_tell_link(opening->session, opening->origin, event);
    return event.code;
}

/* The host of "host:port" or "[::1]:port". */
static int host_of(const char *address, char ret_host[COIR_NAME_TEXT])
{
    bool bracket = *address == '[';
    size_t length = (size_t)(strrchr(address, ':') - address) - 2 * bracket;
    if (length >= COIR_NAME_TEXT)
        return coir_fail(-COIR_EADDRESS, "'%.100s' is too long for the name of a host", address);
    memcpy(ret_host, address + bracket, length);
    ret_host[length] = '\0';
    return 0;
}

static int connect_to(coir_http_session *session, const char *origin, coir_stream **ret_stream)
{
    const char *address = strstr(origin, "://") + 3;
    const struct opening opening = {session, origin};
    char host[COIR_NAME_TEXT]; /* that the certificate must be for */
    coir_tls_context *context;
    coir_stream *lower;
    if (strncmp(origin, "https", 5) != 0)
        return dial(&opening, address, ret_stream);
    COIR_TRY(host_of(address, host));
    COIR_TRY(secure(session, &context));
    COIR_TRY(dial(&opening, address, &lower));
    int r = coir_tls_connect(context, host, lower, NULL, ret_stream);
    coir__http_tell_link(session, origin, (coir_http_event){.phase = COIR_HTTP_SECURED, .code = r});
    return r;
}

static int open_link(const char *origin, void *arg, void **ret_connection)
{
    coir_http_session *session = arg;
    struct coir__http_link *link = coir_calloc(1, sizeof *link);
    if (link == NULL)
        return -ENOMEM;
    COIR_SCOPE(limit, session->opts.connect_limit);
    int r = connect_to(session, origin, &link->stream);
    coir_scope_leave(&limit);
    if (r < 0) {
        coir_free(link);
        return r == -ETIME && coir_scope_expired(&limit)
                   ? coir_fail(-ETIMEDOUT, "connecting to %s took too long", origin)
                   : r;
    }
    session->stats.connections++;
    *ret_connection = link;
    return 0;
}

static void close_link(void *connection, bool abrupt, void *arg)
{
    struct coir__http_link *link = connection;
    (void)arg;
    if (abrupt)
        coir_stream_abort(link->stream);
    else
        coir_stream_close(link->stream);
    coir_buffer_close(&link->out);
    coir_free(link);
}

/* Nothing may come on a connection that waits for a request; its end reads as something, too. */
static bool is_quiet(void *connection, coir_time unused, void *arg)
{
    struct coir__http_link *link = connection;
    struct pollfd look = {.events = POLLIN | POLLRDHUP};
    size_t unread = 0;
    (void)unused;
    (void)arg;
    bool shown = coir_stream_query(link->stream, COIR_QUERY_DESCRIPTOR, &look.fd) == 0;
    if (coir_stream_query(link->stream, COIR_QUERY_HELD, &unread) < 0 || unread > 0)
        return false;
    if (shown)
        return poll(&look, 1, 0) == 0;
    return coir_stream_query(link->stream, COIR_QUERY_UNREAD, &unread) == 0 && unread == 0;
}

/* ---- rates ---- */

struct coir__http_pace {
    struct coir__http_pace *next;
    coir_limiter limiter;
    unsigned users; /* tasks that are in it */
    char host[];
};

/* Drops those that are full again: one that is made anew is the same. */
static void sweep_paces(coir_http_session *session)
{
    for (struct coir__http_pace **at = &session->paces; *at != NULL;) {
        struct coir__http_pace *pace = *at;
        struct coir_limiter_stats stats;
        coir_limiter_stats(&pace->limiter, &stats);
        if (pace->users > 0 || stats.available < OR(pace->limiter.burst, 1u)) {
            at = &pace->next;
            continue;
        }
        *at = pace->next;
        coir_free(pace);
    }
}

static struct coir__http_pace *find_pace(coir_http_session *session, const char *host)
{
    const coir_limiter *like = session->opts.limiter_per_host;
    for (struct coir__http_pace *pace = session->paces; pace != NULL; pace = pace->next)
        if (strcmp(pace->host, host) == 0)
            return pace;
    sweep_paces(session);
    size_t length = strlen(host);
    struct coir__http_pace *pace = coir_calloc(1, sizeof *pace + length + 1);
    if (pace == NULL)
        return NULL;
    memcpy(pace->host, host, length);
    pace->limiter = (coir_limiter){.rate = like->rate, .per = like->per, .burst = like->burst};
    pace->next = session->paces;
    session->paces = pace;
    return pace;
}

int coir__http_pace(coir_http_session *session, const char *host)
{
    if (session->opts.limiter_per_host == NULL)
        return 0;
    struct coir__http_pace *pace = find_pace(session, host);
    if (pace == NULL)
        return -ENOMEM;
    pace->users++;
    int r = coir_limiter_take(&pace->limiter, 1);
    pace->users--;
    return r;
}

/* ---- opening ---- */

/* Copies the texts of the options, and the list of headers, into one block. */
static int copy_texts(coir_http_session *session)
{
    coir_http_session_opts *opts = &session->opts;
    size_t count = 0;
    size_t size = coir__http_text_size(opts->user) + coir__http_text_size(opts->password) +
                  coir__http_text_size(opts->bearer);
    for (; opts->headers != NULL && opts->headers[count].name != NULL; count++)
        size += coir__http_text_size(opts->headers[count].name) +
                coir__http_text_size(opts->headers[count].value);
    coir_http_header *headers = coir_calloc(1, (count + 1) * sizeof *headers + size);
    if (headers == NULL)
        return -ENOMEM;
    char *to = (char *)(headers + count + 1);
    for (size_t i = 0; i < count; i++) {
        headers[i].name = coir__http_keep(&to, opts->headers[i].name);
        headers[i].value = coir__http_keep(&to, opts->headers[i].value);
    }
    opts->headers = headers;
    opts->user = coir__http_keep(&to, opts->user);
    opts->password = coir__http_keep(&to, opts->password);
    opts->bearer = coir__http_keep(&to, opts->bearer);
    session->texts = (char *)headers;
    return 0;
}

static int prepare(coir_http_session *session)
{
    coir_http_session_opts *opts = &session->opts;
    COIR_TRY(copy_texts(session));
    if (opts->base != NULL)
        COIR_TRY(coir_url_parse(opts->base, &session->base));
    opts->base = NULL;
    opts->connect_limit = OR(opts->connect_limit, COIR_SEC(30));
    opts->read_limit = OR(opts->read_limit, COIR_SEC(60));
    opts->redirects = OR(opts->redirects, 10u);
    opts->body_limit = OR(opts->body_limit, (size_t)64 << 20);
    const coir_pool_opts pool = {.open = open_link,
                                 .close = close_link,
                                 .usable = is_quiet,
                                 .arg = session,
                                 .max = opts->limit,
                                 .max_per_key = opts->limit_per_host,
                                 .idle = opts->idle,
                                 .uses = opts->no_keep_alive};
    return coir_pool_open(&pool, &session->pool);
}

int coir_http_session_open(const coir_http_session_opts *opts, coir_http_session **ret_session)
{
    if (ret_session == NULL)
        return -EINVAL;
    if (opts != NULL && (opts->idle < 0 || opts->connect_limit < 0 || opts->read_limit < 0))
        return coir_fail(-EINVAL, "options of a session: a time is negative");
    coir_http_session *session = coir_calloc(1, sizeof *session);
    if (session == NULL)
        return -ENOMEM;
    if (opts != NULL)
        session->opts = *opts;
    int r = prepare(session);
    if (r < 0) {
        coir_http_session_close(session);
        return r;
    }
    *ret_session = session;
    return 0;
}

/* ---- closing ---- */

/* A call under way is told, and gives its connection back by itself. */
static void leave_responses(coir_http_session *session)
{
    for (coir_http_response *response = session->responses, *next; response != NULL;
         response = next) {
        next = response->next;
        if (response->call != NULL) {
            coir_scope_cancel(response->call, "the session is closed");
            continue;
        }
        coir_report_make(COIR_REPORT_LEFT,
                         "the response of %s was not closed before its session; asked for at %s:%d",
                         coir_buffer_text(&response->url), response->site->file,
                         response->site->line);
        coir__http_response_detach(response);
    }
}

static void free_session(coir_http_session *session)
{
    coir_tls_context_close(session->tls);
    for (struct coir__http_pace *pace = session->paces, *next; pace != NULL; pace = next) {
        next = pace->next;
        coir_free(pace);
    }
    for (struct coir__http_layer *layer = session->layers, *next; layer != NULL; layer = next) {
        next = layer->next;
        coir_free(layer);
    }
    coir__http_response_free(session->spare);
    coir_buffer_close(&session->scratch);
    coir__cookies_free(&session->cookies);
    coir_url_close(&session->base);
    coir_free(session->texts);
    coir_free(session);
}

void coir__http_session_leave(coir_http_session *session)
{
    if (--session->users == 0 && session->closed)
        free_session(session);
}

void coir_http_session_close(coir_http_session *session)
{
    if (session == NULL)
        return;
    session->users++; /* calls end while the pool closes */
    session->closed = true;
    session->opts.trace = NULL;
    leave_responses(session);
    coir_pool_close(COIR_TAKE(session->pool));
    coir__http_session_leave(session);
}

void coir_http_session_stats_get(const coir_http_session *session,
                                 coir_http_session_stats *ret_stats)
{
    coir_pool_stats pool;
    coir_pool_stats_get(session->pool, &pool);
    *ret_stats = session->stats;
    ret_stats->open = pool.open;
    ret_stats->idle = pool.idle;
    ret_stats->waiting = pool.waiting;
}

/* ---- cookies ---- */

int coir_http_session_save_cookies(const coir_http_session *session, coir_buffer *buffer)
{
    if (session == NULL || buffer == NULL)
        return -EINVAL;
    return coir__cookies_save(&session->cookies, time(NULL), buffer);
}

int coir_http_session_load_cookies(coir_http_session *session, coir_bytes text)
{
    if (session == NULL || (text.data == NULL && text.length > 0))
        return -EINVAL;
    return coir__cookies_load(&session->cookies, text, time(NULL));
}
