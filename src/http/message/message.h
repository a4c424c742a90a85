/* message.h: HTTP/1 messages as both sides of a connection see them: heads, bodies, and what is
 * written. Internal to http.
 *
 * A head is looked at where it was read (guard.c) and then copied, with terminators in place, into
 * one block of the head's own, so that names and values are strings that live as long as the
 * message (head.c). A body is read from the stream as its framing says (body.c). What is
 * written is gathered in a buffer (write.c).
 */
#ifndef COIR_HTTP_MESSAGE_H
#define COIR_HTTP_MESSAGE_H

#include <string.h>

#include <coir/http.h>
#include <coir/stream.h>

/* ---- texts (texts.c) ---- */

/* Whether two texts, or so many bytes at their beginnings, are the same but for the case of letters
 * of ASCII. A locale is not asked: in some, "I" is not the large form of "i", and who asked would
 * overlook "TRANSFER-ENCODING". */
bool coir__http_alike(const char *a, const char *b);
bool coir__http_alike_start(const char *a, const char *b, size_t length);

/* ---- heads (head.c, guard.c) ---- */

enum { COIR__HTTP_HEADERS = 100 };

/* Bounds for a head. */
struct coir__http_limits {
    size_t line;    /* of the first line */
    size_t headers; /* of all header lines together */
    size_t count;   /* of headers, at most COIR__HTTP_HEADERS */
};

extern const struct coir__http_limits coir__http_limits;

/* The first part of a message. Zero before the first; its block is used again for the next one. */
struct coir__http_head {
    const char *method; /* of a request */
    const char *target;
    const char *reason; /* of a response; may be "" */
    int status;         /* of a response */
    int minor;          /* of the version: HTTP/1.minor */
    bool keep_alive;    /* the sender lets the connection be used again */
    bool chunked;       /* how its body is framed, or: */
    bool has_length;    /* it says how long its body is */
    bool upgrade;       /* it asks for, or agrees to, another protocol */
    bool expects;       /* a request waits for 100 before it sends its body */
    uint64_t length;    /* of the body, if it has one */
    size_t count;
    const coir_http_header *headers; /* of a head that was parsed; the last has no name */
    char *block;                     /* the headers, and the texts */
    size_t capacity;
};

/* Parses a head at the beginning of bytes. A request that is wrong has an answer, *ret_status (400,
 * 414, 417, 431, 501, 505), after which nothing more may be read.
 * Returns 1, and writes its length to *ret_size; 0 when it is not there as a whole; -COIR_EHTTP
 * with *ret_wrong, a static text, for what is no head, -COIR_ETOOLONG beyond limits, -ENOMEM. */
int coir__http_parse_head(struct coir__http_head *head, bool response, coir_bytes bytes,
                          const struct coir__http_limits *limits, size_t *ret_size, int *ret_status,
                          const char **ret_wrong);

/* Gives its memory back. */
void coir__http_head_free(struct coir__http_head *head);

/* A piece of a head, in its bytes. */
struct coir__http_span {
    uint32_t at, length;
};

struct coir__http_line {
    struct coir__http_span name, value; /* of the value, not the blanks around it */
};

/* What a head consists of. */
struct coir__http_parts {
    struct coir__http_span method; /* of a request */
    struct coir__http_span first;  /* its target; of a response, the reason */
    int status;                    /* of a response */
    char major, minor;             /* digits of the version */
    size_t count;                  /* of headers; those beyond the array are not in it */
    struct coir__http_line headers[COIR__HTTP_HEADERS];
};

/* What the guard says of the whole lines at data, as far as the empty one: NULL, or what is wrong.
 * *ret_size is the length of the head; 0 when its end is not there yet, and then what is in
 * *ret_parts does not count. */
const char *coir__http_guard(const char *data, size_t length, bool response,
                             struct coir__http_parts *ret_parts, size_t *ret_size);

/* Whether text, of so many bytes, is a token, as the names of methods and headers are; whether it
 * can be the value of a header. */
bool coir__http_is_token(const char *text, size_t length);
bool coir__http_is_value(const char *text, size_t length);

/* Whether two methods are the same; most are not, which one byte tells. */
static inline bool coir__http_is_method(const char *method, const char *name)
{
    return method[0] == name[0] && strcmp(method, name) == 0;
}

/* Whether the header value text, a list with commas, has that token, whatever its letters' case. */
bool coir__http_has_token(const char *text, const char *token);

/* ---- bodies (body.c) ---- */

enum coir__http_framing {
    COIR__HTTP_NO_BODY,
    COIR__HTTP_LENGTH,
    COIR__HTTP_CHUNKED,
    COIR__HTTP_TO_THE_END, /* of the connection: responses only */
};

