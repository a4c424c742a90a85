/* proxy.c: a server behind a proxy learns who its clients are, by the PROXY protocol.
 *
 * Anybody could write such a header: so the listener belongs on an address that only the proxies
 * can reach, and every connection to it must have one.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int greet(coir_stream *stream, void *arg)
{
    (void)arg;
    coir_proxy from;
    char name[COIR_ADDRESS_TEXT] = "the proxy itself", text[COIR_ADDRESS_TEXT + 16];
    int r = coir_proxy_read(stream, NULL, &from);
    if (r < 0) {
        printf("refused: %s\n", coir_last_message(r));
        return 0;
    }
    if (from.source.length > 0)
        coir_address_format(&from.source, name, sizeof name);
    int length = snprintf(text, sizeof text, "hello, %s\n", name);
    return coir_stream_write(stream, text, (size_t)length);
}

static int serve(void *arg)
{
    return coir_listener_serve(arg, greet, NULL);
}

/* What a proxy does, and prints the answer. */
static int connect_as(const char *address, const char *header)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    coir_bytes line;
    COIR_TRY(coir_tcp_connect(address, NULL, &stream));
    COIR_TRY(coir_stream_write(stream, header, strlen(header)));
    int r = coir_stream_read_line(stream, 0, &line);
    if (r > 0)
        printf("%.*s\n", (int)line.length, (const char *)line.data);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));
    COIR_TRY(connect_as(address, "PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n"));
    return connect_as(address, "GET / HTTP/1.1\r\n");
}

int main(void)
{
    return coir_main(app, NULL);
}
