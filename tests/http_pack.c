/* http_pack.c: tests of packed replies: which coding a client gets, what is never packed, and that
 * what comes out is what went in, as a whole and piece by piece.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/client/session.h"

#include "files.h"
#include "http_kit.h"

#define ACCEPT(path, accept)                                                                       \
    "GET " path " HTTP/1.1\r\n" HOST "Connection: close\r\nAccept-Encoding: " accept "\r\n\r\n"

enum { LONG = 300000 };

static const char *long_text(void)
{
    static char text[LONG + 1];
    for (size_t i = 0; text[0] == '\0' || i % LONG > 0; i++)
        text[i] = (char)('a' + i * i / 7 % 19);
    return text;
}

/* ---- taking replies apart ---- */

/* The value of the first header of that name in a head; "" when it is not there. */
static const char *value_of(const char *head, const char *name)
{
    static char value[100];
    char wanted[60];
    (void)snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    const char *at = strstr(head, wanted);
    at = at != NULL ? at + strlen(wanted) : "\r\n";
    (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

/* Adds the contents of the chunks at text; they must be whole. */
static int take_chunks(const char *text, const char *end, coir_buffer *body)
{
    for (;;) {
        char *line_end;
        size_t size = strtoul(text, &line_end, 16);
        text = line_end + 2;
        if (size > (size_t)(end - text))
            return coir_fail(-EBADMSG, "a chunk is cut");
        COIR_TRY(coir_buffer_append(body, text, size));
        text += size + 2;
        if (size == 0)
            return text == end ? 0 : coir_fail(-EBADMSG, "something is behind the last chunk");
    }
}

/* Unpacks all of bytes, of which nothing may be left. */
static int unpack_all(const char *coding, coir_bytes bytes, coir_buffer *text)
{
    struct coir__unpack *unpack = NULL;
    char data[5000];
    int r = coir__unpack_open(coding, &unpack);
    r = r == 0 ? -EBADMSG : r;
    while (r > 0) {
        size_t used, made;
        r = coir__unpack_some(unpack, bytes, data, sizeof data, &used, &made);
        if (r >= 0 && coir_buffer_append(text, data, made) < 0)
            r = -ENOMEM;
        bytes.data = (const char *)bytes.data + used;
        bytes.length -= used;
        if (r > 0 && used == 0 && made == 0)
            r = -EBADMSG;
    }
    coir__unpack_close(unpack);
    return r == 0 && bytes.length > 0 ? coir_fail(-EBADMSG, "something is behind its end") : r;
}

/* Asks, and gives the head of the one reply, and its body as it was before it was packed. */
static int ask_for(coir_http_app *app, const char *input, coir_buffer *head, coir_buffer *body)
{
    COIR_AUTO(coir_buffer) all = {0};
    COIR_AUTO(coir_buffer) packed = {0};
    COIR_TRY(visit(app, input, &all));
    const char *text = coir_buffer_text(&all), *end = text + all.length;
    const char *split = strstr(text, "\r\n\r\n");
    if (split == NULL)
        return coir_fail(-EBADMSG, "there is no head");
    split += 4;
    COIR_TRY(coir_buffer_append(head, text, (size_t)(split - text)));
    if (strcmp(value_of(coir_buffer_text(head), "Transfer-Encoding"), "chunked") == 0)
        COIR_TRY(take_chunks(split, end, &packed));
    else if (split < end)
        COIR_TRY(coir_buffer_append(&packed, split, (size_t)(end - split)));
    const char *coding = value_of(coir_buffer_text(head), "Content-Encoding");
    if (coding[0] == '\0')
        return coir_buffer_append(body, packed.data, packed.length);
    return unpack_all(coding, (coir_bytes){packed.data, packed.length}, body);
}

/* Asks, and expects that coding, "" for none, and that body. */
static void expect_coding(coir_http_app *app, const char *input, const char *coding,
                          const char *body)
{
    COIR_AUTO(coir_buffer) head = {0};
    COIR_AUTO(coir_buffer) text = {0};
    if (!COIR_EXPECT_OK(ask_for(app, input, &head, &text)))
        return;
    if (!COIR_EXPECT_STR(value_of(coir_buffer_text(&head), "Content-Encoding"), coding))
        printf("  for %s", input);
    COIR_EXPECT_EQ(text.length, strlen(body));
    COIR_EXPECT(strcmp(coir_buffer_text(&text), body) == 0);
}

/* ---- codings ---- */

static int send_long(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/plain", long_text(), LONG);
}

COIR_TEST(clients_get_what_they_like_best)
{
    static const char *const rows[][2] = {
        {"gzip", "gzip"},
        {"x-gzip", "gzip"},
        {"GZIP", "gzip"},
        {"br", "br"},
        {"zstd", "zstd"},
        {"gzip, deflate, br, zstd", "br"},
        {"gzip, zstd", "zstd"},
        {"gzip;q=0.9, br;q=0.8", "gzip"},
        {"gzip; q=0.100 ,br ;q=0.09", "gzip"},
        {"gzip;q=1.000, br;q=0.999", "gzip"},
        {"*", "br"},
        {"*;q=0.5, br;q=0", "zstd"},
        {"br;q=0, zstd;q=0.0, gzip;q=0.000", ""},
        {"*;q=0", ""},
        {"", ""},
        {"identity", ""},
        {"deflate", ""},
        {"compress, brotli", ""},
        {"gzip;q=0.5, identity", ""},
        {"gzip;q=0.5, identity;q=0.4", "gzip"},
        {"gzip;q=0.5, identity;q=0.5", "gzip"},
        {"gzip;level=9;q=0", ""},
        {"gzip;q=2", ""},
        {"gzip;q=1.1", ""},
        {"gzip;q=", ""},
        {"gzip;q=0.1234", ""},
        {",, ,gzip,", "gzip"},
        {"deflate\r\nAccept-Encoding: gzip", "gzip"},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", send_long);
    expect_coding(app, "GET / HTTP/1.0\r\n\r\n", "", long_text());
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        char input[300];
        (void)snprintf(input, sizeof input, ACCEPT("/", "%s"), rows[i][0]);
        expect_coding(app, input, rows[i][1], long_text());
    }
}

static uint64_t blocks_held(void)
{
    struct coir_loop_stats stats;
    coir_loop_stats(coir_loop_current(), &stats);
    return stats.memory;
}

static int send_little(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/plain", long_text() + LONG - 2000, 2000);
}

/* Brotli's large blocks are there for the next reply, long or short, and do not become more. */
COIR_TEST(the_memory_of_a_packer_serves_again)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", send_long);
    coir_http_app_get(app, "/little", send_little);
    expect_coding(app, ACCEPT("/", "identity"), "", long_text());
    uint64_t without = blocks_held();
    expect_coding(app, ACCEPT("/", "br"), "br", long_text());
    uint64_t with = blocks_held();
    COIR_EXPECT_GE(with, without + 5);
    for (int i = 0; i < 4; i++) {
        expect_coding(app, ACCEPT("/", "br"), "br", long_text());
        COIR_EXPECT_EQ(blocks_held(), with);
    }
    for (int i = 0; i < 4; i++) {
        expect_coding(app, ACCEPT("/little", "br"), "br", long_text() + LONG - 2000);
        expect_coding(app, ACCEPT("/", "br"), "br", long_text());
        COIR_EXPECT_LE(blocks_held(), with + 3);
    }
}

/* ---- what is packed ---- */

static int reply_as_asked(coir_http_request *request)
{
    const char *type = coir_http_request_query(request, "type");
    const char *name = coir_http_request_query(request, "name");
    const char *value = coir_http_request_query(request, "value");
    const char *size = coir_http_request_query(request, "size");
    const char *status = coir_http_request_query(request, "status");
    const char *packed = coir_http_request_query(request, "packed");
    if (name != NULL)
        COIR_TRY(coir_http_reply_header(request, name, value));
    if (packed != NULL)
        COIR_TRY(coir_http_reply_compress(request, packed[0] == 'y'));
    return coir_http_reply(request, status != NULL ? (int)strtol(status, NULL, 10) : 200, type,
                           long_text(), size != NULL ? strtoul(size, NULL, 10) : 2000);
}

COIR_TEST(some_replies_are_never_packed)
{
    static const struct {
        const char *query, *coding, *vary;
    } rows[] = {
        {"type=text/html", "gzip", "Accept-Encoding"},
        {"type=TEXT/html;+charset=x", "gzip", "Accept-Encoding"},
        {"type=application/json", "gzip", "Accept-Encoding"},
        {"type=image/svg%2bxml", "gzip", "Accept-Encoding"},
        {"type=image/png", "", ""},
        {"type=text", "", ""},
        {"type=application/jsonx", "", ""},
        {"type=text/event-stream", "", ""},
        {"x=1", "", ""},
        {"name=Content-Type&value=text/css", "gzip", "Accept-Encoding"},
        {"type=text/html&name=Content-Type&value=image/png", "", ""},
        {"type=text/html&name=Content-Encoding&value=br", "br", ""},
        {"type=text/html&name=Content-Range&value=bytes+0-1/2", "", ""},
        {"type=text/html&name=Cache-Control&value=public,+no-transform", "", ""},
        {"type=text/html&name=Cache-Control&value=public", "gzip", "Accept-Encoding"},
        {"type=text/html&status=204", "", ""},
        {"type=text/html&status=206", "", ""},
        {"type=text/html&status=304", "", "Accept-Encoding"},
        {"type=text/html&status=404", "gzip", "Accept-Encoding"},
        {"type=text/html&size=1023", "", ""},
        {"type=text/html&size=1024", "gzip", "Accept-Encoding"},
        {"type=text/html&packed=no", "", ""},
        {"type=image/png&packed=yes", "gzip", "Accept-Encoding"},
        {"packed=yes&name=Content-Encoding&value=x", "x", ""},
        {"type=text/html&name=Vary&value=Cookie", "gzip", "Cookie"},
        {"type=text/html&name=Vary&value=*", "gzip", "*"},
        {"type=text/html&name=ETag&value=%22a%22", "gzip", "Accept-Encoding"},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", reply_as_asked);
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_AUTO(coir_buffer) text = {0};
        char input[300];
        (void)snprintf(input, sizeof input, ACCEPT("/?%s", "gzip"), rows[i].query);
        COIR_REQUIRE_OK(visit(app, input, &text));
        bool good =
            COIR_EXPECT_STR(value_of(coir_buffer_text(&text), "Content-Encoding"), rows[i].coding);
        good &= COIR_EXPECT_STR(value_of(coir_buffer_text(&text), "Vary"), rows[i].vary);
        if (!good)
            printf("  for %s\n", rows[i].query);
        bool bodiless = strstr(rows[i].query, "status=204") || strstr(rows[i].query, "status=304");
        const char *end = strstr(coir_buffer_text(&text), "\r\n\r\n");
        COIR_REQUIRE(end != NULL);
        COIR_EXPECT_EQ(end[4] == '\0', bodiless);
    }
}

COIR_TEST(a_packed_reply_says_what_it_is)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) got = {0};
    COIR_AUTO(coir_buffer) headed = {0};
    COIR_AUTO(coir_buffer) weak = {0};
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", reply_as_asked);
    static const char get[] = ACCEPT("/?type=text/html&name=ETag&value=%22a%22", "gzip");
    char head[sizeof get + 1] = "HEAD";
    memcpy(head + 4, get + 3, sizeof get - 3);
    COIR_REQUIRE_OK(visit(app, get, &got));
    COIR_REQUIRE_OK(visit(app, head, &headed));
    COIR_EXPECT_STR(value_of(coir_buffer_text(&got), "ETag"), "W/\"a\"");
    /* HEAD says the same and sends nothing */
    size_t length = strtoul(value_of(coir_buffer_text(&got), "Content-Length"), NULL, 10);
    COIR_EXPECT_LT(length, 2000);
    COIR_REQUIRE(got.length == headed.length + length);
    COIR_EXPECT_BYTES(headed.data, got.data, headed.length);
    COIR_REQUIRE_OK(
        visit(app, ACCEPT("/?type=text/html&name=ETag&value=W/%22a%22", "gzip"), &weak));
    COIR_EXPECT_STR(value_of(coir_buffer_text(&weak), "ETag"), "W/\"a\"");
}

