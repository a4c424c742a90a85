/* http_packed.c: tests of packed bodies at a client, each coding whole, bit by bit, cut, damaged,
 * in several members, and as a bomb; and of bodies that a client streams.
 */
#include <coir/coir.h>
#include <coir/http_session.h>
#include <coir/http_testing.h>
#include <coir/memory.h>
#include <coir/stream_pair.h>
#include <coir/testing.h>

#include <brotli/encode.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* What the server says next. */
static struct {
    const char *coding;
    coir_buffer body;
    size_t piece; /* 0: as a whole */
} said;

static int say(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_header(request, "Content-Encoding", said.coding));
    if (said.piece == 0)
        return coir_http_reply(request, 200, "text/plain", said.body.data, said.body.length);
    COIR_TRY(coir_http_reply_begin(request, 200, "text/plain"));
    for (size_t at = 0; at < said.body.length; at += said.piece) {
        size_t left = said.body.length - at;
        COIR_TRY(coir_http_reply_write(request, said.body.data + at,
                                       left < said.piece ? left : said.piece));
    }
    return 0;
}

static int echo(coir_http_request *request)
{
    coir_bytes body;
    const char *length = coir_http_request_header(request, "Content-Length");
    COIR_TRY(coir_http_request_body(request, &body));
    COIR_TRY(coir_http_reply_header(request, "X-Length", length != NULL ? length : "chunked"));
    return coir_http_reply(request, 200, "text/plain", body.data, body.length);
}

static int open_app(coir_http_app **ret_app)
{
    COIR_TRY(coir_http_app_open(NULL, ret_app));
    coir_http_app_get(*ret_app, "/", say);
    coir_http_app_post(*ret_app, "/echo", echo);
    return 0;
}

static void forget(coir_buffer *body)
{
    coir_buffer_close(body);
    coir_buffer_close(&said.body);
}

#define SERVED(...)                                                                                \
    __attribute__((cleanup(forget))) coir_buffer body = {0};                                       \
    COIR_AUTO(coir_http_app) *app = NULL;                                                          \
    COIR_AUTO(coir_http_test) *test = NULL;                                                        \
    COIR_REQUIRE_OK(open_app(&app));                                                               \
    COIR_REQUIRE_OK(                                                                               \
        coir_http_test_open(app, &(coir_http_test_opts){.session = {__VA_ARGS__}}, &test));        \
    coir_http_session *http = coir_http_test_session(test)

/* ---- packing ---- */

