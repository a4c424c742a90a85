/* http_client.c: a client for tests/shell/http_client.sh to try with servers of others.
 *
 *     http_client TIMES ROOT METHOD URL [NAME=VALUE | @FILE | @@FILE]...
 *
 * asks TIMES times, trusting the certificates in ROOT ("-": the system's), with headers, and with a
 * file as the body, as a whole or streamed in chunks. The last body goes to standard output, its
 * status and what it took to standard error.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/file.h>
#include <coir/http_session.h>
#include <coir/tls.h>

enum { MOST = 8 };

static char **arguments;

static int open_stream(const char *path, coir_stream **ret_stream)
{
    COIR_AUTO(coir_file) *file = NULL; /* the stream goes on without */
    COIR_TRY(coir_file_open(path, O_RDONLY, NULL, &file));
    return coir_file_stream(file, 0, ret_stream);
}

/* The options that the arguments from the fifth on say; what they hold is in headers and body. */
static int read_arguments(coir_http_request_opts *opts, coir_http_header headers[MOST],
                          coir_buffer *body)
{
    size_t count = 0;
    for (char **at = arguments + 5; *at != NULL; at++) {
        char *equals = strchr(*at, '=');
        if (strncmp(*at, "@@", 2) == 0) {
            COIR_TRY(open_stream(*at + 2, &opts->stream));
        } else if (**at == '@') {
            COIR_TRY(coir_file_read_all(*at + 1, body));
            opts->body = (coir_bytes){body->data, body->length};
        } else if (equals != NULL && count + 1 < MOST) {
            *equals = '\0';
            headers[count++] = (coir_http_header){*at, equals + 1};
        } else {
            return coir_fail(-EINVAL, "'%s' is no argument", *at);
        }
    }
    opts->headers = headers;
    return 0;
}

/* The body is read bit by bit when it is to be shown. */
static int ask(coir_http_session *http, const coir_http_request_opts *opts, bool show)
{
    char bytes[10000];
    size_t n, hops;
    int r;
    coir_bytes whole;
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_TRY(coir_http_send(http, arguments[3], arguments[4], opts, &response));
    if (!show)
        return coir_http_response_read(response, &whole);
    while ((r = coir_http_response_read_some(response, bytes, sizeof bytes, &n)) > 0)
        if (fwrite(bytes, 1, n, stdout) != n)
            return -EIO;
    (void)coir_http_response_history(response, &hops);
    fprintf(stderr, "%d %s, %zu redirects", coir_http_response_status(response),
            coir_http_response_reason(response), hops);
    return r;
}

static int run(void *arg)
{
    (void)arg;
    coir_http_header headers[MOST] = {{0}};
    coir_http_request_opts opts = {0};
    coir_http_session_stats stats;
    COIR_AUTO(coir_buffer) body = {0};
    COIR_AUTO(coir_tls_context) *tls = NULL;
    COIR_AUTO(coir_http_session) *http = NULL;
    int r = 0;
    long times = strtol(arguments[1], NULL, 10);
    if (strcmp(arguments[2], "-") != 0) {
        const coir_tls_opts trust = {.trust_file = arguments[2], .alpn = "http/1.1"};
        COIR_TRY(coir_tls_context_open(COIR_TLS_CLIENT, &trust, &tls));
    }
    COIR_TRY(coir_http_session_open(&(coir_http_session_opts){.tls = tls}, &http));
    COIR_TRY(read_arguments(&opts, headers, &body));
    for (long i = 1; i <= times && r == 0; i++)
        r = ask(http, &opts, i == times);
    coir_stream_close(opts.stream);
    coir_http_session_stats_get(http, &stats);
    fprintf(stderr, ", %d connections\n", (int)stats.connections);
    return r;
}

int main(int argc, char **argv)
{
    arguments = argv;
    return argc >= 5 ? coir_main(run, NULL) : 2;
}