/* A client that refuses plain bytes gets none, however short. */
COIR_TEST(plain_bytes_can_be_refused)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", reply_as_asked);
    expect_coding(app, ACCEPT("/?type=text/html&size=0", "gzip, identity;q=0"), "", "");
    expect_coding(app, ACCEPT("/x", "gzip, identity;q=0"), "gzip", "404 Not Found\n");
    expect_coding(app, ACCEPT("/x", "gzip, *;q=0"), "gzip", "404 Not Found\n");
    expect_coding(app, ACCEPT("/x", "identity;q=0"), "", "404 Not Found\n"); /* there is no other */
}

COIR_TEST(types_can_be_named)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_http_app_opts opts = {
        .compress = true, .compress_least = 1, .compress_types = "image/*, font/, text/x"};
    COIR_REQUIRE_OK(open_app(opts, &app));
    coir_http_app_get(app, "/", reply_as_asked);
    expect_coding(app, ACCEPT("/?type=image/png&size=1", "gzip"), "gzip", "a");
    expect_coding(app, ACCEPT("/?type=font/x&size=1", "gzip"), "gzip", "a");
    expect_coding(app, ACCEPT("/?type=text/x&size=1", "gzip"), "gzip", "a");
    expect_coding(app, ACCEPT("/?type=text/html&size=1", "gzip"), "", "a");
}

