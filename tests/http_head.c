/* http_head.c: tests of heads of messages as data: bytes in, a verdict out. What RFC 9112 says must
 * be refused is refused, with the status that a server answers, and each limit holds at -1, 0, +1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/testing.h>

#include "http/message/message.h"

static struct coir__http_head head;

/* Parses text as a request. Returns 200 for one that is whole and good, 0 for more, or the status
 * of the refusal. */
static int verdict_of(const char *text, size_t length, bool response)
{
    size_t size = 0;
    int status = 0;
    const char *wrong = NULL;
    char *copy = malloc(length + (length == 0)); /* its bounds are seen by ASan */
    memcpy(copy, text, length);
    int r = coir__http_parse_head(&head, response, (coir_bytes){copy, length}, &coir__http_limits,
                                  &size, &status, &wrong);
    free(copy);
    COIR_EXPECT_EQ(r < 0, wrong != NULL);
    if (r == 1)
        COIR_EXPECT_EQ(size, length);
    return r == 1 ? 200 : r == 0 ? 0 : status;
}

struct row {
    int expected;
    const char *text;
};

static void check_rows(const struct row *rows, size_t count, bool response)
{
    for (size_t i = 0; i < count; i++)
        if (!COIR_EXPECT_EQ(verdict_of(rows[i].text, strlen(rows[i].text), response),
                            rows[i].expected))
            printf("    of: %s\n", rows[i].text);
    coir__http_head_free(&head);
}

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST

