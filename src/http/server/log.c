/* log.c: the access log: one line for each request, in the Common Log Format or as JSON.
 *
 * What a client has sent is escaped: no line of it can look like another one. What was no request
 * has a line too, which shows what it began with. A request that has
 * become a WebSocket has its line when the socket ends; what the line says of the request is kept
 * until then. Called by connection.c and ws/server.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include <coir/memory.h>

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

static int put_request(coir_buffer *line, const struct coir__http_entry *entry)
{
    char version[16];
    if (entry->method == NULL)
        return put_escaped(line, entry->target);
    COIR_TRY(put_escaped(line, entry->method));
    COIR_TRY(coir__http_put(line, " "));
    COIR_TRY(put_escaped(line, entry->target));
    (void)snprintf(version, sizeof version, " HTTP/1.%d", entry->minor);
    return coir__http_put(line, version);
}

static int put_common(coir_buffer *line, const struct coir__http_entry *entry, const char *when,
                      coir_time took)
{
    char rest[120];
    COIR_TRY(coir__http_put(line, entry->client[0] != '\0' ? entry->client : "-"));
    COIR_TRY(coir__http_put(line, " - - ["));
    COIR_TRY(coir__http_put(line, when));
    COIR_TRY(coir__http_put(line, "] \""));
    COIR_TRY(put_request(line, entry));
    (void)snprintf(rest, sizeof rest, "\" %d %llu %lld.%06lld", entry->status,
                   (unsigned long long)entry->sent, (long long)(took / COIR_SEC(1)),
                   (long long)(took % COIR_SEC(1) / 1000));
    COIR_TRY(coir__http_put(line, rest));
    if (entry->code == 0)
        return 0;
    (void)snprintf(rest, sizeof rest, " %llu %d", (unsigned long long)entry->received, entry->code);
    return coir__http_put(line, rest);
}

static void log_common(const struct coir__http_entry *entry, coir_time took)
{
    COIR_AUTO(coir_buffer) line = {0};
    char when[40], date[COIR_HTTP_DATE_TEXT]; /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    coir_http_date_format(time(NULL), date);
    (void)snprintf(when, sizeof when, "%.2s/%.3s/%.4s:%.8s +0000", date + 5, date + 8, date + 12,
                   date + 17);
    if (put_common(&line, entry, when, took) == 0)
        entry->opts->log(coir_buffer_text(&line), entry->opts->log_arg);
}

static void log_json(const struct coir__http_entry *entry, coir_time took)
{
    json_t *json =
        json_pack("{s:I, s:s, s:s, s:s, s:i, s:I, s:f}", "time", (json_int_t)time(NULL), "client",
                  entry->client, "method", entry->method != NULL ? entry->method : "-", "target",
                  entry->target, "status", entry->status, "bytes", (json_int_t)entry->sent,
                  "seconds", (double)took / 1e9);
    if (entry->code != 0 && json != NULL &&
        (json_object_set_new(json, "received", json_integer((json_int_t)entry->received)) < 0 ||
         json_object_set_new(json, "code", json_integer(entry->code)) < 0))
        json_decref(COIR_TAKE(json));
    char *line = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    if (line != NULL)
        entry->opts->log(line, entry->opts->log_arg);
    free(line);
    json_decref(json);
}

static void log_entry(const struct coir__http_entry *entry)
{
    coir_time took = coir_now() - entry->began;
    if (entry->opts->log_format == COIR_HTTP_LOG_JSON)
        log_json(entry, took);
    else
        log_common(entry, took);
}

static struct coir__http_entry entry_of(coir_http_request *request)
{
    return (struct coir__http_entry){.opts = &request->connection->serving->app->opts,
                                     .client = coir_http_request_client(request),
                                     .method = request->head.method,
                                     .target = request->head.target,
                                     .began = request->began,
                                     .sent = request->sent,
                                     .minor = request->head.minor,
                                     .status = request->status};
}

void coir__http_log(coir_http_request *request)
{
    if (request->connection->stream == NULL)
        return;
    const struct coir__http_entry entry = entry_of(request);
    log_entry(&entry);
}

/* As far as it is printable ASCII: what speaks another protocol has nothing that could be read. */
void coir__http_first_line(coir_http_request *request, char text[COIR__HTTP_LINE_SHOWN])
{
    coir_bytes bytes;
    size_t n = 0;
    if (coir_stream_peek(request->connection->stream, 1, &bytes) <= 0)
        bytes = (coir_bytes){"", 0};
    const char *from = bytes.data, *end = from + bytes.length;
    while (from < end && (*from == '\r' || *from == '\n')) /* what may be behind the last body */
        from++;
    while (from < end && n < COIR__HTTP_LINE_SHOWN - 1 && *from >= ' ' && *from < 0x7f)
        text[n++] = *from++;
    if (n == 0)
        text[n++] = '-';
    text[n] = '\0';
}

void coir__http_log_refused(coir_http_request *request, int status, const char *line,
                            coir_time began)
{
    struct coir__http_entry entry = entry_of(request);
    entry.method = NULL;
    entry.target = line;
    entry.status = status;
    entry.began = began;
    log_entry(&entry);
}

int coir__http_log_keep(coir_http_request *request, struct coir__http_entry **ret_entry)
{
    if (request->connection->serving->app->opts.log == NULL)
        return 0;
    struct coir__http_entry entry = entry_of(request);
    struct coir__http_entry *kept =
        coir_alloc(sizeof *kept + coir__http_text_size(entry.client) +
                   coir__http_text_size(entry.method) + coir__http_text_size(entry.target));
    if (kept == NULL)
        return -ENOMEM;
    char *to = (char *)(kept + 1);
    entry.client = coir__http_keep(&to, entry.client);
    entry.method = coir__http_keep(&to, entry.method);
    entry.target = coir__http_keep(&to, entry.target);
    *kept = entry;
    *ret_entry = kept;
    return 0;
}

void coir__http_log_socket(struct coir__http_entry *entry, uint64_t sent, uint64_t received,
                           int code)
{
    entry->status = 101;
    entry->sent = sent;
    entry->received = received;
    entry->code = code;
    log_entry(entry);
}
