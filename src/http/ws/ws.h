/* ws.h: what the files of WebSocket share: frames, compression, a socket.
 *
 * A socket has a stream of its own. Its reading side is whoever receives: frames are parsed where
 * the stream's buffer has them (frame.c), and what they carry is added to `message`, unmasked,
 * unpacked (deflate.c) and checked on the way (socket.c). Its writing side is a lock, held for a
 * message, and a queue of frames for what must not wait: answers to pings, goodbyes, broadcasts
 * (send.c). Frames in the queue are written by a task that is started for them, whose first
 * attempt is made at once, so that nothing of it is left when the peer keeps up. Internal to http.
 */
#ifndef COIR_WS_INTERNAL_H
#define COIR_WS_INTERNAL_H

#include <coir/lock.h>
#include <coir/ws.h>

#include "../message/message.h"

/* ---- frames: RFC 6455, section 5 (frame.c) ---- */

enum coir__ws_opcode {
    COIR__WS_CONTINUATION = 0,
    COIR__WS_TEXT = 1,
    COIR__WS_BINARY = 2,
    COIR__WS_CLOSE = 8,
    COIR__WS_PING = 9,
    COIR__WS_PONG = 10,
};

enum {
    COIR__WS_HEAD = 14,
    COIR__WS_CONTROL = 125
}; /* the most bytes of a head; of a control frame */

struct coir__ws_head {
    uint64_t length; /* of what follows */
    size_t size;     /* of the head itself */
    uint8_t opcode, mask[4];
    bool final, packed, masked; /* packed: its first reserved bit is set */
};

/* Parses the head of a frame at the beginning of bytes, from a peer that masks or does not.
 * Returns 1; 0 when it is not there as a whole; -COIR_EWEBSOCKET with *ret_wrong, a static text. */
int coir__ws_parse_head(coir_bytes bytes, bool masked, struct coir__ws_head *ret_head,
                        const char **ret_wrong);

/* Writes a head to data, of COIR__WS_HEAD bytes, with a mask if it is masked. Returns its size. */
size_t coir__ws_write_head(uint8_t *data, const struct coir__ws_head *head);

/* Masks or unmasks n bytes from `from` to `to`, which may be the same, and turns mask so that it
 * goes on from there. */
void coir__ws_mask(void *to, const void *from, size_t n, uint8_t mask[4]);

/* Makes a mask from the kernel's random source. Returns 0 or -errno. */
int coir__ws_random(void *data, size_t size);

/* Goes on with checking a text. *state is 0 at a beginning, and between two characters. Returns
 * whether it can still be UTF-8. */
bool coir__ws_utf8(uint32_t *state, const void *data, size_t n);

/* Whether a peer may send that code in its goodbye. */
bool coir__ws_is_code(unsigned code);

/* ---- compressed messages: RFC 7692 (deflate.c) ---- */

struct coir__ws_deflate;

/* What both ends have agreed on. */
struct coir__ws_terms {
    bool used;                      /* messages may be packed at all */
    bool pack_alone, unpack_alone;  /* ours, the peer's: each message by itself */
    uint8_t pack_bits, unpack_bits; /* of the window; 8: we do not pack, since zlib cannot */
};

/* Chooses among what a client offers, a list with commas, and adds the answer to ret_answer,
 * nothing for none. Returns 0, -ENOMEM. */
int coir__ws_deflate_accept(const char *offers, const coir_ws_opts *opts,
                            struct coir__ws_terms *ret_terms, coir_buffer *ret_answer);

/* Adds what a client offers. Returns 0, -ENOMEM. */
int coir__ws_deflate_offer(const coir_ws_opts *opts, coir_buffer *ret_offer);

/* Reads what the server has answered to that. Returns NULL, or what is wrong with it. */
const char *coir__ws_deflate_agree(const char *answer, const coir_ws_opts *opts,
                                   struct coir__ws_terms *ret_terms);

/* Opens what packs and unpacks by terms; an unpacked message is at most ratio times as long.
 * Returns it, or NULL without memory. */
struct coir__ws_deflate *coir__ws_deflate_open(const struct coir__ws_terms *terms, unsigned ratio);
void coir__ws_deflate_close(struct coir__ws_deflate *deflate);

/* Unpacks bytes, some of a message, behind what is in out; last: they end it. Returns 0;
 * -COIR_ETOOLONG when out has more than limit bytes then, or there are too many for what was
 * packed; -EBADMSG for what was not packed, -ENOMEM. */