COIR_TEST(nothing_is_packed_unless_it_is_wanted)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", reply_as_asked);
    coir_http_app_get(app, "/long", send_long);
    expect_coding(app, ACCEPT("/long", "gzip"), "", long_text());
    expect_coding(app, ACCEPT("/?packed=yes&size=1", "gzip"), "", "a");
    COIR_AUTO(coir_buffer) head = {0};
    COIR_AUTO(coir_buffer) body = {0};
    COIR_REQUIRE_OK(ask_for(app, ACCEPT("/?packed=yes", "gzip"), &head, &body));
    COIR_EXPECT_STR(value_of(coir_buffer_text(&head), "Content-Encoding"), "gzip");
    COIR_EXPECT_EQ(body.length, 2000);
}

/* ---- bit by bit ---- */

static int send_pieces(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_begin(request, 200, "text/plain"));
    COIR_TRY(coir_http_reply_write(request, "", 0));
    COIR_EXPECT_CODE(coir_http_reply_compress(request, false), -EALREADY);
    const char *text = long_text();
    size_t left = LONG;
    for (size_t size = 1; left > 0; text += size, left -= size, size *= 3) {
        size = size < left ? size : left;
        COIR_TRY(coir_http_reply_write(request, text, size));
    }
    return 0;
}

COIR_TEST(pieces_are_packed_one_by_one)
{
    static const char *const codings[] = {"gzip", "br", "zstd"};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", send_pieces);
    for (size_t i = 0; i < COIR_COUNT(codings); i++) {
        char input[200];
        (void)snprintf(input, sizeof input, ACCEPT("/", "%s"), codings[i]);
        expect_coding(app, input, codings[i], long_text());
        expect_coding(app, input, codings[i], long_text()); /* by the packer of the first */
        (void)snprintf(input, sizeof input, "GET / HTTP/1.0\r\nAccept-Encoding: %s\r\n\r\n",
                       codings[i]);
        expect_coding(app, input, codings[i], long_text());
    }
    EXPECT_VISIT(app, "HEAD / HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n",
                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nVary: Accept-Encoding\r\n"
                 "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static int send_events(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_compress(request, true));
    COIR_TRY(coir_http_reply_event(request, NULL, NULL, "one"));
    COIR_TRY(coir_sleep(COIR_SEC(10)));
    return coir_http_reply_event(request, NULL, NULL, "two");
}

/* Each event can be read as soon as it was sent. */
COIR_TEST(packed_events_do_not_wait_for_others)
{
    static const char *const codings[] = {"gzip", "br", "zstd"};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_get(app, "/", send_events);
    for (size_t i = 0; i < COIR_COUNT(codings); i++) {
        struct serving serving = {.app = app};
        COIR_AUTO(coir_stream) *client = NULL;
        COIR_AUTO(coir_buffer) first = {0};
        COIR_AUTO(coir_buffer) rest = {0};
        char input[200], data[1000], text[100];
        size_t n, used, made = 0;
        COIR_GROUP(group);
        COIR_REQUIRE_OK(begin_serving(&group, &serving, &client));
        (void)snprintf(input, sizeof input, ACCEPT("/", "%s"), codings[i]);
        COIR_REQUIRE_OK(coir_stream_write(client, input, strlen(input)));
        coir_time start = coir_now();
        while (first.length < 4 || strstr(coir_buffer_text(&first), "\r\n\r\n") == NULL ||
               memcmp(first.data + first.length - 2, "\r\n", 2) != 0) {
            COIR_REQUIRE(coir_stream_read(client, data, sizeof data, &n) > 0);
            COIR_REQUIRE_OK(coir_buffer_append(&first, data, n));
        }
        COIR_EXPECT_LT(coir_now() - start, COIR_SEC(1));
        const char *chunk = strstr(coir_buffer_text(&first), "\r\n\r\n") + 4;
        char *at;
        size_t size = strtoul(chunk, &at, 16);
        struct coir__unpack *unpack = NULL;
        COIR_REQUIRE_OK(coir__unpack_open(codings[i], &unpack));
        COIR_EXPECT_OK(
            coir__unpack_some(unpack, (coir_bytes){at + 2, size}, text, sizeof text, &used, &made));
        coir__unpack_close(unpack);
        COIR_EXPECT_EQ(made, 11);
        COIR_EXPECT_BYTES(text, "data: one\n\n", 11);
        COIR_EXPECT_OK(read_rest(client, &rest));
        COIR_EXPECT_GE(coir_now() - start, COIR_SEC(10));
        COIR_EXPECT_OK(coir_group_wait(&group));
    }
}

static int fail_amid(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_begin(request, 200, "text/plain"));
    COIR_TRY(coir_http_reply_write(request, "some", 4));
    return -EIO;
}

