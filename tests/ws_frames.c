/* ws_frames.c: frames of WebSocket as data: what a client sends, and what a server that echoes
 * messages makes of it. Every section of RFC 6455 that says what a peer must do or not do has its
 * cases; each is tried whole, byte by byte, and with a cut anywhere.
 */
#include <stdlib.h>

#include "ws_kit.h"

enum { MOST = 8 };

/* Frames in, frames out, up to the end of the connection. */
struct conversation {
    const char *what;
    struct frame in[MOST], out[MOST];
};

#define S16 "0123456789abcdef"
#define S125 S16 S16 S16 S16 S16 S16 S16 "0123456789abc"
#define S126 S125 "d"
#define S128 S16 S16 S16 S16 S16 S16 S16 S16
#define GREEK "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
#define WRONG F(CLOSE, "\x03\xea")    /* 1002 */
#define BAD_DATA F(CLOSE, "\x03\xef") /* 1007 */

static const struct conversation conversations[] = {
    /* 5.2, 5.6: messages of every length */
    {"an empty text", {F(TEXT, ""), NORMAL}, {F(TEXT, ""), NORMAL}},
    {"a text", {F(TEXT, "Hello"), NORMAL}, {F(TEXT, "Hello"), NORMAL}},
    {"a text of 125", {F(TEXT, S125), NORMAL}, {F(TEXT, S125), NORMAL}},
    {"a text of 126", {F(TEXT, S126), NORMAL}, {F(TEXT, S126), NORMAL}},
    {"a text of 128", {F(TEXT, S128), NORMAL}, {F(TEXT, S128), NORMAL}},
    {"empty bytes", {F(BINARY, ""), NORMAL}, {F(BINARY, ""), NORMAL}},
    {"bytes that are no text",
     {F(BINARY, "\xfe\0\xff"), NORMAL},
     {F(BINARY, "\xfe\0\xff"), NORMAL}},
    {"bytes of 126", {F(BINARY, S126), NORMAL}, {F(BINARY, S126), NORMAL}},
    {"two messages",
     {F(TEXT, "a"), F(BINARY, "b"), NORMAL},
     {F(TEXT, "a"), F(BINARY, "b"), NORMAL}},
    /* 5.5.2, 5.5.3: pings and pongs */
    {"an empty ping", {F(PING, ""), NORMAL}, {F(PONG, ""), NORMAL}},
    {"a ping", {F(PING, "Hello"), NORMAL}, {F(PONG, "Hello"), NORMAL}},
    {"a ping of bytes", {F(PING, "\0\xff\xfe\xfd"), NORMAL}, {F(PONG, "\0\xff\xfe\xfd"), NORMAL}},
    {"a ping of 125", {F(PING, S125), NORMAL}, {F(PONG, S125), NORMAL}},
    {"a ping of 126", {F(PING, S126)}, {WRONG}},
    {"pings", {F(PING, "1"), F(PING, "2"), NORMAL}, {F(PONG, "1"), F(PONG, "2"), NORMAL}},
    {"a pong that nobody asked for", {F(PONG, ""), NORMAL}, {NORMAL}},
    {"a pong with something", {F(PONG, "Hello"), NORMAL}, {NORMAL}},
    {"a pong before a ping", {F(PONG, "a"), F(PING, "b"), NORMAL}, {F(PONG, "b"), NORMAL}},
    {"a pong of 126", {F(PONG, S126)}, {WRONG}},
    /* 5.2: reserved bits */
    {"the second bit", {F(TEXT | 0x20, "a")}, {WRONG}},
    {"the third bit", {F(TEXT | 0x10, "a")}, {WRONG}},
    {"the first bit, without an extension", {F(TEXT | 0x40, "a")}, {WRONG}},
    {"all bits", {F(TEXT | 0x70, "a")}, {WRONG}},
    {"a bit in a ping", {F(PING | 0x20, "")}, {WRONG}},
    {"the first bit in a ping", {F(PING | 0x40, "")}, {WRONG}},
    {"a bit in a goodbye", {F(CLOSE | 0x10, "")}, {WRONG}},
    {"a bit after a message", {F(TEXT, "a"), F(TEXT | 0x20, "b")}, {F(TEXT, "a"), WRONG}},
    {"a bit in a fragment", {F(BEGIN_TEXT, "a"), F(FINAL | 0x40, "b")}, {WRONG}},
    /* 5.2: kinds */
    {"kind 3", {F(0x83, "")}, {WRONG}},
    {"kind 4", {F(0x84, "a")}, {WRONG}},
    {"kind 5", {F(0x85, "")}, {WRONG}},
    {"kind 6", {F(0x86, "")}, {WRONG}},
    {"kind 7", {F(0x87, "")}, {WRONG}},
    {"kind 11", {F(0x8b, "")}, {WRONG}},
    {"kind 12", {F(0x8c, "a")}, {WRONG}},
    {"kind 13", {F(0x8d, "")}, {WRONG}},
    {"kind 14", {F(0x8e, "")}, {WRONG}},
    {"kind 15", {F(0x8f, "")}, {WRONG}},
    {"a kind after a message", {F(TEXT, "a"), F(0x83, "")}, {F(TEXT, "a"), WRONG}},
    /* 5.4: fragments */
    {"two fragments", {F(BEGIN_TEXT, "Hel"), F(FINAL, "lo"), NORMAL}, {F(TEXT, "Hello"), NORMAL}},
    {"four fragments",
     {F(BEGIN_BINARY, "a"), F(MORE, "b"), F(MORE, "c"), F(FINAL, "d"), NORMAL},
     {F(BINARY, "abcd"), NORMAL}},
    {"empty fragments",
     {F(BEGIN_TEXT, ""), F(MORE, ""), F(FINAL, ""), NORMAL},
     {F(TEXT, ""), NORMAL}},
    {"something between empty ones",
     {F(BEGIN_TEXT, ""), F(MORE, "a"), F(FINAL, ""), NORMAL},
     {F(TEXT, "a"), NORMAL}},
    {"a ping between fragments",
     {F(BEGIN_TEXT, "a"), F(PING, "x"), F(FINAL, "b"), NORMAL},
     {F(PONG, "x"), F(TEXT, "ab"), NORMAL}},
    {"a pong between fragments",
     {F(BEGIN_TEXT, "a"), F(PONG, "x"), F(FINAL, "b"), NORMAL},
     {F(TEXT, "ab"), NORMAL}},
    {"a goodbye between fragments", {F(BEGIN_TEXT, "a"), NORMAL}, {NORMAL}},
    {"a ping in fragments", {F(PING & 0x7f, "a"), F(FINAL, "b")}, {WRONG}},
    {"a pong in fragments", {F(PONG & 0x7f, "a"), F(FINAL, "b")}, {WRONG}},
    {"a goodbye in fragments", {F(CLOSE & 0x7f, "\x03"), F(FINAL, "\xe8")}, {WRONG}},
    {"a fragment of nothing", {F(FINAL, "a")}, {WRONG}},
    {"a fragment of nothing, to be continued", {F(MORE, "a"), F(FINAL, "b")}, {WRONG}},
    {"a fragment after a message", {F(TEXT, "a"), F(FINAL, "b")}, {F(TEXT, "a"), WRONG}},
    {"a message in a message", {F(BEGIN_TEXT, "a"), F(TEXT, "b")}, {WRONG}},
    {"a beginning in a message", {F(BEGIN_TEXT, "a"), F(BEGIN_BINARY, "b")}, {WRONG}},
    /* 5.6, 8.1: UTF-8, and where it is seen that it is none */
    {"a text in Greek", {F(TEXT, GREEK), NORMAL}, {F(TEXT, GREEK), NORMAL}},
    {"a character in two fragments",
     {F(BEGIN_TEXT, "\xce"), F(FINAL, "\xba"), NORMAL},
     {F(TEXT, "\xce\xba"), NORMAL}},
    {"a character in four",
     {F(BEGIN_TEXT, "\xf0"), F(MORE, "\x9f"), F(MORE, "\x98"), F(FINAL, "\x80"), NORMAL},
     {F(TEXT, "\xf0\x9f\x98\x80"), NORMAL}},
    {"a surrogate", {F(TEXT, GREEK "\xed\xa0\x80" GREEK)}, {BAD_DATA}},
    {"a surrogate's first bytes, of a message that goes on",
     {F(BEGIN_TEXT, GREEK "\xed\xa0")},
     {BAD_DATA}},
    {"beyond the last character", {F(TEXT, "\xf4\x90\x80\x80")}, {BAD_DATA}},
    {"the last character",
     {F(TEXT, "\xf4\x8f\xbf\xbf"), NORMAL},
     {F(TEXT, "\xf4\x8f\xbf\xbf"), NORMAL}},
    {"an overlong slash", {F(TEXT, "\xc0\xaf")}, {BAD_DATA}},
    {"an overlong character of three", {F(TEXT, "\xe0\x80\xaf")}, {BAD_DATA}},
    {"an overlong character of four", {F(TEXT, "\xf0\x80\x80\xaf")}, {BAD_DATA}},
    {"a continuation alone", {F(TEXT, "\x80")}, {BAD_DATA}},
    {"no continuation", {F(TEXT, "\xce\x61")}, {BAD_DATA}},
    {"an impossible byte", {F(TEXT, "\xfe")}, {BAD_DATA}},
    {"the end of a text in a character", {F(TEXT, "\xce")}, {BAD_DATA}},
    {"the end of fragments in a character", {F(BEGIN_TEXT, "a"), F(FINAL, "\xe1\xbd")}, {BAD_DATA}},
    {"a byte of 0", {F(TEXT, "\0"), NORMAL}, {F(TEXT, "\0"), NORMAL}},
    {"a noncharacter", {F(TEXT, "\xef\xbf\xbf"), NORMAL}, {F(TEXT, "\xef\xbf\xbf"), NORMAL}},
    /* 5.5.1, 7.1, 7.4: goodbyes */
    {"a goodbye with nothing", {F(CLOSE, "")}, {F(CLOSE, "")}},
    {"a goodbye", {NORMAL}, {NORMAL}},
    {"a goodbye with a reason", {F(CLOSE, "\x03\xe8Hello")}, {NORMAL}},
    {"a goodbye of 125",
     {F(CLOSE, "\x03\xe8" S16 S16 S16 S16 S16 S16 S16 "0123456789a")},
     {NORMAL}},
    {"a goodbye of 126",
     {F(CLOSE, "\x03\xe8" S16 S16 S16 S16 S16 S16 S16 "0123456789ab")},
     {WRONG}},
    {"half a code", {F(CLOSE, "\x03")}, {WRONG}},
    {"a reason that is no text", {F(CLOSE, "\x03\xe8\xce")}, {BAD_DATA}},
    {"a message after a goodbye", {NORMAL, F(TEXT, "a")}, {NORMAL}},
    {"a ping after a goodbye", {NORMAL, F(PING, "a")}, {NORMAL}},
    {"two goodbyes", {NORMAL, NORMAL}, {NORMAL}},
    {"a wrong frame after a goodbye", {NORMAL, F(0x83, "a")}, {NORMAL}},
};

