/* http_events.c: server-sent events: a page that hears of news as long as it listens.
 *
 * A handler may wait as long as it likes, since each connection has a task of its own. With
 * cancel_on_end it ends when its client leaves.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <stdio.h>
#include <string.h>

static int ticks(coir_http_request *request)
{
    for (int i = 1; i <= 3; i++) {
        char id[16], text[64];
        (void)snprintf(id, sizeof id, "%d", i);
        (void)snprintf(text, sizeof text, "tick %d\nof 3", i);
        COIR_TRY(coir_http_reply_event(request, "tick", id, text));
        COIR_TRY(coir_sleep(COIR_SEC(1)));
    }
    return 0; /* that ends the reply */
}

static int serve(void *arg)
{
    coir_stream *stream = arg;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(
        coir_http_app_open(&(coir_http_app_opts){.cancel_on_end = true, .no_date = true}, &app));
    coir_http_app_get(app, "/ticks", ticks);
    return coir_http_app_serve_stream(app, stream);
}

static int listen_to(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_stream) *client = NULL;
    coir_stream *server;
    COIR_TRY(coir_stream_pair(0, &client, &server));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, server, NULL));
    COIR_TRY(coir_stream_write(client, "GET /ticks HTTP/1.0\r\n\r\n", 23));
    coir_time start = coir_now();
    coir_bytes line;
    while (COIR_TRY(coir_stream_read_line(client, 0, &line)) > 0)
        printf("%d s  %.*s\n", (int)((coir_now() - start) / COIR_SEC(1)), (int)line.length,
               (const char *)line.data);
    return coir_group_wait(&group);
}

int main(void)
{
    return coir_main(listen_to, NULL);
}
