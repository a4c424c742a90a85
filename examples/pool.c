/* pool.c: seven questions over three connections, which are kept for the next one. A question that
 * ends early discards its connection, by COIR_AUTO: nobody reads somebody else's answer. */
#include <coir/coir.h>
#include <coir/pool.h>
#include <stdio.h>

static int serve(void *arg)
{
    COIR_AUTO(coir_stream) *stream = arg;
    for (char text; coir_stream_read_exactly(stream, &text, 1) == 0;)
        COIR_TRY(coir_stream_write(stream, &text, 1));
    return 0;
}

static int dial(const char *key, void *arg, void **ret_connection)
{
    (void)key;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_stream) *server = NULL;
    COIR_TRY(coir_stream_pair(0, &client, &server));
    COIR_TRY(coir_spawn(arg, serve, server, NULL));
    *ret_connection = COIR_TAKE(client);
    (void)COIR_TAKE(server); /* the task closes it */
    return 0;
}

static void hang_up(void *connection, bool abrupt, void *arg)
{
    (void)arg;
    (abrupt ? coir_stream_abort : coir_stream_close)(connection);
}

static int ask(void *arg)
{
    COIR_AUTO(coir_pooled) *line = NULL;
    char text;
    COIR_TRY(coir_pool_acquire(arg, "server", &line));
    COIR_TRY(coir_stream_write(line->connection, "?", 1));
    COIR_TRY(coir_stream_read_exactly(line->connection, &text, 1));
    printf("answered, at the connection's use %d\n", (int)line->uses);
    coir_pool_release(COIR_TAKE(line));
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(servers);
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_TRY(coir_pool_open(&(coir_pool_opts){dial, hang_up, .arg = &servers, .max = 3}, &pool));
    COIR_GROUP(questions);
    for (int i = 0; i < 7; i++)
        COIR_TRY(coir_spawn(&questions, ask, pool, NULL));
    return coir_group_wait(&questions);
}

int main(void)
{
    return coir_main(app, NULL);
}
