/* coir-bench-pack: what a packed reply costs a server: by each coding, for bodies of 1, 16 and 128
 * KiB, asked for one after the other in memory, the CPU time and the page faults per reply. There
 * is no floor, and nothing else to be chosen. Public headers only. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/stream_pair.h>

#include "measure.h"

enum { REPLIES = 500, WARM = 20, MOST = 128 << 10 };

static char text[MOST];
static size_t size;

static int page(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/html", text, size);
}

static int serve(void *arg)
{
    const coir_http_app_opts opts = {.compress = true, .requests = 2 * REPLIES};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&opts, &app));
    coir_http_app_get(app, "/", page);
    return coir_http_app_serve_stream(app, arg);
}

static int ask(coir_stream *client, const char *coding, int count)
{
    char request[128];
    coir_bytes bytes;
    int length = snprintf(request, sizeof request,
                          "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %s\r\n\r\n", coding);
    for (int i = 0; i < count; i++) {
        COIR_TRY(coir_stream_write(client, request, (size_t)length));
        size_t left = 0;
        do {
            COIR_TRY(coir_stream_read_line(client, 0, &bytes));
            if (bytes.length > 16 && memcmp(bytes.data, "Content-Length: ", 16) == 0)
                left = strtoul((const char *)bytes.data + 16, NULL, 10);
        } while (bytes.length > 0);
        for (size_t n; left > 0; left -= n) {
            COIR_TRY(coir_stream_peek(client, 1, &bytes));
            n = bytes.length < left ? bytes.length : left;
            coir_stream_consume(client, n);
        }
    }
    return 0;
}

static long faults(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_minflt : -1;
}

static int measure(const char *coding)
{
    char name[64];
    COIR_AUTO(coir_stream) *client = NULL;
    coir_stream *server;
    COIR_TRY(coir_stream_pair(0, &client, &server));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, server, NULL));
    COIR_TRY(ask(client, coding, WARM));
    long before = faults();
    double cpu = measure_cpu_s();
    COIR_TRY(ask(client, coding, REPLIES));
    (void)snprintf(name, sizeof name, "pack/%s/%zuk/cpu_us", coding, size >> 10);
    measure_result(name, (measure_cpu_s() - cpu) * 1e6 / REPLIES, "us");
    (void)snprintf(name, sizeof name, "pack/%s/%zuk/faults", coding, size >> 10);
    measure_result(name, (double)(faults() - before) / REPLIES, "");
    coir_stream_close(COIR_TAKE(client));
    return coir_group_wait(&group);
}

static int run(void *arg)
{
    static const char *const codings[] = {"br", "zstd", "gzip"};
    static const size_t sizes[] = {1 << 10, 16 << 10, MOST};
    (void)arg;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "<p class=\"a\">some words of a page\n"[(i + i * i / 1009) % 34];
    for (size_t i = 0; i < COIR_COUNT(sizes) * COIR_COUNT(codings); i++) {
        size = sizes[i % COIR_COUNT(sizes)];
        COIR_TRY(measure(codings[i / COIR_COUNT(sizes)]));
    }
    return 0;
}

int main(void)
{
    return coir_run(run, NULL, NULL, NULL) < 0;
}
