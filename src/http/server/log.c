/* log.c: the access log: one line for each request, in the Common Log Format or as JSON.
 *
 * What a client has sent is escaped: no line of it can look like another one. Called by
 * connection.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "app.h"

/* Bytes that could end a line or a quoted text are written as \xNN. */
static int put_escaped(coir_buffer *line, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char escaped[5];
        bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
        if (!plain)
            (void)snprintf(escaped, sizeof escaped, "\\x%02x", c);
        COIR_TRY(plain ? coir_buffer_append(line, text, 1) : coir_buffer_append(line, escaped, 4));
    }
    return 0;
}

static int put_common(coir_buffer *line, coir_http_request *request, const char *when,
                      double seconds)
{
    char rest[80];
    const char *client = coir_http_request_client(request);
    COIR_TRY(coir__http_put(line, client[0] != '\0' ? client : "-"));
    COIR_TRY(coir__http_put(line, " - - ["));
    COIR_TRY(coir__http_put(line, when));
    COIR_TRY(coir__http_put(line, "] \""));
    COIR_TRY(put_escaped(line, request->head.method));
    COIR_TRY(coir__http_put(line, " "));
    COIR_TRY(put_escaped(line, request->head.target));
    (void)snprintf(rest, sizeof rest, " HTTP/1.%d\" %d %llu %.6f", request->head.minor,
                   request->status, (unsigned long long)request->sent, seconds);
    return coir__http_put(line, rest);
}

static void log_common(coir_http_request *request, double seconds)
{
    COIR_AUTO(coir_buffer) line = {0};
    char when[40];
    struct tm tm;
    time_t now = time(NULL);
    (void)strftime(when, sizeof when, "%d/%b/%Y:%H:%M:%S +0000", gmtime_r(&now, &tm));
    const coir_http_app_opts *opts = &request->connection->serving->app->opts;
    if (put_common(&line, request, when, seconds) == 0)
        opts->log(coir_buffer_text(&line), opts->log_arg);
}

static void log_json(coir_http_request *request, double seconds)
{
    const coir_http_app_opts *opts = &request->connection->serving->app->opts;
    json_t *json =
        json_pack("{s:I, s:s, s:s, s:s%, s:i, s:I, s:f}", "time", (json_int_t)time(NULL), "client",
                  coir_http_request_client(request), "method", request->head.method, "target",
                  request->head.target, strlen(request->head.target), "status", request->status,
                  "bytes", (json_int_t)request->sent, "seconds", seconds);
    char *line = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    if (line != NULL)
        opts->log(line, opts->log_arg);
    free(line);
    json_decref(json);
}

void coir__http_log(coir_http_request *request)
{
    if (request->connection->stream == NULL)
        return;
    double seconds = (double)(coir_now() - request->began) / 1e9;
    if (request->connection->serving->app->opts.log_format == COIR_HTTP_LOG_JSON)
        log_json(request, seconds);
    else
        log_common(request, seconds);
}