/* What was begun and failed has no end, and the packer of it is as good as a new one. */
COIR_TEST(a_packed_reply_that_fails_is_cut)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    coir_test_expect_reports(COIR_REPORT_UNREAD, 2);
    COIR_REQUIRE_OK(open_app((coir_http_app_opts){.compress = true}, &app));
    coir_http_app_get(app, "/", send_long);
    coir_http_app_get(app, "/fail", fail_amid);
    for (int i = 0; i < 2; i++) {
        COIR_AUTO(coir_buffer) text = {0};
        COIR_EXPECT_CODE(visit(app, ACCEPT("/fail", "gzip"), &text), -ECONNRESET);
        COIR_EXPECT(strstr(coir_buffer_text(&text), "\r\n0\r\n\r\n") == NULL);
        expect_coding(app, ACCEPT("/", "gzip"), "gzip", long_text());
    }
}

/* ---- files ---- */

enum { FILE_MOST = 1 << 20 };

/* Makes a file of size letters with a time that is known: 2026-01-02 03:04:05. */
static int make_file(const char *name, size_t size)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", coir_test_tmpdir(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const struct timespec times[2] = {{.tv_sec = 1767323045}, {.tv_sec = 1767323045}};
    if (fd < 0)
        return -errno;
    int r = 0;
    for (size_t n; r == 0 && size > 0; size -= n) {
        n = size < LONG ? size : LONG;
        r = write(fd, long_text(), n) == (ssize_t)n ? 0 : -EIO;
    }
    r = r == 0 && futimens(fd, times) < 0 ? -errno : r;
    close(fd);
    return r;
}

