/* ws_kit.h: for tests of WebSocket: frames made by hand, and servers that are sent them on a stream
 * in memory.
 */
#ifndef COIR_TESTS_WS_KIT_H
#define COIR_TESTS_WS_KIT_H

#include <coir/ws.h>

#include "http_kit.h"

#define WS_REQUEST(path, more)                                                                     \
    "GET " path " HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"               \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"
#define WS_ANSWER                                                                                  \
    "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: "                                   \
    "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

/* A frame: its first byte, and what it carries. The first bytes of most of them. */
struct frame {
    unsigned first;
    const char *data;
    size_t length;
};
#define F(first, data)                                                                             \
    {                                                                                              \
        (first), (data), sizeof(data) - 1                                                          \
    }
#define TEXT 0x81u
#define BINARY 0x82u
#define CLOSE 0x88u
#define PING 0x89u
#define PONG 0x8au
#define BEGIN_TEXT 0x01u
#define BEGIN_BINARY 0x02u
#define MORE 0x00u
#define FINAL 0x80u
#define PACKED 0x40u
#define NORMAL F(CLOSE, "\x03\xe8")

/* Adds a frame to out, masked if there is a mask. */
static inline int put_frame(coir_buffer *out, struct frame frame, const char *mask)
{
    size_t n = 2, length = frame.length, bytes = length < 126 ? 0 : length < 65536 ? 2 : 8;
    unsigned char head[14] = {(unsigned char)frame.first};
    head[1] = (unsigned char)((bytes == 0   ? length
                               : bytes == 2 ? 126
                                            : 127) |
                              (mask != NULL ? 0x80 : 0));
    for (size_t i = bytes; i > 0; i--)
        head[n++] = (unsigned char)(length >> 8 * (i - 1));
    if (mask != NULL) {
        memcpy(head + n, mask, 4);
        n += 4;
    }
    COIR_TRY(coir_buffer_append(out, head, n));
    COIR_TRY(coir_buffer_append(out, frame.data, length));
    for (size_t i = 0; mask != NULL && i < length; i++)
        out->data[out->length - length + i] ^= mask[i & 3];
    return 0;
}

/* Sends what is at data in two parts, or with cut 0 byte by byte, so that each is met by itself. */
static inline int send_cut(coir_stream *stream, const char *data, size_t length, size_t cut)
{
    size_t piece = cut == 0 ? 1 : cut;
    for (size_t at = 0; at < length; at += piece, piece = cut == 0 ? 1 : length) {
        if (piece > length - at)
            piece = length - at;
        int r = coir_stream_write(stream, data + at, piece);
        if (r < 0)
            return r == -EPIPE || r == -ECONNRESET ? 0 : r; /* it has seen enough */
        COIR_TRY(coir_sleep(COIR_MS(1)));
    }
    return 0;
}

/* Connects to path of app, and reads what it answers. */
static inline int shake_hands(coir_stream *client, const char *request, coir_buffer *ret_answer)
{
    coir_bytes head;
    COIR_TRY(coir_stream_write(client, request, strlen(request)));
    if (COIR_TRY(coir_stream_read_until(client, "\r\n\r\n", 4, 0, &head)) == 0)
        return -COIR_EEOF;
    return coir_buffer_append(ret_answer, head.data, head.length);
}

/* Sends app the request, then input, cut as send_cut does, and adds what comes back behind the
 * answer to output, up to the end. */
static inline int converse(coir_http_app *app, const char *request, coir_bytes input, size_t cut,
                           coir_buffer *output)
{
    struct serving serving = {.app = app};
    COIR_AUTO(coir_buffer) answer = {0};
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_GROUP(group);
    COIR_TRY(begin_serving(&group, &serving, &client));
    COIR_TRY(shake_hands(client, request, &answer));
    if (strncmp(coir_buffer_text(&answer), "HTTP/1.1 101 ", 13) != 0)
        return -EPROTO;
    COIR_TRY(send_cut(client, input.data, input.length, cut));
    COIR_TRY(read_rest(client, output));
    coir_stream_close(COIR_TAKE(client));
    return coir_group_wait(&group);
}

static inline int echo(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    int r;
    (void)request;
    while ((r = coir_ws_receive(ws, &message)) > 0)
        COIR_TRY(coir_ws_send(ws, message.kind, message.data));
    return r;
}

#endif