/* A body that is being read. Zero: there is none. */
struct coir__http_body {
    coir_stream *stream;
    enum coir__http_framing framing;
    uint64_t left;   /* of it, or of the chunk */
    size_t trailers; /* bytes of them that were read */
    bool inside;     /* a chunk whose end is still to come */
    bool last;       /* the chunk of no size has come: trailers follow */
    uint64_t framed; /* bytes of lines around chunks, which nobody counts otherwise */
    uint64_t taken;  /* bytes of the body */
    bool over;       /* nothing more comes: it was read as a whole */
    int failed;      /* what further reads give */
};

/* Prepares to read the body that follows head, framed as RFC 9112, section 6.3 says. For a
 * response, method is that of its request. */
void coir__http_body_begin(struct coir__http_body *body, coir_stream *stream,
                           const struct coir__http_head *head, const char *method);

/* Shows some of the body that is there, at least one byte, waiting for it; what was used of it is
 * taken by coir__http_body_take. Returns 1; 0 at its end; -COIR_EHTTP for wrong framing, -COIR_EEOF
 * when the connection ended before, those of coir_stream_read. Cancel safety: no byte is lost. */
int coir__http_body_peek(struct coir__http_body *body, coir_bytes *ret_bytes);
void coir__http_body_take(struct coir__http_body *body, size_t n);

/* As coir_stream_read. */
int coir__http_body_read(struct coir__http_body *body, void *data, size_t size, size_t *ret_n);

/* Reads what is left of it into buffer, which bounds how much that may be (-COIR_ETOOLONG). */
int coir__http_body_read_all(struct coir__http_body *body, coir_buffer *buffer);

/* ---- texts that are kept in a block ---- */

/* The bytes of text and its end; NULL has none. */
static inline size_t coir__http_text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

/* Copies text to *to, which is behind it then. Returns the copy; NULL for NULL. */
static inline char *coir__http_keep(char **to, const char *text)
{
    size_t size = coir__http_text_size(text);
    char *kept = size > 0 ? memcpy(*to, text, size) : NULL;
    *to += size;
    return kept;
}

/* ---- JSON (json.c) ---- */

struct json_t;

/* Reads a body as JSON. Returns 0, and writes *ret_json, which is the caller's to json_decref;
 * -EBADMSG with a text that says where it is wrong. */
int coir__http_load_json(coir_bytes body, struct json_t **ret_json);

/* ---- URLs (url.c) ---- */

/* Writes what is, or should be, a URL as it may be shown: with "***" for a password, and cut. */
void coir__http_hide_password(const char *text, char *ret_text, size_t size);

/* ---- what is written (write.c) ---- */

/* Adds "Name: value\r\n". Returns 0, -EINVAL for what is no name or no value (CR, LF and NUL would
 * begin another line), -ENOMEM. */
int coir__http_put_header(coir_buffer *out, const char *name, const char *value);

/* The same for a name that is known to be one. */
int coir__http_put_value(coir_buffer *out, const char *name, const char *value);

/* Makes room for more bytes; most of the time there is. Returns 0 or -ENOMEM. */
static inline int coir__http_reserve(coir_buffer *out, size_t more)
{
    bool there = more <= out->capacity - out->length && out->data != NULL;
    return there ? 0 : coir_buffer_reserve(out, more);
}

/* Writes size bytes at data, or a number, to where there is room. Return the place behind. */
static inline char *coir__http_add(char *to, const void *data, size_t size)
{
    memcpy(to, data, size);
    return to + size;
}
char *coir__http_add_number(char *to, uint64_t number);

/* The same for "Date: …\r\n" with the time of now, of which the text is made once in a second. */
enum { COIR__HTTP_DATE_LINE = 6 + COIR_HTTP_DATE_TEXT - 1 + 2 };
char *coir__http_add_date(char *to);

/* Adds size bytes at data. Returns 0 or -ENOMEM. */
static inline int coir__http_put_bytes(coir_buffer *out, const void *data, size_t size)
{
    int r = coir__http_reserve(out, size);
    if (r < 0)
        return r;
    out->length = (size_t)(coir__http_add(out->data + out->length, data, size) - out->data);
    out->data[out->length] = '\0';
    return 0;
}

/* Adds text, or a number in decimal digits. Return 0 or -ENOMEM. */
static inline int coir__http_put(coir_buffer *out, const char *text)
{
    return coir__http_put_bytes(out, text, strlen(text));
}
int coir__http_put_number(coir_buffer *out, uint64_t number);

#endif