static int open_site(bool compress, coir_http_app **ret_app)
{
    COIR_TRY(make_file("page.html", 2000));
    COIR_TRY(make_file("short.html", 1023));
    COIR_TRY(make_file("image.png", 2000));
    COIR_TRY(make_file("beside.css", 2000));
    COIR_TRY(make_file("beside.css.gz", 10));
    COIR_TRY(make_file("most.txt", FILE_MOST));
    COIR_TRY(make_file("more.txt", FILE_MOST + 1));
    COIR_TRY(open_app((coir_http_app_opts){.compress = compress}, ret_app));
    coir_http_app_static(*ret_app, "/", coir_test_tmpdir());
    return 0;
}

#define FILE_TAG "\"1886caf21c963200-7d0\"" /* nanoseconds since 1970 and the size */
#define FILE_DATE "Fri, 02 Jan 2026 03:04:05 GMT"
#define FILE_GET(path, more)                                                                       \
    "GET " path " HTTP/1.1\r\n" HOST "Connection: close\r\nAccept-Encoding: gzip\r\n" more "\r\n"

COIR_TEST(files_are_packed_that_are_not_large)
{
    NEED_BENEATH();
    static const struct {
        const char *path, *coding;
    } cases[] = {
        {"/page.html", "gzip"}, {"/short.html", ""}, {"/image.png", ""},
        {"/most.txt", "gzip"},  {"/more.txt", ""},
    };
    for (int compress = 0; compress < 2; compress++) {
        COIR_AUTO(coir_http_app) *app = NULL;
        COIR_REQUIRE_OK(open_site(compress > 0, &app));
        for (size_t i = 0; i < COIR_COUNT(cases); i++) {
            char request[200];
            COIR_AUTO(coir_buffer) head = {0};
            COIR_AUTO(coir_buffer) text = {0};
            (void)snprintf(request, sizeof request, FILE_GET("%s", ""), cases[i].path);
            COIR_REQUIRE_OK(ask_for(app, request, &head, &text));
            COIR_EXPECT_STR(value_of(coir_buffer_text(&head), "Content-Encoding"),
                            compress > 0 ? cases[i].coding : "");
            COIR_EXPECT_STR(value_of(coir_buffer_text(&head), "Vary"), "Accept-Encoding");
            COIR_REQUIRE(text.data != NULL);
            COIR_EXPECT(memcmp(text.data, long_text(), text.length < LONG ? text.length : LONG) ==
                        0);
            COIR_EXPECT_GE(text.length, 1023);
        }
    }
}

