/* net_proxy.c: tests of the PROXY protocol: what is understood, what is refused and how early, and
 * what is left of the stream. */
#include <coir/proxy.h>
#include <coir/stream_pair.h>

#include "net/proxy.h"
#include "net_pair.h"

#define MARK "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) text, sizeof(text) - 1

struct row {
    const char *data;
    size_t length;
    const char *source, *destination; /* "": unknown; NULL: it is refused */
    bool local;
};

#define SOURCE_6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define TARGET_6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define PORTS "\x30\x39\x01\xbb"
#define FOUR "\xc0\0\x02\x07\xc6\x33\x64\x02" PORTS

static const struct row rows[] = {
    {BYTES("PROXY TCP4 192.0.2.7 198.51.100.2 12345 443\r\n"), "192.0.2.7:12345",
     "198.51.100.2:443", false},
    {BYTES("PROXY TCP6 2001:db8::7 2001:db8::2 12345 443\r\n"), "[2001:db8::7]:12345",
     "[2001:db8::2]:443", false},
    {BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), "0.0.0.0:0", "255.255.255.255:65535",
     false},
    {BYTES("PROXY UNKNOWN\r\n"), "", "", false},
    {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "", "", false},
    {BYTES(MARK "\x21\x11\0\x0c" FOUR), "192.0.2.7:12345", "198.51.100.2:443", false},
    {BYTES(MARK "\x21\x12\0\x0c" FOUR), "192.0.2.7:12345", "198.51.100.2:443", false},
    {BYTES(MARK "\x21\x11\0\x10" FOUR "\x04\0\x01x"), "192.0.2.7:12345", "198.51.100.2:443", false},
    {BYTES(MARK "\x21\x21\0\x24" SOURCE_6 TARGET_6 PORTS), "[2001:db8::7]:12345",
     "[2001:db8::2]:443", false},
    {BYTES(MARK "\x20\x11\0\x0c" FOUR), "", "", true},
    {BYTES(MARK "\x20\0\0\0"), "", "", true},
    {BYTES(MARK "\x21\0\0\x03xyz"), "", "", false},
    /* refused */
    {BYTES("GET / HTTP/1.1\r\n"), NULL, NULL, false},
    {BYTES("PROXX"), NULL, NULL, false},
    {BYTES("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1\r 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"), NULL, NULL, false},
    {BYTES("PROXY UNKNOWNS\r\n"), NULL, NULL, false},
    {BYTES("PROXY \r\n"), NULL, NULL, false},
    {BYTES("PROXY \n"), NULL, NULL, false},
    {BYTES(MARK "\x11\x11\0\x0c" FOUR), NULL, NULL, false},
    {BYTES(MARK "\x22\x11\0\x0c" FOUR), NULL, NULL, false},
    {BYTES(MARK "\x21\x41\0\x0c" FOUR), NULL, NULL, false},
    {BYTES(MARK "\x21\x13\0\x0c" FOUR), NULL, NULL, false},
    {BYTES(MARK "\x21\x21\0\x0c" FOUR), NULL, NULL, false},
    {BYTES(MARK "\x21\x31\0\x0c" FOUR), NULL, NULL, false},
    {BYTES("\r\n\r\n\0\r\nQUIT\r"), NULL, NULL, false},
};

static void expect_address(const coir_address *address, const char *wanted)
{
    char text[COIR_ADDRESS_TEXT] = "";
    if (address->length > 0)
        coir_address_format(address, text, sizeof text);
    COIR_EXPECT_STR(text, wanted);
}

/* Whole, with something behind, and from each of its parts. */
COIR_TEST_TAGGED(what_headers_say, "no_torture")
{
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        coir_proxy proxy;
        size_t size;
        const char *wrong = NULL;
        char data[256];
        memcpy(data, row->data, row->length);
        data[row->length] = 'x';
        int r = coir__proxy_parse(data, row->length + 1, &proxy, &size, &wrong);
        if (row->source == NULL) {
            COIR_EXPECT_CODE(r, -EPROTO);
            COIR_EXPECT(wrong != NULL);
            continue;
        }
        COIR_REQUIRE_EQ(r, 1);
        COIR_EXPECT_EQ(size, row->length);
        COIR_EXPECT_EQ(proxy.local, row->local);
        expect_address(&proxy.source, row->source);
        expect_address(&proxy.destination, row->destination);
        for (size_t part = 0; part < row->length; part++) {
            COIR_EXPECT_EQ(coir__proxy_parse(data, part, &proxy, &size, &wrong), 0);
            COIR_EXPECT_GT(size, part);
        }
    }
}

COIR_TEST_TAGGED(unix_addresses, "no_torture")
{
    unsigned char data[16 + 216] = MARK "\x21\x31\0\xd8";
    coir_proxy proxy;
    size_t size;
    const char *wrong;
    memcpy(data + 16, "/run/web", 8);
    memcpy(data + 16 + 108, "\0name", 5);
    COIR_REQUIRE_EQ(coir__proxy_parse(data, sizeof data, &proxy, &size, &wrong), 1);
    expect_address(&proxy.source, "/run/web");
    expect_address(&proxy.destination, "@name");
    memset(data + 16, 'x', 108);     /* a path without an end */
    memset(data + 16 + 108, 0, 108); /* no name */
    COIR_REQUIRE_EQ(coir__proxy_parse(data, sizeof data, &proxy, &size, &wrong), 1);
    COIR_EXPECT_EQ(proxy.source.length, 2 + 108);
    expect_address(&proxy.destination, "unix");
}

