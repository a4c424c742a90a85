/* coir/ws.h: WebSocket, both ends of a connection that stays open: RFC 6455, with compressed
 * messages (RFC 7692). In libcoir-http (`pkg-config --libs coir-http`).
 *
 *     static int echo(coir_http_request *request, coir_ws *ws)
 *     {
 *         coir_ws_message message;
 *         int r;
 *         while ((r = coir_ws_receive(ws, &message)) > 0)
 *             COIR_TRY(coir_ws_send(ws, message.kind, message.data));
 *         return r;
 *     }
 *
 *     coir_http_app_websocket(app, "/echo", echo);
 *
 * Messages are whole or come in pieces; texts are UTF-8, which is checked. Any task may send, and
 * messages never mix; one receives. Pings are answered, and a peer that has gone is noticed, while
 * a task receives. What a peer sends is bounded in size, packed and unpacked; one that takes
 * nothing is cut off. Limits of size and time hold by default.
 */
#ifndef COIR_WS_H
#define COIR_WS_H

#include <coir/http_app.h>
#include <coir/http_session.h>

COIR__BEGIN

/* One end of a WebSocket; opaque. */
typedef struct coir_ws coir_ws;

/* What a message is. */
typedef enum coir_ws_kind {
    COIR_TEXT = 1, /* UTF-8 */
    COIR_BINARY = 2,
} coir_ws_kind;

/* A message, or a piece of one. */
typedef struct coir_ws_message {
    coir_ws_kind kind;
    bool last;       /* it ends here; always so for whole messages */
    coir_bytes data; /* borrowed until the next call that receives; a byte of value 0 follows */
    size_t coir__reserved[2];
} coir_ws_message;

/* Why a WebSocket ends: RFC 6455, section 7.4.1. From 3000 on programs may have codes of their
 * own. */
enum coir_ws_code {
    COIR_WS_NORMAL = 1000,
    COIR_WS_GOING_AWAY = 1001, /* a server that stops, a page that is left */
    COIR_WS_PROTOCOL = 1002,   /* the peer does not keep to RFC 6455 */
    COIR_WS_UNSUPPORTED = 1003,
    COIR_WS_NO_CODE = 1005,  /* the peer has said goodbye without one; never sent */
    COIR_WS_LOST = 1006,     /* there was no goodbye; never sent */
    COIR_WS_BAD_DATA = 1007, /* a text that is not UTF-8, a message that cannot be unpacked */
    COIR_WS_POLICY = 1008,
    COIR_WS_TOO_LONG = 1009,
    COIR_WS_FAILED = 1011, /* the handler has failed */
};

/* How messages are compressed, if both ends want it. */
typedef enum coir_ws_deflate {
    COIR_WS_DEFLATE,         /* each by itself: nothing is kept between two messages */
    COIR_WS_DEFLATE_CONTEXT, /* with what came before: smaller, for about 300 KiB a connection */
    COIR_WS_DEFLATE_OFF,
} coir_ws_deflate;

/* What becomes of a peer for which more than queue_limit waits. */
typedef enum coir_ws_slow {
    COIR_WS_CUT,  /* its connection is cut */
    COIR_WS_SKIP, /* it misses the message */
} coir_ws_slow;

/* Zero means the default for each field. Texts are copied. Lists have commas: "chat.v2, chat.v1".
 */
typedef struct coir_ws_opts {
    const char *protocols; /* subprotocols, the best first; NULL: none */
    const char *origins;   /* of pages that may connect, "https://example.org", beside those that
                              come from the same host; "*": all. Servers only */
    const char *hosts;     /* that the request may name; NULL: any. Servers only */
    const coir_http_header *headers; /* of the request. Clients only */
    size_t message_limit;            /* of a whole message that is received, unpacked; 0: 4 MiB */
    coir_time heartbeat;     /* a peer that is silent for so long is pinged, and given up after as
                                  long again; 0: 30 s, COIR_FOREVER: never */
    coir_time close_limit;   /* for the peer's goodbye after ours; 0: 5 s */
    coir_time stall_limit;   /* each 128 KiB that is sent must be taken in; 0: 30 s */
    size_t queue_limit;      /* bytes that wait to be sent by coir_ws_try_send and broadcasts; 0: 1
                                  MiB */
    coir_ws_slow slow;       /* what happens beyond */
    coir_ws_deflate deflate; /* COIR_WS_DEFLATE */
    size_t deflate_from;     /* shorter messages are not compressed; 0: 1 KiB */
    unsigned deflate_ratio;  /* a packed message may be so many times as long unpacked, from 64 KiB
                                  on; 0: 250, UINT_MAX: any */
    unsigned char window_bits; /* 9 to 15: of what is kept to compress and unpack; 0: 15 */
    /* NULL, or where to write the answer of a server that refuses, which is the caller's to close;
     * NULL is written when there is none. Clients only */
    coir_http_response **ret_refusal;
    size_t coir__reserved[5];
} coir_ws_opts;

