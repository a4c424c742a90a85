/* idle_connections.c: a server whose idle connections hold no task and no buffer: a task starts
 * when a connection has something to read, answers it, and leaves. */
#include <coir/coir.h>
#include <stdio.h>

enum { CLIENTS = 3 };

struct connection {
    coir_group *group;
    coir_stream *stream;
};

static int answer(void *arg)
{
    struct connection *connection = arg;
    coir_bytes line;
    int r = 0;
    if (!coir_stream_was_idle(connection->stream))
        r = coir_stream_read_line(connection->stream, 80, &line);
    if (r > 0) {
        printf("asked: %.*s\n", (int)line.length, (const char *)line.data);
        COIR_TRY(coir_stream_write(connection->stream, "yes\n", 4));
        return coir_spawn_on_readable(connection->group, connection->stream, COIR_SEC(60), answer,
                                      connection);
    }
    coir_stream_close(COIR_TAKE(connection->stream)); /* its end, a cancellation, 60 s of nothing */
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));

    struct connection connections[CLIENTS];
    COIR_GROUP(group);
    for (int i = 0; i < CLIENTS; i++) {
        COIR_AUTO(coir_stream) *client = NULL;
        COIR_TRY(coir_tcp_connect(address, NULL, &client));
        connections[i] = (struct connection){.group = &group};
        COIR_TRY(coir_listener_accept(listener, &connections[i].stream));
        COIR_TRY(coir_spawn_on_readable(&group, connections[i].stream, COIR_SEC(60), answer,
                                        &connections[i]));
        COIR_TRY(coir_stream_write(client, "anybody there?\n", 15));
        COIR_TRY(coir_stream_read_exactly(client, &(char[4]){0}, 4));
        struct coir_loop_stats stats;
        coir_loop_stats(NULL, &stats);
        printf("connections: %d, tasks: %llu\n", i + 1, (unsigned long long)stats.tasks);
    }
    return coir_group_wait(&group);
}

int main(void)
{
    return coir_main(app, NULL);
}