/* What its packed form says of itself, and which conditions that meets. */
COIR_TEST(packed_files_have_weak_tags_and_no_parts)
{
    NEED_BENEATH();
    static const struct {
        const char *more, *status, *coding, *etag;
    } cases[] = {
        {"", "200 OK", "gzip", "W/" FILE_TAG},
        {"If-None-Match: W/" FILE_TAG "\r\n", "304 Not Modified", "", "W/" FILE_TAG},
        {"If-None-Match: " FILE_TAG "\r\n", "304 Not Modified", "", "W/" FILE_TAG},
        {"If-None-Match: \"x\"\r\n", "200 OK", "gzip", "W/" FILE_TAG},
        {"If-Modified-Since: " FILE_DATE "\r\n", "304 Not Modified", "", "W/" FILE_TAG},
        {"If-Match: " FILE_TAG "\r\n", "200 OK", "gzip", "W/" FILE_TAG},
        {"If-Match: W/" FILE_TAG "\r\n", "412 Precondition Failed", "", FILE_TAG},
        {"Range: bytes=0-9\r\n", "206 Partial Content", "", FILE_TAG},
        {"Range: bytes=0-9,20-29\r\n", "206 Partial Content", "", FILE_TAG},
        {"Range: bytes=2000-\r\n", "416 Range Not Satisfiable", "", FILE_TAG},
        {"If-Range: " FILE_TAG "\r\nRange: bytes=0-9\r\n", "206 Partial Content", "", FILE_TAG},
        /* it may be a part of the packed form that the client has */
        {"If-Range: W/" FILE_TAG "\r\nRange: bytes=0-9\r\n", "200 OK", "gzip", "W/" FILE_TAG},
        {"If-Range: " FILE_DATE "\r\nRange: bytes=0-9\r\n", "200 OK", "gzip", "W/" FILE_TAG},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(open_site(true, &app));
    for (size_t i = 0; i < COIR_COUNT(cases); i++) {
        char request[400];
        COIR_AUTO(coir_buffer) reply = {0};
        (void)snprintf(request, sizeof request, FILE_GET("/page.html", "%s"), cases[i].more);
        COIR_REQUIRE_OK(visit(app, request, &reply));
        const char *head = coir_buffer_text(&reply);
        bool good = COIR_EXPECT_CONTAINS(head, cases[i].status) &&
                    COIR_EXPECT_STR(value_of(head, "Content-Encoding"), cases[i].coding) &&
                    COIR_EXPECT_STR(value_of(head, "ETag"), cases[i].etag) &&
                    COIR_EXPECT_STR(value_of(head, "Accept-Ranges"), "") &&
                    COIR_EXPECT_STR(value_of(head, "Vary"), "Accept-Encoding");
        if (!good)
            printf("    of: %s\n", cases[i].more);
    }
}

/* The form that is there goes before one that would have to be made; HEAD says what GET does. */
COIR_TEST(packed_files_and_others)
{
    NEED_BENEATH();
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) there = {0};
    COIR_AUTO(coir_buffer) get = {0};
    COIR_AUTO(coir_buffer) head = {0};
    COIR_REQUIRE_OK(open_site(true, &app));
    COIR_REQUIRE_OK(visit(app, FILE_GET("/beside.css", ""), &there));
    COIR_EXPECT_STR(value_of(coir_buffer_text(&there), "Content-Encoding"), "gzip");
    COIR_EXPECT_STR(value_of(coir_buffer_text(&there), "Content-Length"), "10");
    COIR_EXPECT_STR(value_of(coir_buffer_text(&there), "Accept-Ranges"), "bytes");
    COIR_REQUIRE_OK(visit(app, FILE_GET("/page.html", ""), &get));
    COIR_REQUIRE_OK(visit(app,
                          "HEAD /page.html HTTP/1.1\r\n" HOST
                          "Connection: close\r\nAccept-Encoding: gzip\r\n\r\n",
                          &head));
    const char *end = strstr(coir_buffer_text(&get), "\r\n\r\n");
    COIR_REQUIRE(end != NULL);
    COIR_REQUIRE_EQ(head.length, (size_t)(end + 4 - get.data));
    COIR_EXPECT(memcmp(head.data, get.data, head.length) == 0);
}
