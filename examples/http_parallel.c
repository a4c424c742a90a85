/* http_parallel.c: five pages at once, each of which takes a second; how long all of them take. */
#include <coir/coir.h>
#include <coir/http_session.h>
#include <stdio.h>

static int page(coir_stream *stream, void *arg)
{
    (void)arg;
    coir_bytes head;
    COIR_TRY(coir_stream_read_until(stream, "\r\n\r\n", 4, 0, &head));
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    return coir_stream_write(stream, "HTTP/1.0 200 OK\r\n\r\nhello\n", 25);
}

static int serve(void *listener)
{
    return coir_listener_serve(listener, page, NULL);
}

struct fetch {
    coir_http_session *http; /* one for all: it keeps connections */
    char path[4];
    int status, length;
};

static int fetch(void *arg)
{
    struct fetch *fetch = arg;
    COIR_AUTO(coir_http_response) *response = NULL;
    coir_bytes body;
    COIR_TRY(coir_http_get(fetch->http, fetch->path, NULL, &response));
    COIR_TRY(coir_http_response_read(response, &body));
    fetch->length = (int)body.length;
    return fetch->status = coir_http_response_status(response);
}

static int app(void *arg)
{
    char base[COIR_ADDRESS_TEXT + 8] = "http://";
    COIR_AUTO(coir_listener) *listener = arg;
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, base + 7, sizeof base - 7));
    COIR_TRY(coir_http_session_open(&(coir_http_session_opts){.base = base}, &http));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));
    struct fetch pages[5] = {0};
    for (size_t i = 0; i < COIR_COUNT(pages); i++)
        pages[i] = (struct fetch){http, {'/', (char)('1' + i)}, 0, 0};
    coir_time start = coir_now();
    COIR_TRY(coir_map(fetch, pages, COIR_COUNT(pages), sizeof pages[0], NULL));
    for (size_t i = 0; i < COIR_COUNT(pages); i++)
        printf("%s: %d, %d bytes\n", pages[i].path, pages[i].status, pages[i].length);
    return printf("all of it: %d s\n", (int)((coir_now() - start) / COIR_SEC(1))) < 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
