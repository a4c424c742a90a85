/* fetch.c: a client of HTTP for tests/shell/http_node.sh to try with servers of others.
 *
 *     fetch URL {METHOD PATH}...     asks for each in one session, one after the other
 *
 * A POST has a body of 100,000 bytes, a PUT the same in chunks of a stream. For each it prints the
 * status, how long the body is and how it begins; at the end how many connections there were.
 */
#include <stdio.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/http_session.h>
#include <coir/stream_pair.h>

enum { SIZE = 100000, PIECE = 3000 };

static char **arguments;
static char text[SIZE];

static int pour(void *arg)
{
    COIR_AUTO(coir_stream) *stream = arg;
    for (size_t at = 0; at < SIZE; at += PIECE)
        COIR_TRY(coir_stream_write(stream, text + at, SIZE - at < PIECE ? SIZE - at : PIECE));
    return 0;
}

/* Sends a body that comes from a stream. */
static int put(coir_http_session *http, const char *path, coir_http_response **ret_response)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    coir_stream *source = NULL;
    COIR_GROUP(group);
    COIR_TRY(coir_stream_pair(0, &stream, &source));
    int r = coir_spawn(&group, pour, source, NULL);
    if (r < 0) {
        coir_stream_abort(source);
        return r;
    }
    return coir_http_put(http, path, &(coir_http_request_opts){.stream = stream}, ret_response);
}

static int ask(coir_http_session *http, const char *method, const char *path)
{
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body;
    coir_http_request_opts opts = {0};
    if (strcmp(method, "POST") == 0)
        opts.body = (coir_bytes){text, sizeof text};
    if (strcmp(method, "PUT") == 0)
        COIR_TRY(put(http, path, &response));
    else
        COIR_TRY(coir_http_send(http, method, path, &opts, &response));
    COIR_TRY(coir_http_response_read(response, &body));
    printf("%s %s: %d, %zu '%.30s'\n", method, path, coir_http_response_status(response),
           body.length, body.length > 0 ? (const char *)body.data : "");
    return 0;
}

static int run(void *arg)
{
    (void)arg;
    COIR_DEADLINE(COIR_SEC(60));
    COIR_AUTO(coir_http_session) *http = NULL;
    coir_http_session_stats stats;
    memset(text, 'x', sizeof text);
    COIR_TRY(coir_http_session_open(&(coir_http_session_opts){.base = arguments[1]}, &http));
    for (char **at = arguments + 2; at[0] != NULL && at[1] != NULL; at += 2) {
        int r = ask(http, at[0], at[1]);
        if (r < 0)
            printf("%s %s: %s\n", at[0], at[1], coir_error_name(r));
        coir_clear_error();
    }
    coir_http_session_stats_get(http, &stats);
    printf("%llu connections\n", (unsigned long long)stats.connections);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    arguments = argv;
    return coir_main(run, NULL);
}