static int pack_zlib(const char *text, size_t size, int bits, coir_buffer *out)
{
    z_stream zlib = {.next_in = (unsigned char *)(uintptr_t)text, .avail_in = (unsigned)size};
    if (deflateInit2(&zlib, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    size_t room = deflateBound(&zlib, (unsigned long)size) + 32;
    int r = coir_buffer_reserve(out, room);
    if (r == 0) {
        zlib.next_out = (unsigned char *)out->data + out->length;
        zlib.avail_out = (unsigned)room;
        r = deflate(&zlib, Z_FINISH) == Z_STREAM_END ? 0 : -EIO;
        out->length += zlib.total_out;
    }
    (void)deflateEnd(&zlib);
    return r;
}

static int pack_brotli(const char *text, size_t size, coir_buffer *out)
{
    size_t room = BrotliEncoderMaxCompressedSize(size) + 32;
    COIR_TRY(coir_buffer_reserve(out, room));
    if (!BrotliEncoderCompress(5, 22, BROTLI_MODE_GENERIC, size, (const uint8_t *)text, &room,
                               (uint8_t *)out->data + out->length))
        return -ENOMEM;
    out->length += room;
    return 0;
}

static int pack_zstd(const char *text, size_t size, coir_buffer *out)
{
    size_t room = ZSTD_compressBound(size);
    COIR_TRY(coir_buffer_reserve(out, room));
    size_t made = ZSTD_compress(out->data + out->length, room, text, size, 3);
    if (ZSTD_isError(made))
        return -ENOMEM;
    out->length += made;
    return 0;
}

enum coding { GZIP, X_GZIP, ZLIB, RAW, BROTLI, ZSTD, CODINGS };

static const char *const names[] = {"gzip", "x-gzip", "deflate", "deflate", "br", "zstd"};

/* Adds text, packed, to what the server says. */
static int pack(enum coding coding, const char *text, size_t size)
{
    said.coding = names[coding];
    switch (coding) {
    case BROTLI: return pack_brotli(text, size, &said.body);
    case ZSTD: return pack_zstd(text, size, &said.body);
    case ZLIB: return pack_zlib(text, size, 15, &said.body);
    case RAW: return pack_zlib(text, size, -15, &said.body);
    default: return pack_zlib(text, size, 15 + 16, &said.body);
    }
}

static int pack_anew(enum coding coding, const char *text, size_t size, size_t piece)
{
    said.body.length = 0;
    said.piece = piece;
    return pack(coding, text, size);
}

static const char *some_text(size_t size)
{
    static char text[1 << 16];
    uint32_t random = 1;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525 + 1013904223;
        text[i] = (char)('a' + (random >> 28));
    }
    return text;
}

/* Reads the body, so many bytes at a time; 0: as a whole. */
static int fetch(coir_http_session *http, size_t piece, coir_buffer *body)
{
    char bytes[512];
    size_t n;
    coir_bytes whole;
    int r;
    COIR_AUTO(coir_http_response) *response = NULL;
    body->length = 0;
    COIR_TRY(coir_http_get(http, "/", NULL, &response));
    if (piece == 0) {
        COIR_TRY(coir_http_response_read(response, &whole));
        return coir_buffer_append(body, whole.data, whole.length);
    }
    while ((r = coir_http_response_read_some(response, bytes, piece, &n)) > 0)
        COIR_TRY(coir_buffer_append(body, bytes, n));
    return r;
}

/* ---- tests ---- */

COIR_TEST(each_coding_in_pieces_of_all_kinds)
{
    enum { SIZE = 3000 };
    static const struct {
        size_t sent, read;
    } rows[] = {{0, 0}, {0, 512}, {1, 0}, {7, 13}, {100, 1}};
    const char *text = some_text(SIZE);
    SERVED(0);
    for (int coding = 0; coding < CODINGS; coding++)
        for (size_t i = 0; i < COIR_COUNT(rows); i++) {
            COIR_REQUIRE_OK(pack_anew((enum coding)coding, text, SIZE, rows[i].sent));
            COIR_EXPECT_OK(fetch(http, rows[i].read, &body));
            if (COIR_EXPECT_EQ(body.length, SIZE))
                COIR_EXPECT_BYTES(body.data, text, SIZE);
        }
    coir_http_session_stats stats;
    coir_http_session_stats_get(http, &stats);
    COIR_EXPECT_EQ(stats.connections, 1); /* each was read to its end */
}

COIR_TEST(nothing_packed_is_nothing)
{
    SERVED(0);
    for (int coding = 0; coding < CODINGS; coding++) {
        COIR_REQUIRE_OK(pack_anew((enum coding)coding, "", 0, 0));
        COIR_EXPECT_OK(fetch(http, 0, &body));
        COIR_EXPECT_EQ(body.length, 0);
    }
}

/* Several members are one body: "cat a.gz b.gz" is packed too. */
COIR_TEST(several_members_are_one_body)
{
    static const enum coding codings[] = {GZIP, ZSTD};
    SERVED(0);
    for (size_t i = 0; i < COIR_COUNT(codings); i++)
        for (size_t piece = 0; piece < 3; piece++) {
            COIR_REQUIRE_OK(pack_anew(codings[i], "one ", 4, piece));
            COIR_REQUIRE_OK(pack(codings[i], "", 0));
            COIR_REQUIRE_OK(pack(codings[i], "two ", 4));
            COIR_REQUIRE_OK(pack(codings[i], "three", 5));
            COIR_EXPECT_OK(fetch(http, piece, &body));
            COIR_EXPECT_STR(coir_buffer_text(&body), "one two three");
        }
}

COIR_TEST(what_is_no_packed_body)
{
    const char *text = some_text(1000);
    SERVED(0);
    for (int coding = 0; coding < CODINGS; coding++) {
        COIR_REQUIRE_OK(pack_anew((enum coding)coding, text, 1000, 0));
        said.body.length -= 5; /* cut */
        COIR_EXPECT_CODE(fetch(http, 0, &body), -COIR_EHTTP);
        COIR_EXPECT_CODE(fetch(http, 100, &body), -COIR_EHTTP);
        COIR_REQUIRE_OK(pack_anew((enum coding)coding, text, 1000, 0));
        COIR_REQUIRE_OK(coir_buffer_append(&said.body, "tail", 4)); /* something behind */
        COIR_EXPECT_CODE(fetch(http, 0, &body), -COIR_EHTTP);
        said.body.length = 0;
        COIR_REQUIRE_OK(coir_buffer_append(&said.body, "\xff plain text \xff\xff\xff\xff", 18));
        COIR_EXPECT_CODE(fetch(http, 0, &body), -COIR_EHTTP);
    }
}

/* The library may read these too, some of them only as a whole. */
COIR_TEST(zstd_from_before_its_rfc)
{
    SERVED(0);
    for (size_t piece = 0; piece < 2; piece++) {
        COIR_REQUIRE_OK(pack_anew(ZSTD, "hello", 5, piece));
        said.body.data[0] = 0x27;
        COIR_EXPECT_CODE(fetch(http, 0, &body), -COIR_EHTTP);
    }
}

COIR_TEST(codings_that_are_not_known_stay)
{
    SERVED(0);
    said.coding = "compress";
    COIR_REQUIRE_OK(coir_buffer_append(&said.body, "as it is", 8));
    COIR_EXPECT_OK(fetch(http, 0, &body));
    COIR_EXPECT_STR(coir_buffer_text(&body), "as it is");
}

/* A megabyte of zeros from a kilobyte: as a whole it is refused, bit by bit it takes no memory. */
COIR_TEST(bombs)
{
    enum { SIZE = 4 << 20, LIMIT = 1 << 20 };
    static const char zeros[SIZE];
    SERVED(.body_limit = LIMIT);
    for (int coding = 0; coding < CODINGS; coding++) {
        COIR_REQUIRE_OK(pack_anew((enum coding)coding, zeros, SIZE, 0));
        COIR_EXPECT_LT(said.body.length, SIZE / 100);
        COIR_EXPECT_CODE(fetch(http, 0, &body), -COIR_ETOOLONG);
        COIR_AUTO(coir_http_response) *response = NULL;
        char bytes[4096];
        size_t n, sum = 0;
        int r;
        COIR_REQUIRE_OK(coir_http_get(http, "/", NULL, &response));
        while ((r = coir_http_response_read_some(response, bytes, sizeof bytes, &n)) > 0)
            sum += n;
        COIR_EXPECT_OK(r);
        COIR_EXPECT_EQ(sum, SIZE);
    }
}

/* ---- streamed bodies ---- */

struct source {
    coir_stream *stream; /* taken over */
    const char *text;
    size_t size, piece;
    coir_time pause;
};

static int pour(void *arg)
{
    struct source *source = arg;
    COIR_AUTO(coir_stream) *stream = COIR_TAKE(source->stream);
    for (size_t at = 0; at < source->size; at += source->piece) {
        size_t left = source->size - at;
        COIR_TRY(coir_sleep(source->pause));
        COIR_TRY(coir_stream_write(stream, source->text + at,
                                   left < source->piece ? left : source->piece));
    }
    return 0;
}

/* Posts what source gives, with that length or in chunks. Its answer is added to body. */
static int post(coir_http_session *http, struct source *source, uint64_t length,
                coir_buffer *ret_body, coir_http_response **ret_response)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    coir_bytes bytes;
    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_stream_pair(0, &stream, &source->stream));
    int r = coir_spawn(&group, pour, source, NULL);
    if (r < 0) {
        coir_stream_abort(COIR_TAKE(source->stream));
        return r;
    }
    const coir_http_request_opts opts = {.stream = stream, .stream_length = length};
    r = coir_http_post(http, "/echo", &opts, ret_response);
    if (r == 0)
        r = coir_http_response_read(*ret_response, &bytes);
    if (r == 0)
        r = coir_buffer_append(ret_body, bytes.data, bytes.length);
    coir_stream_close(COIR_TAKE(stream));
    return coir_group_finish(&group, r);
}

