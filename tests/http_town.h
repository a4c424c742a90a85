/* http_town.h: for tests of servers that listen: an application that runs as a task, and clients
 * that are connected to it.
 */
#ifndef COIR_TESTS_HTTP_TOWN_H
#define COIR_TESTS_HTTP_TOWN_H

#include <coir/tcp.h>

#include "http_kit.h"

struct host {
    coir_http_app *app;
    coir_listener *listener;
    int result;
};

static inline int host_it(void *arg)
{
    struct host *host = arg;
    host->result = coir_http_app_serve_listener(host->app, host->listener);
    return 0;
}

/* A server that runs as a task, and clients that are connected to it. */
struct town {
    char address[COIR_ADDRESS_TEXT];
    struct host host;
    coir_task *task;
};

static inline int build(struct town *town, coir_http_app *app, coir_listener *listener,
                        coir_group *group)
{
    COIR_TRY(coir_listener_address(listener, town->address, sizeof town->address));
    town->host = (struct host){app, listener, 1};
    return coir_spawn(group, host_it, &town->host, &town->task);
}

static inline int ask(struct town *town, const char *text, coir_stream **ret_client)
{
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_TRY(coir_tcp_connect(town->address, NULL, &client));
    COIR_TRY(coir_stream_write(client, text, strlen(text)));
    *ret_client = COIR_TAKE(client);
    return 0;
}

/* Builds one at a free port of the loopback; the listener is the caller's to close. */
static inline int build_here(struct town *town, coir_http_app *app, coir_group *group,
                             coir_listener **ret_listener)
{
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(build(town, app, listener, group));
    *ret_listener = COIR_TAKE(listener);
    return 0;
}

/* Reads one reply that is known to be text. */
static inline int expect_text(coir_stream *client, const char *text)
{
    char data[512] = "";
    COIR_TRY(coir_stream_read_exactly(client, data, strlen(text)));
    COIR_EXPECT_STR(data, text);
    return 0;
}

#endif