/* ---- servers ---- */

/* Answers WebSocket requests for pattern by fn, in the task of the connection; others are a 426,
 * which says what is spoken here. A page of another origin is a 403. The socket is closed when fn
 * has returned: with COIR_WS_NORMAL, with COIR_WS_FAILED when it has failed, which is reported
 * unless the peer was the cause. When the server stops, the peer is told COIR_WS_GOING_AWAY, and fn
 * receives the end. Middleware runs before, and may refuse. The access log has a line for it when
 * the socket has ended: see coir_http_log. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC void coir_http_app_websocket(coir_http_app *app, const char *pattern,
                                          int (*fn)(coir_http_request *request, coir_ws *ws));

/* As coir_http_app_websocket with options; opts may be NULL. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC void coir_http_app_websocket_with(coir_http_app *app, const char *pattern,
                                               int (*fn)(coir_http_request *request, coir_ws *ws),
                                               const coir_ws_opts *opts);

/* What happens to sockets which hold no task, and no buffer, while nothing comes. Each is called in
 * a task, may wait, and is called for one thing after the other. Any may be NULL. */
typedef struct coir_ws_handlers {
    /* A socket is open: what belongs to it is given by coir_ws_set_data. request lives as long as
     * this call. A failure closes the socket. */
    int (*on_open)(coir_http_request *request, coir_ws *ws);
    /* A message has come. A failure closes the socket with COIR_WS_FAILED, and is reported. */
    int (*on_message)(coir_ws *ws, const coir_ws_message *message);
    /* The socket has ended, with coir_ws_close_code, and is freed after this call; called if
     * on_open has not failed. */
    void (*on_close)(coir_ws *ws);
    void *coir__reserved[4];
} coir_ws_handlers;

/* Answers WebSocket requests for pattern by handlers, which are copied; as
 * coir_http_app_websocket otherwise. opts may be NULL. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
COIR__PUBLIC void coir_http_app_websocket_handlers(coir_http_app *app, const char *pattern,
                                                   const coir_ws_handlers *handlers,
                                                   const coir_ws_opts *opts);

/* Whether request asks for a WebSocket: for handlers that have a page at the same path.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_ws_is_asked(const coir_http_request *request);

/* Makes the connection of request a WebSocket, in a handler of one's own. opts may be NULL.
 * Returns 0, and writes *ret_ws, which is the handler's to close before it returns. Errors: -EPROTO
 * when it asks for none, -EACCES for another origin or host: the answer is a 426, 400 or 403 when
 * the handler returns it; -EALREADY when there was a reply, -EINVAL for opts, -ENOMEM, those of
 * coir_http_reply_upgrade. Cancel safety: the connection is closed. Thread safety: the handler's
 * task. */
COIR__CHECKED int coir_ws_accept(coir_http_request *request, const coir_ws_opts *opts,
                                 coir_ws **ret_ws);

/* ---- clients ---- */

/* Connects to url, "ws://" or "wss://", by way of session: with its TLS, its cookies and headers,
 * its base and redirects. The socket does not need the session afterwards. opts may be NULL.
 * Returns 0, and writes *ret_ws, which is the caller's to close. Errors: -COIR_ESTATUS when the
 * server refuses, whose answer opts.ret_refusal shows; -COIR_EWEBSOCKET when it answers wrongly,
 * -EINVAL for opts, -ENOMEM, those of coir_http_send. Cancel safety: the connection is closed.
 * Thread safety: the loop's thread. */