int coir__ws_unpack(struct coir__ws_deflate *deflate, coir_bytes bytes, bool last, size_t limit,
                    coir_buffer *out);

/* Packs a message behind what is in out; others have their turns meanwhile. Returns 1; 0 when it
 * would be no shorter, and nothing was done; -ENOMEM, -ECANCELED, -ETIME, and then it is lost. */
int coir__ws_pack(struct coir__ws_deflate *deflate, coir_bytes bytes, coir_buffer *out);

/* What was packed last does not reach the peer: the next message does not build on it. */
void coir__ws_pack_lost(struct coir__ws_deflate *deflate);

/* The same, but at once, for any socket that packs messages alone and for a window of 15 bits, and
 * whether one does. */
int coir__ws_pack_alone(coir_bytes bytes, coir_buffer *out);
bool coir__ws_packs_alone(const struct coir__ws_deflate *deflate);

/* ---- sockets (socket.c) ---- */

/* What sockets of one kind have in common: options, with defaults. */
struct coir__ws_config {
    unsigned references;
    coir_ws_opts opts; /* its texts are behind it */
    char texts[];
};

/* Copies opts (NULL: defaults). Returns 0, -EINVAL with a text, -ENOMEM. */
int coir__ws_config_make(const coir_ws_opts *opts, struct coir__ws_config **ret_config);
void coir__ws_config_release(struct coir__ws_config *config);

/* Finds the first of own, a list with commas, that is in offered, another one; its length is
 * *ret_length. Returns where it is in own, or NULL. */
const char *coir__ws_choose(const char *own, const char *offered, size_t *ret_length);

/* Makes the key of a client, and what a server has to answer to one. Returns 0 or -errno. */
int coir__ws_make_key(char ret_key[32]);
void coir__ws_answer(const char *key, char ret_answer[32]);

/* A frame that is ready to be sent, perhaps to many. */
struct coir__ws_packet {
    unsigned references;
    bool control, pong;
    size_t size;
    uint8_t data[];
};

struct coir__ws_item {
    struct coir__ws_item *next;
    struct coir__ws_packet *packet;
};

/* A socket in a room. */
struct coir__ws_member {
    struct coir__ws_member *next, *previous; /* in the room */
    struct coir__ws_member *other;           /* of the same socket */
    coir_ws_room *room;
    coir_ws *ws;
};

/* What is received, as long as somebody does. */
struct coir__ws_incoming {
    coir_buffer message;
    coir_scope *waiting; /* of the task that waits for the peer; NULL: none does */
    size_t ahead;        /* bytes that are known to be there */
    uint64_t left;       /* of the frame */
    uint32_t utf8;
    uint8_t mask[4];
};

struct coir_ws {
    coir_stream *stream; /* NULL: closed or cut */
    struct coir__ws_config *config;
    struct coir__ws_deflate *deflate; /* NULL: nothing is packed */
    struct coir__ws_member *rooms;
    void *data;     /* the program's */
    char *reason;   /* of the peer's goodbye, or NULL */
    char *protocol; /* agreed on, or NULL */
    /* what is sent */
    coir_lock lock; /* held for a message */
    struct coir__ws_item *first, **last;
    size_t queued;      /* bytes, with those that are being written */
    uint32_t utf8_sent; /* of a message in pieces */
    uint32_t pongs;     /* that are in the queue */
    /* what is received */
    struct coir__ws_incoming *in; /* NULL: nothing, nor has any of it come */
    coir_time close_by;           /* our goodbye must be answered by then; 0: none was said */
    coir_callback overdue;        /* of a socket without a task, if timed */
    union {
        coir_group *group;                        /* of a client: of its writers */
        struct coir__http_connection *connection; /* of a server */
    };
    /* of a server */
    coir_http_request *request;       /* as long as its handler runs */
    struct coir__http_entry *entry;   /* of the access log; NULL: there is none */
    const coir_ws_handlers *handlers; /* NULL: it has a task of its own */
    unsigned references;
    int failed; /* what calls give from now on */
    int unsent; /* what the last send has failed with that could not reach the peer */
    uint64_t received, sent, skipped;
    uint64_t bytes_received, bytes_sent;
    uint16_t code;   /* of the peer's goodbye */
    uint8_t kind;    /* of the message that is received */
    bool client : 1; /* we mask, the peer does not */
    bool owned : 1;  /* by the server, which closes it */
    bool closed : 1;
    bool broken : 1;     /* half a frame was sent */
    bool writing : 1;    /* a task is there for the queue */
    bool streaming : 1;  /* a message is sent in pieces, and the lock is held for it */
    bool fragmented : 1; /* of which one was sent, and not the last */
    bool said : 1;       /* goodbye, */
    bool heard : 1;      /* which the peer has done too */
    bool pinged : 1;     /* for being silent */
    bool receiving : 1;  /* a task is */
    bool idle : 1;       /* no task of ours is there */
    bool timed : 1;      /* and a goodbye was said */
    bool shown : 1;      /* message is the program's until the next call */
    bool in_frame : 1;
    bool in_message : 1;
    bool final : 1;    /* the frame is the last of its message */
    bool packed : 1;   /* the message is */
    bool complete : 1; /* the message is there */
};