COIR_TEST(request_lines)
{
    static const struct row rows[] = {
        {200, GET "\r\n"},
        {0, GET},
        {0, ""},
        {0, "G"},
        {200, "\r\n" GET "\r\n"},
        {400, "\r\n\r\n" GET "\r\n"},
        {200, "GET / HTTP/1.0\r\n\r\n"},
        {505, "GET / HTTP/1.2\r\n" HOST "\r\n"},
        {505, "GET / HTTP/2.0\r\n" HOST "\r\n"},
        {400, "GET / http/1.1\r\n" HOST "\r\n"},
        {400, "GET  / HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /  HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET / HTTP/1.1 \r\n" HOST "\r\n"},
        {400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /a b HTTP/1.1\r\n" HOST "\r\n"},
        {501, "get / HTTP/1.1\r\n" HOST "\r\n"},
        {501, "FROBNICATE / HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /\x01 HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /\x80 HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /# HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET /\\ HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET a HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET * HTTP/1.1\r\n" HOST "\r\n"},
        {200, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"},
        {200, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"},
        {400, "CONNECT /a HTTP/1.1\r\n" HOST "\r\n"},
        {200, "GET http://a/b HTTP/1.1\r\n" HOST "\r\n"},
        {200, "GET http://A HTTP/1.1\r\n" HOST "\r\n"},
        {200, "GET http://a?b HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET http://b/ HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"},
        {400, "GET / HTTP/1.1\n" HOST "\r\n"},
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {0, "\r"},
        {400, "\rGET"},
        {0, "GET / HTTP"},
        {400, "GET / HTTP\r\n"},
        {400, "GET / HTTP/1.1\rx"},
        {0, GET "\r"},
        {400, GET "\rx"},
        {400, "\x16\x03\x01"},
    };
    check_rows(rows, COIR_COUNT(rows), false);
}

COIR_TEST(hosts)
{
    static const struct row rows[] = {
        {400, GET "Host: a\r\n\r\n"},
        {400, GET "host: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
        {200, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"},
    };
    check_rows(rows, COIR_COUNT(rows), false);
}

COIR_TEST(header_lines)
{
    static const struct row rows[] = {
        {200, GET "a:\r\n\r\n"},          {200, GET "a: \t b \t\r\n\r\n"},
        {200, GET "a: \xc3\xa4\r\n\r\n"}, {400, GET "a : b\r\n\r\n"},
        {400, GET " a: b\r\n\r\n"},       {400, GET "a: b\r\n c\r\n\r\n"},
        {400, GET "a: b\r\n\tc\r\n\r\n"}, {400, GET ": b\r\n\r\n"},
        {400, GET "a\r\n\r\n"},           {400, GET "a b: c\r\n\r\n"},
        {400, GET "a\xc3: b\r\n\r\n"},    {400, GET "a: b\nc: d\r\n\r\n"},
        {400, GET "a: b\rc: d\r\n\r\n"},  {400, GET "a: b\r\r\n\r\n"},
        {400, GET "a: \x7f\r\n\r\n"},     {400, GET "a: \x01\r\n\r\n"},
        {400, GET "a(: b\r\n\r\n"},       {400, GET "\n"},
    };
    check_rows(rows, COIR_COUNT(rows), false);
}

COIR_TEST(lengths)
{
    static const struct row rows[] = {
        {200, GET "Content-Length: 0\r\n\r\n"},
        {200, GET "Content-Length: 9223372036854775807\r\n\r\n"},
        {400, GET "Content-Length: 9223372036854775808\r\n\r\n"},
        {400, GET "Content-Length: 18446744073709551616\r\n\r\n"},
        {400, GET "Content-Length: 99999999999999999999999999\r\n\r\n"},
        {400, GET "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
        {400, GET "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"},
        {400, GET "Content-Length: 5, 5\r\n\r\n"},
        {400, GET "Content-Length: +5\r\n\r\n"},
        {400, GET "Content-Length: -5\r\n\r\n"},
        {400, GET "Content-Length: 5 5\r\n\r\n"},
        {400, GET "Content-Length: 0x5\r\n\r\n"},
        {400, GET "Content-Length: 5.0\r\n\r\n"},
        {400, GET "Content-Length:\r\n\r\n"},
        {400, GET "Content-Length: \"5\"\r\n\r\n"},
    };
    check_rows(rows, COIR_COUNT(rows), false);
}

COIR_TEST(transfer_codings)
{
    static const struct row rows[] = {
        {200, GET "Transfer-Encoding: chunked\r\n\r\n"},
        {200, GET "transfer-encoding: CHUNKED\r\n\r\n"},
        {400, GET "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
        {400, GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, GET "Transfer-Encoding:\r\n\r\n"},
        {501, GET "Transfer-Encoding: gzip\r\n\r\n"},
        {417, GET "Expect: a pony\r\n\r\n"},
        {200, GET "Expect: 100-Continue\r\n\r\n"},
    };
    check_rows(rows, COIR_COUNT(rows), false);
}

/* Codings that are not understood: 501 for what could be one, 400 for what llhttp calls wrong. */
COIR_TEST(transfer_codings_that_are_none)
{
    static const char *const values[] = {
        "gzip",
        "chunked, gzip",
        "gzip, chunked",
        "chunked, chunked",
        "xchunked",
        "chunked;q=1",
        "identity",
        "chunked,",
        ", chunked",
        ("\x0b"
         "chunked"),
        "chunked\x0b",
        "\"chunked\"",
        "chunked chunked",
        "",
    };
    for (size_t i = 0; i < COIR_COUNT(values); i++) {
        char text[200];
        int length =
            snprintf(text, sizeof text, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: %s\r\n\r\n",
                     values[i]);
        int verdict = verdict_of(text, (size_t)length, false);
        if (!COIR_EXPECT(verdict == 400 || verdict == 501))
            printf("    of: %s: %d\n", values[i], verdict);
    }
    coir__http_head_free(&head);
}

COIR_TEST(bytes_of_value_0)
{
    static const char text[] = GET "a: b\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        char broken[sizeof text];
        memcpy(broken, text, sizeof text);
        broken[i] = '\0';
        int verdict = verdict_of(broken, sizeof text - 1, false);
        COIR_EXPECT(verdict >= 400 || (verdict == 0 && i >= sizeof text - 5));
    }
    coir__http_head_free(&head);
}

/* Each byte at each place of a value that is longer than what is looked at in one step. */
COIR_TEST(bytes_in_values)
{
    char value[20];
    for (unsigned byte = 0; byte < 256; byte++) {
        bool good = (byte >= ' ' && byte != 0x7f) || byte == '\t';
        for (size_t at = 0; at < sizeof value; at++) {
            memset(value, '~', sizeof value);
            value[at] = (char)byte;
            if (!COIR_EXPECT_EQ(coir__http_is_value(value, sizeof value), good))
                printf("    of %u at %zu\n", byte, at);
        }
    }
}

/* A head that is cut anywhere is not there yet, never something else. */
COIR_TEST(cut_anywhere)
{
    static const char text[] = "POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n";
    for (size_t i = 0; i < sizeof text - 1; i++)
        COIR_EXPECT_EQ(verdict_of(text, i, false), 0);
    COIR_EXPECT_EQ(verdict_of(text, sizeof text - 1, false), 200);
    coir__http_head_free(&head);
}

COIR_TEST(what_was_parsed)
{
    static const char text[] = "POST http://a.example/x/y?z=1 HTTP/1.1\r\nHost: A.example\r\n"
                               "X-One:1\r\nX-Two: \t two words \t\r\nX-None:\r\n"
                               "Connection: foo, Upgrade\r\nUpgrade: websocket\r\n"
                               "Content-Length: 12\r\nExpect: 100-continue\r\n\r\n";
    COIR_REQUIRE_EQ(verdict_of(text, sizeof text - 1, false), 200);
    COIR_EXPECT_STR(head.method, "POST");
    COIR_EXPECT_STR(head.target, "/x/y?z=1");
    COIR_EXPECT_EQ(head.minor, 1);
    COIR_EXPECT_EQ(head.count, 8);
    COIR_EXPECT_STR(coir_http_header_get(head.headers, "x-one"), "1");
    COIR_EXPECT_STR(coir_http_header_get(head.headers, "X-TWO"), "two words");
    COIR_EXPECT_STR(coir_http_header_get(head.headers, "X-None"), "");
    COIR_EXPECT_PTR(coir_http_header_get(head.headers, "X-Three"), NULL);
    COIR_EXPECT(head.keep_alive && head.upgrade && head.expects && head.has_length);
    COIR_EXPECT(!head.chunked);
    COIR_EXPECT_EQ(head.length, 12);
    /* the same again has nothing of it */
    static const char next[] = "GET / HTTP/1.0\r\n\r\n";
    COIR_REQUIRE_EQ(verdict_of(next, sizeof next - 1, false), 200);
    COIR_EXPECT(!head.keep_alive && !head.upgrade && !head.expects && !head.has_length);
    COIR_EXPECT_EQ(head.count, 0);
    coir__http_head_free(&head);
}

COIR_TEST(who_keeps_alive)
{
    static const struct {
        const char *text;
        bool expected;
    } rows[] = {
        {GET "\r\n", true},
        {GET "Connection: close\r\n\r\n", false},
        {GET "Connection: keep-alive, Close\r\n\r\n", false},
        {GET "Connection: a\r\nConnection: close\r\n\r\n", false},
        {GET "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_EXPECT_EQ(verdict_of(rows[i].text, strlen(rows[i].text), false), 200);
        COIR_EXPECT_EQ(head.keep_alive, rows[i].expected);
    }
    coir__http_head_free(&head);
}

/* ---- limits ---- */

/* A head whose first line, without CR and LF, has line bytes, with count headers more of size bytes
 * each, CR and LF included. */
static int with(size_t line, size_t count, size_t size)
{
    static char text[1 << 17];
    size_t length = (size_t)snprintf(text, sizeof text, "GET /");
    memset(text + length, 'x', line - 14);
    length = line - 9;
    length += (size_t)snprintf(text + length, 32, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < count; i++) {
        memset(text + length, 'y', size);
        memcpy(text + length, "n: ", 3);
        memcpy(text + length + size - 2, "\r\n", 2);
        length += size;
    }
    memcpy(text + length, "\r\n", 2);
    return verdict_of(text, length + 2, false);
}

COIR_TEST(limits)
{
    COIR_EXPECT_EQ(with(8191, 0, 0), 200);
    COIR_EXPECT_EQ(with(8192, 0, 0), 200);
    COIR_EXPECT_EQ(with(8193, 0, 0), 414);
    COIR_EXPECT_EQ(with(20, 98, 10), 200);
    COIR_EXPECT_EQ(with(20, 99, 10), 200);
    COIR_EXPECT_EQ(with(20, 100, 10), 431);
    size_t host = strlen("Host: a\r\n");
    COIR_EXPECT_EQ(with(20, 1, 32767 - host), 200);
    COIR_EXPECT_EQ(with(20, 1, 32768 - host), 200);
    COIR_EXPECT_EQ(with(20, 1, 32769 - host), 431);
    coir__http_head_free(&head);
}

/* What has no end is refused as soon as it is too long. */
COIR_TEST(limits_without_an_end)
{
    static char text[1 << 16];
    memset(text, 'x', sizeof text);
    memcpy(text, "GET /", 5);
    COIR_EXPECT_EQ(verdict_of(text, 8194, false), 0);
    COIR_EXPECT_EQ(verdict_of(text, 8195, false), 414);
    memset(text, 'X', 5);
    COIR_EXPECT_EQ(verdict_of(text, 8194, false), 0);
    COIR_EXPECT_EQ(verdict_of(text, 8195, false), 400); /* there is no target that is too long */
    memcpy(text, "GET / HTTP/1.1\r\na: ", 19);
    COIR_EXPECT_EQ(verdict_of(text, 16 + 32768 + 2, false), 0);
    COIR_EXPECT_EQ(verdict_of(text, 16 + 32768 + 3, false), 431);
    coir__http_head_free(&head);
}

/* ---- responses ---- */

#define OK "HTTP/1.1 200 OK\r\n"

COIR_TEST(responses)
{
    static const struct row rows[] = {
        {200, OK "\r\n"},
        {200, "HTTP/1.1 200 \r\n\r\n"},
        {200, "HTTP/1.0 404 Not Found\r\n\r\n"},
        {200, "HTTP/1.1 200 \xc3\xa4\r\n\r\n"},
        {400, "HTTP/1.1 20 OK\r\n\r\n"},
        {400, "HTTP/1.1 2000 OK\r\n\r\n"},
        {400, "HTTP/1.1 099 OK\r\n\r\n"},
        {400, "HTTP/1.1 600 OK\r\n\r\n"},
        {200, "HTTP/1.1 200\r\n\r\n"},
        {505, "HTTP/2.0 200 OK\r\n\r\n"},
        {400, "HTTPS/1.1 200 OK\r\n\r\n"},
        {400, "HTTP/1.1  200 OK\r\n\r\n"},
        {400, "HTTP/1.1 200 OK\n\r\n"},
        {400, "ICY 200 OK\r\n\r\n"},
        {400, OK "a : b\r\n\r\n"},
        {400, OK "a: b\r\n c\r\n\r\n"},
        {400, OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
        {400, OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, OK "Content-Length: x\r\n\r\n"},
        {200, OK "Transfer-Encoding: chunked\r\n\r\n"},
        {400, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {0, "HTTP/1.1 200 OK\r\n"},
        {0, "HTTP/1.1 20"},
        {400, "HTTP/1.1 20\n"},
        {400, "HTTP/1.1 200x"},
    };
    check_rows(rows, COIR_COUNT(rows), true);
    COIR_REQUIRE_EQ(verdict_of("HTTP/1.1 503 Come back later\r\na: b\r\n\r\n", 38, true), 200);
    COIR_EXPECT_EQ(head.status, 503);
    COIR_EXPECT_STR(head.reason, "Come back later");
    COIR_EXPECT_STR(coir_http_header_get(head.headers, "a"), "b");
    coir__http_head_free(&head);
}

/* ---- dates ---- */

COIR_TEST(dates)
{
    char text[COIR_HTTP_DATE_TEXT];
    int64_t seconds = 0;
    coir_http_date_format(784111777, text);
    COIR_EXPECT_STR(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < COIR_COUNT(good); i++) {
        COIR_EXPECT_OK(coir_http_date_parse(good[i], &seconds));
        COIR_EXPECT_EQ(seconds, 784111777);
    }
    static const char *const bad[] = {"",
                                      "now",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "784111777",
                                      "Sun, 32 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMT;"};
    for (size_t i = 0; i < COIR_COUNT(bad); i++)
        COIR_EXPECT_CODE(coir_http_date_parse(bad[i], &seconds), -EINVAL);
}