#define coir_ws_connect(session, url, opts, ret_ws)                                                \
    coir_ws_connect_at((session), (url), (opts), (ret_ws), COIR_SITE(NULL))
COIR__CHECKED int coir_ws_connect_at(coir_http_session *session, const char *url,
                                     const coir_ws_opts *opts, coir_ws **ret_ws,
                                     const coir_site *site);

/* ---- receiving ---- */

/* Waits for the next message.
 *
 *     coir_ws_message message;
 *     while ((r = coir_ws_receive(ws, &message)) > 0)
 *         puts(message.data.data);
 *
 * Returns 1, and writes *ret_message; 0 when the peer has said goodbye, with the code that
 * coir_ws_close_code gives. Errors: -COIR_EEOF, -ECONNRESET and the like when it has gone without;
 * -ETIMEDOUT when it is silent beyond opts.heartbeat, takes nothing in, or does not answer our
 * goodbye; -COIR_EWEBSOCKET when it breaks the rules, -COIR_ETOOLONG beyond opts.message_limit or
 * opts.deflate_ratio: it was told so; -ENOBUFS when it was cut off for being slow; -COIR_ECLOSED
 * when it is closed meanwhile; -EBUSY while another task receives, -ENOMEM, -COIR_ENOTASK,
 * -ECANCELED, -ETIME. Cancel safety: nothing is lost: call it again. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_ws_receive(coir_ws *ws, coir_ws_message *ret_message);

/* Waits for some of a message, whatever its length: at least a byte, or what ends it. After it
 * coir_ws_receive gives what is left of the message. A character may be cut by the end of a piece.
 * Returns 1, and writes *ret_piece; else as coir_ws_receive. Errors, Cancel safety, Thread safety:
 * as coir_ws_receive; message_limit is not for it. */
COIR__CHECKED int coir_ws_receive_some(coir_ws *ws, coir_ws_message *ret_piece);

/* Waits for the next message, and reads it as JSON.
 * Returns 1, and writes *ret_json, which is the caller's to json_decref; else as coir_ws_receive.
 * Errors: -EBADMSG with a text that says where it is wrong; the next message can be received; else
 * as coir_ws_receive. Cancel safety, Thread safety: as coir_ws_receive. */
COIR__CHECKED int coir_ws_receive_json(coir_ws *ws, struct json_t **ret_json);

/* ---- sending ---- */

/* Sends a message, behind those that other tasks send, and waits while the peer does not keep up.
 * Returns 0. Errors: -COIR_ECLOSED when a goodbye was said; -ETIMEDOUT beyond opts.stall_limit;
 * -EPIPE, -ECONNRESET; what coir_ws_receive has failed with; -COIR_EBROKENSTREAM after an
 * interrupted send; -EBADMSG for a text that is not UTF-8, -EBUSY in the midst of this task's own
 * coir_ws_send_some, -EINVAL, -ENOMEM, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel
 * safety: nothing was sent, or the socket is broken. Thread safety: the loop's thread. */
COIR__CHECKED int coir_ws_send(coir_ws *ws, coir_ws_kind kind, coir_bytes data);

/* Sends a text that printf would make.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_ws_send. */
COIR__CHECKED int coir_ws_send_text(coir_ws *ws, const char *format, ...) COIR__PRINTF(2, 3);

/* Sends json as a text; it is taken over (json_decref), whatever comes of it; NULL is -ENOMEM.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_ws_send. */
COIR__CHECKED int coir_ws_send_json(coir_ws *ws, struct json_t *json);

/* Sends a piece of a message whose length is not known yet; last ends it. Messages of other tasks
 * wait until then; pings are answered with the next piece. Pieces are not compressed.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_ws_send. */
COIR__CHECKED int coir_ws_send_some(coir_ws *ws, coir_ws_kind kind, coir_bytes data, bool last);

/* Sends a message without waiting: what the peer does not take at once is queued, up to
 * opts.queue_limit.
 * Returns 0. Errors: -EAGAIN when the queue is full, and opts.slow has its way; -COIR_ECLOSED, what
 * the socket has failed with, -EBADMSG, -EINVAL, -ENOMEM. Cancel safety: never waits. Thread
 * safety: the loop's thread, in a task. */
COIR__CHECKED int coir_ws_try_send(coir_ws *ws, coir_ws_kind kind, coir_bytes data);

