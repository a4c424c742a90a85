/* http_workers.c: one loop for each processor, each with an application of its own, and all at one
 * address: the kernel hands each connection to one of them. */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/http_session.h>
#include <stdio.h>

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello\n");
}

static int serve(unsigned index, void *address)
{
    (void)index;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.reuse_port = true}, &app));
    coir_http_app_get(app, "/", hello);
    return coir_http_app_serve(app, address);
}

static int serve_all(void *address)
{
    return coir_workers(2, serve, address); /* 0: as many as there are */
}

static int visit(const char *url)
{
    COIR_AUTO(coir_http_session) *session = NULL;
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_TRY(coir_http_session_open(NULL, &session));
    COIR_TRY(coir_http_get(session, url, NULL, &response));
    return coir_http_response_status(response);
}

static int app(void *arg)
{
    (void)arg;
    char address[COIR_ADDRESS_TEXT], url[COIR_ADDRESS_TEXT + 20];
    COIR_AUTO(coir_listener) *free_port = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", &(coir_listen_opts){.reuse_port = true}, &free_port));
    COIR_TRY(coir_listener_address(free_port, address, sizeof address));
    coir_listener_close(COIR_TAKE(free_port));
    (void)snprintf(url, sizeof url, "http://%s/", address);
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve_all, address, NULL));
    int visits = 0;
    while (visits < 20)
        if (visit(url) == 200)
            visits++;
        else
            COIR_TRY(coir_sleep(COIR_MS(10))); /* until they listen */
    printf("%d visits\n", visits);
    return 0; /* and the workers are cancelled, and joined */
}

int main(void)
{
    return coir_main(app, NULL);
}
