/* http_body.c: tests of bodies: each framing, chunks as they may and may not be, in one piece and
 * byte by byte.
 */
#include <stdio.h>
#include <string.h>

#include <coir/stream_pair.h>
#include <coir/testing.h>

#include "http/message/message.h"

struct feed {
    coir_stream *stream;
    const char *text;
    size_t length;
    bool slowly;
};

static int send_text(void *arg)
{
    struct feed *feed = arg;
    COIR_AUTO(coir_stream) *stream = COIR_TAKE(feed->stream);
    size_t piece = feed->slowly ? 1 : feed->length;
    for (size_t at = 0; at < feed->length; at += piece) {
        COIR_TRY(coir_stream_write(stream, feed->text + at, piece));
        COIR_TRY(coir_yield());
    }
    return 0;
}

/* Reads text as a body. Returns the code; what is left in the stream is written to rest. */
static int read_body(const char *text, bool slowly, const struct coir__http_head *head,
                     coir_buffer *body, coir_buffer *rest)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    struct feed feed = {.text = text, .length = strlen(text), .slowly = slowly};
    struct coir__http_body reader;
    COIR_TRY(coir_stream_pair(0, &stream, &feed.stream));
    COIR_GROUP(group);
    int r = coir_spawn(&group, send_text, &feed, NULL);
    if (r == 0) {
        coir__http_body_begin(&reader, stream, head, "GET");
        r = coir__http_body_read_all(&reader, body);
        if (r < 0 && r != -ECANCELED && r != -ENOMEM)
            COIR_EXPECT_CODE(coir__http_body_read_all(&reader, body), r); /* it stays so */
    }
    char data[64];
    size_t n;
    while (r == 0 && coir_stream_read(stream, data, sizeof data, &n) > 0)
        r = coir_buffer_append(rest, data, n);
    coir_stream_abort(COIR_TAKE(stream));
    int sent = coir_group_wait(&group);
    coir_stream_abort(COIR_TAKE(feed.stream)); /* it was not spawned */
    return r == 0 && sent == -ECANCELED ? sent : r;
}

static const struct coir__http_head chunked = {.method = "POST", .chunked = true};

#define LONG_64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG_512 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64 LONG_64

COIR_TEST(chunks)
{
    static const struct {
        const char *text, *body, *rest; /* NULL: refused */
        int code;
    } rows[] = {
        {"5\r\nhello\r\n0\r\n\r\nnext", "hello", "next", 0},
        {"0\r\n\r\n", "", "", 0},
        {"00000\r\n\r\n", "", "", 0},
        {"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc", "", 0},
        {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789", "", 0},
        {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789", "", 0},
        {"000000000000005\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
        {"5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello", "", 0},
        {"5 ;a\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
        {"5;a=b;c = \"d \\\" ;\t\" ; e\r\nhello\r\n0;f\r\n\r\n", "hello", "", 0},
        {"5\r\nhello\r\n0\r\nA: b\r\nC:\r\n\r\nnext", "hello", "next", 0},
        {"0000000000000005\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"FFFFFFFFFFFFFFFF\r\nhello", NULL, NULL, -COIR_EHTTP},
        {"5\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"4\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"6\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5 \r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {" 5\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"+5\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"-1\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"0x5\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {";\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"g\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;a\x01\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;a\nb\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;a\rb\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;" LONG_512 LONG_512 "\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello\r\n0\r\nA\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello\r\n0\r\n A: b\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello\r\n0\r\nA : b\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello\r\n0\r\n\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello\r\n0\r\nA: b\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello\r\n0\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\n", NULL, NULL, -COIR_EHTTP},
        {"5\r", NULL, NULL, -COIR_EEOF},
        {"5;\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;;\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;a \r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;=b\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;a=\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;a=\"b\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;a=b c\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5;[]=b\r\nhello\r\n0\r\n\r\n", NULL, NULL, -COIR_EHTTP},
        {"5\r\nhello\r\n0\r\n", NULL, NULL, -COIR_EEOF},
        {"5\r\nhell", NULL, NULL, -COIR_EEOF},
        {"5", NULL, NULL, -COIR_EEOF},
        {"", NULL, NULL, -COIR_EEOF},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++)
        for (int slowly = 0; slowly < 2; slowly++) {
            COIR_AUTO(coir_buffer) body = {0};
            COIR_AUTO(coir_buffer) rest = {0};
            int r = read_body(rows[i].text, slowly, &chunked, &body, &rest);
            if (!COIR_EXPECT_CODE(r, rows[i].code))
                printf("    of: %s\n", rows[i].text);
            if (r == 0 && rows[i].body != NULL) {
                COIR_EXPECT_STR(coir_buffer_text(&body), rows[i].body);
                COIR_EXPECT_STR(coir_buffer_text(&rest), rows[i].rest);
            }
        }
}

/* Trailers are bounded together, however short each is. */
COIR_TEST(endless_trailers)
{
    COIR_AUTO(coir_buffer) text = {0};
    COIR_AUTO(coir_buffer) body = {0};
    COIR_AUTO(coir_buffer) rest = {0};
    COIR_REQUIRE_OK(coir_buffer_append(&text, "0\r\n", 3));
    for (int i = 0; i < 1200; i++)
        COIR_REQUIRE_OK(coir_buffer_append(&text, "a: bbb\r\n", 8));
    COIR_EXPECT_CODE(read_body(coir_buffer_text(&text), false, &chunked, &body, &rest),
                     -COIR_EHTTP);
}

COIR_TEST(framings)
{
    static const struct {
        struct coir__http_head head;
        const char *method, *body, *rest;
        int code;
    } rows[] = {
        {{.method = "POST", .has_length = true, .length = 5}, "", "hello", " you", 0},
        {{.method = "POST", .has_length = true, .length = 0}, "", "", "hello you", 0},
        {{.method = "POST"}, "", "", "hello you", 0},
        {{.method = "POST", .has_length = true, .length = 50}, "", NULL, NULL, -COIR_EEOF},
        {{.status = 200}, "GET", "hello you", "", 0},
        {{.status = 200, .has_length = true, .length = 5}, "GET", "hello", " you", 0},
        {{.status = 204, .has_length = true, .length = 5}, "GET", "", "hello you", 0},
        {{.status = 304, .has_length = true, .length = 5}, "GET", "", "hello you", 0},
        {{.status = 100}, "GET", "", "hello you", 0},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_AUTO(coir_buffer) body = {0};
        COIR_AUTO(coir_buffer) rest = {0};
        int r = read_body("hello you", i % 2, &rows[i].head, &body, &rest);
        COIR_EXPECT_CODE(r, rows[i].code);
        if (r == 0 && rows[i].body != NULL) {
            COIR_EXPECT_STR(coir_buffer_text(&body), rows[i].body);
            COIR_EXPECT_STR(coir_buffer_text(&rest), rows[i].rest);
        }
    }
}

COIR_TEST(limit_of_a_body)
{
    for (size_t limit = 4; limit <= 6; limit++) {
        COIR_AUTO(coir_buffer) body = {.limit = limit};
        COIR_AUTO(coir_buffer) rest = {0};
        static const struct coir__http_head head = {
            .method = "POST", .has_length = true, .length = 5};
        COIR_EXPECT_CODE(read_body("hello", false, &head, &body, &rest),
                         limit < 5 ? -COIR_ETOOLONG : 0);
    }
}