/* What is no frame at all, as bytes. */
static const struct {
    const char *what;
    struct frame in;
    struct frame out;
} raw[] = {
    {"a text without a mask",
     F(0, "\x81\x01"
          "a"),
     WRONG},
    {"a ping without a mask", F(0, "\x89\x00"), WRONG},
    {"125 in three bytes", F(0, "\x81\xfe\x00\x7d"), WRONG},
    {"0 in three bytes", F(0, "\x82\xfe\x00\x00"), WRONG},
    {"65535 in nine bytes", F(0, "\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff"), WRONG},
    {"125 in nine bytes", F(0, "\x82\xff\x00\x00\x00\x00\x00\x00\x00\x7d"), WRONG},
    {"2^63 bytes", F(0, "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00"), WRONG},
    {"2^63 - 1 bytes",
     F(0, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"
          "aaaa"),
     F(CLOSE, "\x03\xf1")},
    {"a long ping", F(0, "\x89\xfe"), WRONG},
    {"HTTP", F(0, GET("/")), WRONG},
};

static int open_echo(coir_http_app **ret_app)
{
    COIR_TRY(open_app((coir_http_app_opts){0}, ret_app));
    coir_http_app_websocket(*ret_app, "/", echo);
    return 0;
}

static int put_frames(coir_buffer *out, const struct frame *frames, const char *mask)
{
    for (size_t i = 0; i < MOST && frames[i].data != NULL; i++)
        COIR_TRY(put_frame(out, frames[i], mask));
    return 0;
}