/* Makes a socket over stream, which is its own from here whatever comes of it; config is shared.
 * Returns it, or NULL without memory. */
coir_ws *coir__ws_make(struct coir__ws_config *config, const struct coir__ws_terms *terms);

/* Keeps ws in memory until it is released as often. */
static inline coir_ws *coir__ws_hold(coir_ws *ws)
{
    ws->references++;
    return ws;
}
void coir__ws_release(coir_ws *ws);

/* Nobody receives for now: of what has come only the beginning of a message is kept. */
void coir__ws_keep_incoming(coir_ws *ws);

/* Cuts the connection: from here on calls fail by code. Returns code. */
int coir__ws_cut(coir_ws *ws, int code);

/* As coir_ws_receive; but -EAGAIN when, after what has come, there is nothing more, and the peer
 * begins something new with what comes next. */
int coir__ws_receive_now(coir_ws *ws, coir_ws_message *ret_message);

/* What a silent peer is due for: a ping, or the end. Returns 0, or a code. */
int coir__ws_beat(coir_ws *ws);

/* How long to wait for the peer, from now on. */
coir_time coir__ws_patience(const coir_ws *ws);

/* Ends the conversation, with code if no goodbye was said, and closes the stream. */
void coir__ws_finish(coir_ws *ws, int code);

/* ---- sending (send.c) ---- */

/* Says goodbye without waiting; code 0 has none. Eagerly: at once, if the peer takes it; then other
 * tasks may run meanwhile, as with all that is queued. Returns 0, -EINVAL, -ENOMEM, or what ws has
 * failed with. */
int coir__ws_goodbye(coir_ws *ws, int code, const char *reason, size_t length, bool eagerly);

/* Does not end ws any more when its goodbye is not answered. */
void coir__ws_forget_goodbye(coir_ws *ws);

/* Answers a ping, in place of the first of many answers that have not been sent yet. Returns 0 or a
 * code. */
int coir__ws_pong(coir_ws *ws, const void *data, size_t size);

/* Sends all that is queued, waiting for it. Returns 0 or a code. */
int coir__ws_flush(coir_ws *ws);

/* Gives back what is queued. */
void coir__ws_drop_queue(coir_ws *ws);

/* ---- rooms (room.c) ---- */

/* Takes ws out of all rooms. */
void coir__ws_leave_all(coir_ws *ws);

/* ---- servers (server.c) ---- */

/* The request of a connection is over: its socket goes on by itself, if it has handlers. */
void coir__ws_go_on(coir_ws *ws);

/* The server stops. */
void coir__ws_drain(coir_ws *ws);

/* The group of its writers. */
coir_group *coir__ws_group(const coir_ws *ws);

/* What a handler may fail with through no fault of its own: what ws has failed with, that the peer
 * takes nothing more, or that it or the server has said goodbye. Returns a code, or 0. */
int coir__ws_excuse(const coir_ws *ws);

/* ws is closed: the access log has its line, and its connection does not know it any more. A
 * failure by excuse is not reported. */
void coir__ws_detach(coir_ws *ws, int excuse);

/* What a route answers by, of which a copy is made. */
struct coir__ws_route {
    int (*fn)(coir_http_request *request, coir_ws *ws);
    coir_ws_handlers handlers;
    struct coir__ws_config *config;
};
void coir__ws_route_free(struct coir__ws_route *route);

#endif