/* Sends a ping, which every peer answers; that is noticed by who receives.
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_ws_try_send. */
COIR__CHECKED int coir_ws_ping(coir_ws *ws);

/* ---- rooms ---- */

/* Sockets that get the same messages, in memory of the caller; zero is an empty one. It must
 * outlive its sockets, or be closed. Private fields. */
typedef struct coir_ws_room {
    struct coir__ws_member *coir__first, *coir__last;
    size_t coir__count;
    void *coir__reserved[3];
} coir_ws_room;

/* Puts ws into room, once; it leaves by itself when it is closed. A socket may be in several.
 * Returns 0. Errors: -ENOMEM, -EINVAL. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_ws_join(coir_ws *ws, coir_ws_room *room);

/* Takes ws out of room, if it is in. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC void coir_ws_leave(coir_ws *ws, coir_ws_room *room);

/* How many sockets are in room. Returns the number. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC size_t coir_ws_room_count(const coir_ws_room *room);

/* Lets all sockets of room leave it. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC void coir_ws_room_close(coir_ws_room *room);

COIR_CLOSER_VALUE(coir_ws_room, coir_ws_room_close);

/* Sends a message to all sockets of room but except (NULL: none), each as by coir_ws_try_send: it
 * is encoded, and compressed, once. A slow socket is dealt with by its own opts.slow.
 * Returns how many it was sent to. Errors: -EBADMSG, -EINVAL, -ENOMEM. Cancel safety: never waits.
 * Thread safety: the loop's thread, in a task. */
COIR__CHECKED int coir_ws_broadcast(coir_ws_room *room, coir_ws_kind kind, coir_bytes data,
                                    const coir_ws *except);

/* ---- closing ---- */

/* Says goodbye: sends code, 0 for none, and reason, at most 123 bytes, NULL for none. From then on
 * nothing can be sent; coir_ws_receive gives what still comes, and 0 when the peer has said goodbye
 * too. A second goodbye is none.
 * Returns 0. Errors: -EINVAL for a code that may not be sent or a reason that is too long or not
 * UTF-8; else as coir_ws_send. Cancel safety: as coir_ws_send. Thread safety: the loop's thread. */
COIR__CHECKED int coir_ws_shutdown(coir_ws *ws, int code, const char *reason);

/* Closes ws and frees it; NULL is accepted. Without a goodbye before, COIR_WS_NORMAL is said, and
 * the peer's is waited for, for opts.close_limit; messages that still come are thrown away. When
 * the task is cancelled, or its deadline has passed, the peer is reset instead. Other tasks that
 * wait with ws get -COIR_ECLOSED, or hear the peer's goodbye. One that the server closes, since it
 * belongs to coir_http_app_websocket or handlers, is only told goodbye. Cancel safety: always
 * closes. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_ws_close(coir_ws *ws);

COIR_CLOSER(coir_ws, coir_ws_close);

/* ---- asking ---- */

/* What the peer has said in its goodbye: the code, 0 before it and COIR_WS_LOST when there was
 * none, and the reason, "" without one.
 * Returns a code; a string that lives as long as ws. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC int coir_ws_close_code(const coir_ws *ws);
COIR__PUBLIC const char *coir_ws_close_reason(const coir_ws *ws);

/* The subprotocol that both ends have agreed on. Returns a string that lives as long as ws, or
 * NULL. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const char *coir_ws_protocol(const coir_ws *ws);

/* Whether messages may be compressed. Returns true or false. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC bool coir_ws_is_deflated(const coir_ws *ws);

/* What a program keeps with a socket. Returns it, NULL at first. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC void coir_ws_set_data(coir_ws *ws, void *data);
COIR__PUBLIC void *coir_ws_data(const coir_ws *ws);

/* What a socket does and did. */
typedef struct coir_ws_stats {
    uint64_t received, sent;             /* messages */
    uint64_t skipped;                    /* that it has missed for being slow */
    size_t queued;                       /* bytes that wait to be sent */
    uint64_t bytes_received, bytes_sent; /* of frames, behind the handshake */
    uint64_t coir__reserved[2];
} coir_ws_stats;

/* Writes what ws does and did. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_ws_stats_get(const coir_ws *ws, coir_ws_stats *ret_stats);

COIR__END
#endif