static void try_bytes(coir_http_app *app, const char *what, const coir_buffer *in,
                      const coir_buffer *expected, size_t cut)
{
    COIR_AUTO(coir_buffer) out = {0};
    coir_bytes bytes = {in->data, in->length};
    COIR_REQUIRE_OK(converse(app, WS_REQUEST("/", ""), bytes, cut, &out));
    if (out.length != expected->length ||
        memcmp(coir_buffer_text(&out), coir_buffer_text(expected), out.length) != 0)
        COIR_FAIL("%s, cut at %zu: %zu bytes instead of %zu", what, cut, out.length,
                  expected->length);
}

static void try_conversation(coir_http_app *app, const struct conversation *at, const char *mask,
                             size_t cut)
{
    COIR_AUTO(coir_buffer) in = {0}, expected = {0};
    COIR_REQUIRE_OK(put_frames(&in, at->in, mask));
    COIR_REQUIRE_OK(put_frames(&expected, at->out, NULL));
    try_bytes(app, at->what, &in, &expected, cut < in.length ? cut : in.length);
}

COIR_TEST_TAGGED(frames, "limit=60,no_torture")
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_echo(&app));
    for (size_t i = 0; i < COIR_COUNT(conversations); i++) {
        const struct conversation *at = &conversations[i];
        try_conversation(app, at, "\0\0\0\0", SIZE_MAX);  /* whole */
        try_conversation(app, at, "\x37\xfa\x21\x3d", 0); /* byte by byte */
        for (size_t cut = 1; cut < 24; cut++)
            try_conversation(app, at, "\xff\x01\x80\x7f", cut);
    }
}