/* The limits, one below and one above. */
COIR_TEST_TAGGED(limits_of_headers, "no_torture")
{
    static char text[128] = "PROXY UNKNOWN ";
    static unsigned char binary[COIR_PROXY_MOST] = MARK "\x21\x11";
    coir_proxy proxy;
    size_t size;
    const char *wrong;
    memset(text + 14, 'x', sizeof text - 14);
    COIR_EXPECT_EQ(coir__proxy_parse(text, 106, &proxy, &size, &wrong), 0);
    COIR_EXPECT_CODE(coir__proxy_parse(text, 107, &proxy, &size, &wrong), -EPROTO);
    memcpy(text + 105, "\r\n", 2);
    COIR_EXPECT_EQ(coir__proxy_parse(text, sizeof text, &proxy, &size, &wrong), 1);
    COIR_EXPECT_EQ(size, 107);
    binary[14] = (COIR_PROXY_MOST - 16) >> 8;
    binary[15] = (COIR_PROXY_MOST - 16) & 255;
    COIR_EXPECT_EQ(coir__proxy_parse(binary, sizeof binary - 1, &proxy, &size, &wrong), 0);
    COIR_EXPECT_EQ(coir__proxy_parse(binary, sizeof binary, &proxy, &size, &wrong), 1);
    binary[15]++;
    COIR_EXPECT_CODE(coir__proxy_parse(binary, 16, &proxy, &size, &wrong), -COIR_ETOOLONG);
}

/* ---- on a stream ---- */

struct slow_writer {
    coir_stream *stream;
    const char *data;
    size_t length;
};

static int write_slowly(void *arg)
{
    struct slow_writer *writer = arg;
    for (size_t i = 0; i < writer->length; i++) {
        COIR_TRY(coir_stream_write(writer->stream, writer->data + i, 1));
        COIR_TRY(coir_sleep(COIR_MS(1)));
    }
    return 0;
}

COIR_TEST(byte_by_byte_and_what_follows)
{
    static const size_t picked[] = {0, 7};
    for (size_t i = 0; i < COIR_COUNT(picked); i++) {
        const struct row *row = &rows[picked[i]];
        COIR_AUTO(coir_stream) *a = NULL;
        COIR_AUTO(coir_stream) *b = NULL;
        COIR_REQUIRE_OK(coir_stream_pair(0, &a, &b));
        COIR_GROUP(group);
        struct slow_writer writer = {a, row->data, row->length};
        coir_proxy proxy;
        char rest[5] = "";
        COIR_REQUIRE_OK(coir_spawn(&group, write_slowly, &writer, NULL));
        COIR_REQUIRE_OK(coir_proxy_read(b, NULL, &proxy));
        expect_address(&proxy.source, row->source);
        COIR_REQUIRE_OK(coir_group_wait(&group));
        COIR_REQUIRE_OK(coir_stream_write(a, "rest", 4));
        COIR_REQUIRE_OK(coir_stream_read_exactly(b, rest, 4));
        COIR_EXPECT_STR(rest, "rest");
    }
}

COIR_TEST(header_and_more_at_once)
{
    PAIR(BY_TCP, client, server);
    static const char sent[] = "PROXY TCP4 192.0.2.7 198.51.100.2 12345 443\r\nhello\n";
    coir_proxy proxy;
    coir_bytes line;
    COIR_REQUIRE_OK(coir_stream_write(client, sent, sizeof sent - 1));
    COIR_REQUIRE_OK(coir_proxy_read(server, NULL, &proxy));
    expect_address(&proxy.source, "192.0.2.7:12345");
    COIR_REQUIRE_OK(coir_stream_read_line(server, 0, &line));
    COIR_EXPECT_EQ(line.length, 5);
}

COIR_TEST(what_does_not_come)
{
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    coir_proxy proxy;
    COIR_REQUIRE_OK(coir_stream_pair(0, &a, &b));
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_stream_write(a, "PROXY TCP4 ", 11));
    COIR_EXPECT_CODE(coir_proxy_read(b, NULL, &proxy), -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(5));
    coir_proxy_opts opts = {.limit = COIR_MS(10)};
    COIR_EXPECT_CODE(coir_proxy_read(b, &opts, &proxy), -ETIMEDOUT);
    COIR_DEADLINE(COIR_MS(5));
    COIR_EXPECT_CODE(coir_proxy_read(b, &opts, &proxy), -ETIME); /* that was mine */
}

COIR_TEST(what_ends_too_early_or_is_something_else)
{
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    coir_proxy proxy;
    coir_bytes bytes;
    COIR_REQUIRE_OK(coir_stream_pair(0, &a, &b));
    COIR_REQUIRE_OK(coir_stream_write(a, "G", 1)); /* one byte is enough to know */
    COIR_EXPECT_CODE(coir_proxy_read(b, NULL, &proxy), -EPROTO);
    COIR_EXPECT_CONTAINS(coir_last_message(-EPROTO), "does not begin with one");
    COIR_REQUIRE_OK(coir_stream_peek(b, 1, &bytes)); /* nothing was taken */
    coir_stream_consume(b, 1);
    COIR_REQUIRE_OK(coir_stream_write(a, "PROXY", 5));
    coir_stream_close(COIR_TAKE(a));
    COIR_EXPECT_CODE(coir_proxy_read(b, NULL, &proxy), -COIR_EEOF);
    COIR_EXPECT_CODE(coir_proxy_read(NULL, NULL, &proxy), -EINVAL);
    COIR_EXPECT_CODE(coir_proxy_read(b, NULL, NULL), -EINVAL);
}
