/* line_protocol.c: a server that is spoken to in lines, with a limit and a deadline for each.
 *
 * A line is borrowed: it lies in the stream's buffer until the next call that reads. What a client
 * sends ahead waits there too, so many requests may come in one packet, and one in many.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int next_line(coir_stream *stream, coir_bytes *ret_line)
{
    COIR_SCOPE(limit, COIR_SEC(30));
    int r = coir_stream_read_line(stream, 128, ret_line); /* longer ones: -COIR_ETOOLONG */
    return r == -ETIME && coir_scope_expired(&limit) ? -ETIMEDOUT : r;
}

static int serve(void *arg)
{
    COIR_AUTO(coir_stream) *stream = arg;
    coir_bytes line;
    int r;
    while ((r = next_line(stream, &line)) > 0) {
        char reply[256];
        int n = snprintf(reply, sizeof reply, "'%.*s' has %zu bytes\n", (int)line.length,
                         (const char *)line.data, line.length);
        COIR_TRY(coir_stream_write(stream, reply, (size_t)n));
    }
    if (r == -COIR_ETOOLONG)
        return coir_stream_write(stream, "too long\n", 9);
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_stream) *server = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_TRY(coir_stream_pair(0, &client, &server)); /* a connection without a network */
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, server, NULL));
    (void)COIR_TAKE(server);                              /* the task closes it */
    COIR_TRY(coir_stream_write(client, "hello\nwor", 9)); /* one request and a half */
    COIR_TRY(coir_sleep(COIR_MS(1)));
    COIR_TRY(coir_stream_write(client, "ld\r\n\n", 5));
    char flood[200];
    memset(flood, 'x', sizeof flood);
    COIR_TRY(coir_stream_write(client, flood, sizeof flood));
    coir_bytes line;
    int r;
    while ((r = coir_stream_read_line(client, 0, &line)) > 0)
        printf("%.*s\n", (int)line.length, (const char *)line.data);
    return coir_group_finish(&group, r);
}

int main(void)
{
    return coir_main(app, NULL);
}