COIR_TEST_TAGGED(what_is_no_frame, "limit=60,no_torture")
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_echo(&app));
    for (size_t i = 0; i < COIR_COUNT(raw); i++)
        for (size_t cut = 0; cut <= raw[i].in.length; cut++) {
            COIR_AUTO(coir_buffer) in = {0}, expected = {0};
            COIR_REQUIRE_OK(coir_buffer_append(&in, raw[i].in.data, raw[i].in.length));
            COIR_REQUIRE_OK(put_frame(&expected, raw[i].out, NULL));
            try_bytes(app, raw[i].what, &in, &expected, cut);
        }
}

/* Each code that there could be: those of section 7.4 and of its register are answered by
 * themselves, all others are a 1002. */
COIR_TEST_TAGGED(codes, "limit=60,no_torture")
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_echo(&app));
    static const unsigned codes[] = {0,    1,    999,  1000, 1001, 1002, 1003, 1004, 1005, 1006,
                                     1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016,
                                     1100, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65535};
    for (size_t i = 0; i < COIR_COUNT(codes); i++) {
        unsigned code = codes[i];
        char data[2] = {(char)(code >> 8), (char)code};
        bool good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                    (code >= 3000 && code <= 4999);
        COIR_AUTO(coir_buffer) in = {0}, expected = {0};
        COIR_REQUIRE_OK(put_frame(&in, (struct frame){CLOSE, data, 2}, "abcd"));
        COIR_REQUIRE_OK(
            put_frame(&expected, (struct frame){CLOSE, good ? data : "\x03\xea", 2}, NULL));
        try_bytes(app, "a code", &in, &expected, SIZE_MAX);
    }
}

/* Lengths around where their encoding changes, and around what is read at once; one frame, and as
 * many fragments as it takes. */
COIR_TEST_TAGGED(lengths, "limit=60,no_torture")
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_echo(&app));
    static const size_t lengths[] = {1,     124,   127,   255,   256,   1023,  1024,   1025,  4096,
                                     16383, 16384, 65534, 65535, 65536, 65537, 131072, 500000};
    COIR_AUTO(coir_buffer) data = {0};
    COIR_REQUIRE_OK(coir_buffer_reserve(&data, 500000));
    for (size_t i = 0; i < 500000; i++)
        data.data[i] = (char)(i * 7 + i / 256);
    for (size_t i = 0; i < COIR_COUNT(lengths); i++)
        for (size_t piece = lengths[i]; piece > 0; piece = piece > lengths[i] / 4 ? piece / 3 : 0) {
            COIR_AUTO(coir_buffer) in = {0}, expected = {0};
            for (size_t at = 0; at < lengths[i]; at += piece) {
                size_t n = piece < lengths[i] - at ? piece : lengths[i] - at;
                unsigned first = (at == 0 ? 2u : 0u) | (at + n == lengths[i] ? 0x80u : 0u);
                COIR_REQUIRE_OK(put_frame(&in, (struct frame){first, data.data + at, n}, "wxyz"));
            }
            COIR_REQUIRE_OK(put_frame(&in, (struct frame)NORMAL, "wxyz"));
            COIR_REQUIRE_OK(
                put_frame(&expected, (struct frame){BINARY, data.data, lengths[i]}, NULL));
            COIR_REQUIRE_OK(put_frame(&expected, (struct frame)NORMAL, NULL));
            try_bytes(app, "a length", &in, &expected, SIZE_MAX);
        }
}