COIR_TEST(streamed_bodies)
{
    enum { SIZE = 60000 };
    static const struct {
        uint64_t length;
        size_t size, piece;
        const char *says;
    } rows[] = {
        {0, SIZE, 1000, "chunked"},
        {0, 0, 1, "chunked"},
        {SIZE, SIZE, 7777, "60000"},
        {SIZE - 5, SIZE, 1000, "59995"}, /* what is behind stays in the stream */
    };
    const char *text = some_text(SIZE);
    SERVED(.no_compression = true);
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        struct source source = {NULL, text, rows[i].size, rows[i].piece, COIR_MS(10)};
        COIR_AUTO(coir_http_response) *response = NULL;
        size_t expected = rows[i].length > 0 ? (size_t)rows[i].length : rows[i].size;
        body.length = 0;
        COIR_REQUIRE_OK(post(http, &source, rows[i].length, &body, &response));
        COIR_EXPECT_STR(coir_http_response_header(response, "X-Length"), rows[i].says);
        if (COIR_EXPECT_EQ(body.length, expected))
            COIR_EXPECT_BYTES(body.data, text, expected);
    }
}

/* The server has been told of more than comes: the connection is closed, the failure told. */
COIR_TEST(a_stream_that_ends_too_early)
{
    struct source source = {NULL, some_text(100), 100, 10, 0};
    SERVED(0);
    COIR_AUTO(coir_http_response) *response = NULL;
    int r = post(http, &source, 200, &body, &response);
    COIR_EXPECT_CODE(r, -COIR_EEOF);
    COIR_EXPECT_CONTAINS(coir_last_message(r), "the stream of the body ended too early");
    coir_http_session_stats stats;
    coir_http_session_stats_get(http, &stats);
    COIR_EXPECT_EQ(stats.idle, 0);
}
