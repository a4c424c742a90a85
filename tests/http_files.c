/* http_files.c: tests of replies that are files: which one, whether the client has it already,
 * which part of it; and that nothing outside of the directory is given away, whatever the path says
 * and wherever links lead.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "http_kit.h"

#define SECRET "the secret of the house\n"

/* Files with a time that is known: 2026-01-02 03:04:05. */
static int make(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", coir_test_tmpdir(), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct timespec times[2] = {{.tv_sec = 1767323045}, {.tv_sec = 1767323045}};
    if (fd < 0)
        return -errno;
    int r = write(fd, text, strlen(text)) == (ssize_t)strlen(text) && futimens(fd, times) == 0
                ? 0
                : -EIO;
    close(fd);
    return r;
}

static const char *place(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", coir_test_tmpdir(), name);
    return path;
}

/* site/: what is served; beside it a secret, and links that lead there. */
static int make_site(coir_http_app **ret_app)
{
    static const char *const folders[] = {"site", "site/sub", "site/.hidden"};
    for (size_t i = 0; i < COIR_COUNT(folders); i++)
        if (mkdir(place(folders[i]), 0755) < 0 && errno != EEXIST)
            return -errno;
    COIR_TRY(make("secret", SECRET));
    COIR_TRY(make("site/index.html", "<p>\n"));
    COIR_TRY(make("site/sub/index.html", "<i>\n"));
    COIR_TRY(make("site/ten.txt", "0123456789"));
    COIR_TRY(make("site/empty", ""));
    COIR_TRY(make("site/.hidden/x", SECRET));
    COIR_TRY(make("site/.env", SECRET));
    COIR_TRY(make("site/page.html", "plain"));
    COIR_TRY(make("site/page.html.gz", "packed"));
    if ((symlink("../secret", place("site/out")) < 0 && errno != EEXIST) ||
        (symlink("..", place("site/up")) < 0 && errno != EEXIST) ||
        (symlink("ten.txt", place("site/in")) < 0 && errno != EEXIST) ||
        (mkfifo(place("site/fifo"), 0644) < 0 && errno != EEXIST))
        return -errno;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(open_app((coir_http_app_opts){0}, &app));
    coir_http_app_static(app, "/s", place("site"));
    *ret_app = COIR_TAKE(app);
    return 0;
}

COIR_TEST(nothing_outside_of_the_directory_is_given_away)
{
    NEED_BENEATH();
    static const char *const paths[] = {
        "/s/out",
        "/s/up/secret",
        "/s/../secret",
        "/s/%2e%2e/secret",
        "/s/%2e%2e%2fsecret",
        "/s/..%2fsecret",
        "/s/sub/../../secret",
        "/s/sub/%2e%2e/%2e%2e/secret",
        "/s/..;/secret",
        "/s/.%2e/secret",
        "/s//../secret",
        "/s/./ten.txt",
        "/s//ten.txt",
        "/s/..%5csecret",
        "/s/%5c..%5csecret",
        "/s/%2fetc%2fpasswd",
        "/s//etc/passwd",
        "/s/.env",
        "/s/.hidden/x",
        "/s/%2eenv",
        "/s/sub/../.env",
        "/s/fifo",
        "/s/ten.txt/",
        "/s/ten.txt/x",
        "/s/nothing",
        "/s/%252e%252e/secret",
        "/s/%c0%ae%c0%ae/secret",
        "/../secret",
        "/s/sub/..",
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(make_site(&app));
    for (size_t i = 0; i < COIR_COUNT(paths); i++) {
        char request[256];
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST "\r\n", paths[i]);
        COIR_AUTO(coir_buffer) text = {0};
        COIR_EXPECT_OK(visit(app, request, &text));
        if (!COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "HTTP/1.1 404 Not Found\r\n"))
            printf("    of: %s\n", paths[i]);
    }
    EXPECT_VISIT(
        app, GET("/s/a%00b"),
        REPLY("400 Bad Request", "", "47", "400 Bad Request: a byte of value 0 in the path\n"));
}

COIR_TEST(directories_are_their_index)
{
    NEED_BENEATH();
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(make_site(&app));
    COIR_EXPECT_OK(visit(app, GET("/s/") GET("/s/sub/") GET("/s/in"), &text));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "Content-Type: text/html; charset=utf-8\r\n");
    COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "\r\n\r\n<p>\n");
    COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "\r\n\r\n<i>\n");
    COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "\r\n\r\n0123456789");
    EXPECT_VISIT(app, GET("/s/sub?x"),
                 REPLY("308 Permanent Redirect", "Location: /s/sub/?x\r\n", "23",
                       "308 Permanent Redirect\n"));
}

/* A row: a header of the request, and the beginning and the end of the reply. */
struct row {
    const char *header, *status, *body;
};

static void check_rows(const char *path, const struct row *rows, size_t count)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(make_site(&app));
    for (size_t i = 0; i < count; i++) {
        char request[512];
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST "%s\r\n", path,
                       rows[i].header);
        COIR_AUTO(coir_buffer) text = {0};
        COIR_EXPECT_OK(visit(app, request, &text));
        const char *all = coir_buffer_text(&text), *end = strstr(all, "\r\n\r\n");
        bool good = COIR_EXPECT(end != NULL) && COIR_EXPECT_CONTAINS(all, rows[i].status) &&
                    COIR_EXPECT_STR(end + 4, rows[i].body);
        if (!good)
            printf("    of: %s\n", rows[i].header);
    }
}

#define ALL "0123456789"
#define RANGE(range) "Range: bytes=" range "\r\n"

/* Small ones are copied, large ones sent by the kernel; a reply follows all of them. */
COIR_TEST(files_of_any_size)
{
    NEED_BENEATH();
    static const size_t sizes[] = {1, 65535, 65536, 65537, 300000};
    static char text[300001];
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(make_site(&app));
    for (size_t i = 0; i < COIR_COUNT(sizes); i++) {
        COIR_AUTO(coir_buffer) replies = {0};
        memset(text, 'a' + (int)i, sizes[i]);
        text[sizes[i]] = '\0';
        COIR_REQUIRE_OK(make("site/sized", text));
        COIR_REQUIRE_OK(visit(app, GET("/s/sized") GET("/s/ten.txt"), &replies));
        const char *body = strstr(coir_buffer_text(&replies), "\r\n\r\n");
        COIR_REQUIRE(body != NULL && strlen(body) > sizes[i]);
        COIR_EXPECT(memcmp(body + 4, text, sizes[i]) == 0);
        COIR_EXPECT(strncmp(body + 4 + sizes[i], "HTTP/1.1 200 OK\r\n", 17) == 0);
        COIR_EXPECT(strcmp(strrchr(body, '\n'), "\n0123456789") == 0);
    }
}

/* RFC 9110, section 14. */
COIR_TEST(ranges)
{
    NEED_BENEATH();
    static const struct row rows[] = {
        {"", "200 OK", ALL},
        {RANGE("0-0"), "Content-Range: bytes 0-0/10\r\nContent-Length: 1\r\n", "0"},
        {RANGE("2-4"), "206 Partial Content", "234"},
        {RANGE("2-4"), "Content-Range: bytes 2-4/10\r\n", "234"},
        {RANGE("0-9"), "Content-Range: bytes 0-9/10\r\n", ALL},
        {RANGE("8-99"), "Content-Range: bytes 8-9/10\r\n", "89"},
        {RANGE("7-"), "Content-Range: bytes 7-9/10\r\n", "789"},
        {RANGE("-3"), "Content-Range: bytes 7-9/10\r\n", "789"},
        {RANGE("-99"), "Content-Range: bytes 0-9/10\r\n", ALL},
        {RANGE("10-"), "416 Range Not Satisfiable", "416 Range Not Satisfiable\n"},
        {RANGE("10-"), "Content-Range: bytes */10\r\n", "416 Range Not Satisfiable\n"},
        {RANGE("-0"), "416 Range Not Satisfiable", "416 Range Not Satisfiable\n"},
        {RANGE("4-2"), "200 OK", ALL},
        {RANGE("0-99999999999999999999"), "200 OK", ALL},
        {RANGE("x"), "200 OK", ALL},
        {RANGE(""), "200 OK", ALL},
        {RANGE("1"), "200 OK", ALL},
        {RANGE("-"), "200 OK", ALL},
        {RANGE("1-x"), "200 OK", ALL},
        {RANGE("+1-2"), "200 OK", ALL},
        {RANGE("0-99999999999999999999999"), "200 OK", ALL},
        {"Range: items=0-1\r\n", "200 OK", ALL},
    };
    check_rows("/s/ten.txt", rows, COIR_COUNT(rows));
    static const struct row empty[] = {
        {"", "Content-Length: 0\r\n", ""},
        {RANGE("0-"), "416 Range Not Satisfiable", "416 Range Not Satisfiable\n"},
    };
    check_rows("/s/empty", empty, COIR_COUNT(empty));
}

/* ---- several ranges: RFC 9110, section 14.6 ---- */

/* The body of a reply with several parts, whose boundary is written as "B". Returns it, or NULL for
 * what is no such reply. */
static char *parts_of(char *reply)
{
    static const char type[] = "multipart/byteranges; boundary=";
    if (!COIR_EXPECT(reply != NULL))
        return NULL;
    char *boundary = strstr(reply, type), *body = strstr(reply, "\r\n\r\n"), *end;
    const char *length = strstr(reply, "\r\nContent-Length: ");
    if (!COIR_EXPECT(boundary != NULL && body != NULL && length != NULL))
        return NULL;
    boundary += sizeof type - 1;
    end = strchr(boundary, '\r');
    *end = '\0';
    size_t size = strlen(boundary);
    COIR_EXPECT_EQ(size, 16);
    COIR_EXPECT_EQ(strtoul(length + 18, NULL, 10), strlen(body + 4));
    for (char *at = body + 4; (at = strstr(at, boundary)) != NULL;) {
        *at++ = 'B';
        memmove(at, at + size - 1, strlen(at + size - 1) + 1);
    }
    return body + 4;
}

#define PART(range, body)                                                                          \
    "\r\n--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes " range            \
    "/10\r\n\r\n" body
#define PARTS_END "\r\n--B--\r\n"

COIR_TEST(several_ranges)
{
    NEED_BENEATH();
    static const struct {
        const char *asked, *parts;
    } rows[] = {
        {"0-1,4-5", PART("0-1", "01") PART("4-5", "45") PARTS_END},
        {"4-5,0-1", PART("4-5", "45") PART("0-1", "01") PARTS_END},
        {" 0-1 ,\t,4-5 ,", PART("0-1", "01") PART("4-5", "45") PARTS_END},
        {"-1,0-0", PART("9-9", "9") PART("0-0", "0") PARTS_END},
        {"0-0,8-", PART("0-0", "0") PART("8-9", "89") PARTS_END},
        {"0-1,3-4", PART("0-1", "01") PART("3-4", "34") PARTS_END}, /* one byte between */
        /* what is not there is left out, and what overlaps or touches is one */
        {"0-1,10-,4-5", PART("0-1", "01") PART("4-5", "45") PARTS_END},
        {"0-1,-0,9-10", PART("0-1", "01") PART("9-9", "9") PARTS_END},
        {"6-7,0-1,1-3", PART("6-7", "67") PART("0-3", "0123") PARTS_END},
        {"0-0,4-4,2-2,8-8,1-3", PART("0-4", "01234") PART("8-8", "8") PARTS_END},
        {"8-8,4-4,0-0,5-6,2-3", PART("8-8", "8") PART("2-6", "23456") PART("0-0", "0") PARTS_END},
    };
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(make_site(&app));
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        char request[256];
        (void)snprintf(request, sizeof request,
                       "GET /s/ten.txt HTTP/1.1\r\n" HOST "Range: bytes=%s\r\n\r\n", rows[i].asked);
        COIR_AUTO(coir_buffer) text = {0};
        COIR_REQUIRE_OK(visit(app, request, &text));
        COIR_EXPECT_CONTAINS(coir_buffer_text(&text), "HTTP/1.1 206 Partial Content\r\n");
        char *parts = parts_of(text.data);
        if (parts == NULL || !COIR_EXPECT_STR(parts, rows[i].parts))
            printf("    of: %s\n", rows[i].asked);
    }
    static const struct row others[] = {
        {RANGE("0-1,2-3"), "Content-Range: bytes 0-3/10\r\nContent-Length: 4\r\n", "0123"},
        {RANGE("4-9,0-4"), "Content-Range: bytes 0-9/10\r\n", ALL},
        {RANGE("0-0,10-10"), "Content-Range: bytes 0-0/10\r\n", "0"},
        {RANGE("10-10,-0"), "Content-Range: bytes */10\r\n", "416 Range Not Satisfiable\n"},
        {RANGE("0-1,x"), "200 OK", ALL},
        {RANGE("0-1,4-2"), "200 OK", ALL},
        {RANGE("0-1 4-5"), "200 OK", ALL},
        {RANGE(","), "200 OK", ALL},
        {"If-Range: \"x\"\r\n" RANGE("0-1,4-5"), "200 OK", ALL},
    };
    check_rows("/s/ten.txt", others, COIR_COUNT(others));
}

/* Every second byte: more than 16 are not worth it. */
COIR_TEST(many_ranges)
{
    NEED_BENEATH();
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(make_site(&app));
    COIR_REQUIRE_OK(make("site/many.txt", "0123456789012345678901234567890123456789"));
    for (int count = 15; count <= 17; count++) {
        COIR_AUTO(coir_buffer) request = {0};
        COIR_AUTO(coir_buffer) text = {0};
        static const char begin[] = "GET /s/many.txt HTTP/1.1\r\n" HOST "Range: bytes=0-0";
        COIR_REQUIRE_OK(coir_buffer_append(&request, begin, sizeof begin - 1));
        for (int i = 1; i < count; i++) {
            char range[16];
            int length = snprintf(range, sizeof range, ",%d-%d", 2 * i, 2 * i);
            COIR_REQUIRE_OK(coir_buffer_append(&request, range, (size_t)length));
        }
        COIR_REQUIRE_OK(coir_buffer_append(&request, "\r\n\r\n", 4));
        COIR_REQUIRE_OK(visit(app, coir_buffer_text(&request), &text));
        size_t parts = 0;
        COIR_REQUIRE(text.data != NULL);
        for (const char *at = text.data; (at = strstr(at, "Content-Range: ")) != NULL; at++)
            parts++;
        COIR_EXPECT_EQ(parts, count <= 16 ? count : 0);
        COIR_EXPECT_CONTAINS(text.data, count <= 16 ? "HTTP/1.1 206 " : "HTTP/1.1 200 ");
    }
}

/* Parts that are copied and parts that the kernel sends, with a reply behind them. */
COIR_TEST(ranges_of_any_size)
{
    NEED_BENEATH();
    static const size_t sizes[] = {65535, 65536, 65537, 200000};
    static char text[500001];
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(make_site(&app));
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + i % 23);
    COIR_REQUIRE_OK(make("site/large", text));
    for (size_t i = 0; i < COIR_COUNT(sizes); i++) {
        char request[256];
        COIR_AUTO(coir_buffer) reply = {0};
        (void)snprintf(request, sizeof request,
                       "GET /s/large HTTP/1.1\r\n" HOST
                       "Range: bytes=1-%zu,250000-%zu\r\n\r\n" GET("/s/ten.txt"),
                       sizes[i], 249999 + sizes[i]);
        COIR_REQUIRE_OK(visit(app, request, &reply));
        const char *at = strstr(coir_buffer_text(&reply), "\r\n\r\n");
        for (size_t first = 1; first <= 250000; first += 249999) {
            at = at != NULL ? strstr(at + 4, "\r\n\r\n") : NULL;
            COIR_REQUIRE(at != NULL && strlen(at) > sizes[i] + 4);
            at += 4;
            COIR_EXPECT(memcmp(at, text + first, sizes[i]) == 0);
            at += sizes[i];
            COIR_EXPECT(strncmp(at, "\r\n--", 4) == 0);
        }
        COIR_EXPECT_CONTAINS(at, "--\r\nHTTP/1.1 200 OK\r\n");
        COIR_EXPECT_CONTAINS(at, "\r\n\r\n" ALL);
    }
}

/* ---- conditions ---- */

#define TAG "\"1886caf21c963200-a\"" /* nanoseconds since 1970 and the size, in hexadecimal */
#define SAME "Fri, 02 Jan 2026 03:04:05 GMT"
#define BEFORE "Fri, 02 Jan 2026 03:04:04 GMT"
#define CHANGED "412 Precondition Failed\n"

/* RFC 9110, section 13.2.2. */
COIR_TEST(conditions)
{
    NEED_BENEATH();
    static const struct row rows[] = {
        {"", "ETag: " TAG "\r\n", ALL},
        {"If-None-Match: " TAG "\r\n", "304 Not Modified", ""},
        {"If-None-Match: W/" TAG "\r\n", "304 Not Modified", ""},
        {"If-None-Match: \"x\", " TAG "\r\n", "304 Not Modified", ""},
        {"If-None-Match: *\r\n", "304 Not Modified", ""},
        {"If-None-Match: \"x\"\r\n", "200 OK", ALL},
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: " SAME "\r\n", "200 OK", ALL},
        {"If-Modified-Since: " SAME "\r\n", "304 Not Modified", ""},
        {"If-Modified-Since: " BEFORE "\r\n", "200 OK", ALL},
        {"If-Modified-Since: yesterday\r\n", "200 OK", ALL},
        {"If-Match: " TAG "\r\n", "200 OK", ALL},
        {"If-Match: *\r\n", "200 OK", ALL},
        {"If-Match: W/" TAG "\r\n", "412 Precondition Failed", CHANGED},
        {"If-Match: \"x\"\r\n", "412 Precondition Failed", CHANGED},
        {"If-Match: " TAG "\r\nIf-None-Match: " TAG "\r\n", "304 Not Modified", ""},
        {"If-Unmodified-Since: " SAME "\r\n", "200 OK", ALL},
        {"If-Unmodified-Since: " BEFORE "\r\n", "412 Precondition Failed", CHANGED},
        {"If-Unmodified-Since: never\r\n", "200 OK", ALL},
        {"If-Match: " TAG "\r\nIf-Unmodified-Since: " BEFORE "\r\n", "200 OK", ALL},
        {"If-Range: " TAG "\r\n" RANGE("0-1"), "206 Partial Content", "01"},
        {"If-Range: \"x\"\r\n" RANGE("0-1"), "200 OK", ALL},
        {"If-Range: W/" TAG "\r\n" RANGE("0-1"), "200 OK", ALL},
        {"If-Range: " SAME "\r\n" RANGE("0-1"), "206 Partial Content", "01"},
        {"If-Range: " BEFORE "\r\n" RANGE("0-1"), "200 OK", ALL},
        {"If-None-Match: " TAG "\r\n" RANGE("0-1"), "304 Not Modified", ""},
    };
    check_rows("/s/ten.txt", rows, COIR_COUNT(rows));
}

/* A type that the handler has set is that of each part. */
static int give_file(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_header(request, "Content-Type", "text/plain; charset=utf-8"));
    return coir_http_reply_file(request, coir_http_request_state(request), "image/png");
}

COIR_TEST(ranges_of_a_type_of_ones_own)
{
    COIR_AUTO(coir_http_app) *site = NULL;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(make_site(&site));
    COIR_REQUIRE_OK(
        open_app((coir_http_app_opts){.state = (void *)(uintptr_t)place("site/ten.txt")}, &app));
    coir_http_app_get(app, "/", give_file);
    COIR_REQUIRE_OK(visit(app, "GET / HTTP/1.1\r\n" HOST RANGE("0-0,9-9") "\r\n", &text));
    char *parts = parts_of(text.data);
    COIR_REQUIRE(parts != NULL);
    COIR_EXPECT_STR(parts, PART("0-0", "0") PART("9-9", "9") PARTS_END);
}

COIR_TEST(packed_siblings)
{
    NEED_BENEATH();
    static const struct row rows[] = {
        {"", "Vary: Accept-Encoding\r\n", "plain"},
        {"Accept-Encoding: gzip\r\n", "Content-Encoding: gzip\r\nContent-Length: 6\r\n", "packed"},
        {"Accept-Encoding: br, gzip\r\n", "Content-Type: text/html", "packed"},
        {"Accept-Encoding: br\r\n", "Content-Length: 5\r\n", "plain"},
        {"Accept-Encoding: gzip;q=0\r\n", "Content-Length: 5\r\n", "plain"},
        {"Accept-Encoding: xgzip\r\n", "Content-Length: 5\r\n", "plain"},
        /* what says that it fails is not packed */
        {"Accept-Encoding: gzip\r\nIf-Match: \"x\"\r\n",
         "Vary: Accept-Encoding\r\nContent-Length: 24\r\n", CHANGED},
        {"Accept-Encoding: gzip\r\n" RANGE("9-"),
         "Content-Range: bytes */6\r\nContent-Length: 26\r\n", "416 Range Not Satisfiable\n"},
    };
    check_rows("/s/page.html", rows, COIR_COUNT(rows));
}

/* ---- somebody changes the directory meanwhile ---- */

static atomic_bool over;

/* "swap" is a directory at one time and a link to one outside at another. */
static void *swap_links(void *arg)
{
    const char *const *paths = arg;
    while (!atomic_load(&over)) {
        (void)renameat2(AT_FDCWD, paths[0], AT_FDCWD, paths[1], RENAME_EXCHANGE);
        (void)renameat2(AT_FDCWD, paths[2], AT_FDCWD, paths[3], RENAME_EXCHANGE);
    }
    return NULL;
}

COIR_TEST_TAGGED(links_that_change_lead_nowhere_else, "no_torture,limit=60")
{
    NEED_BENEATH();
    enum { REQUESTS = 10000 };
    static char paths[4][512];
    static const char *const all[] = {paths[0], paths[1], paths[2], paths[3]};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_REQUIRE_OK(make_site(&app));
    COIR_REQUIRE(mkdir(place("site/swap"), 0755) == 0 && mkdir(place("outside"), 0755) == 0);
    COIR_REQUIRE_OK(make("site/swap/file", "public"));
    COIR_REQUIRE_OK(make("outside/file", SECRET));
    COIR_REQUIRE_OK(make("site/leaf", "public"));
    COIR_REQUIRE(symlink("../outside", place("site/other")) == 0);
    COIR_REQUIRE(symlink("../secret", place("site/other_leaf")) == 0);
    static const char *const names[] = {"site/swap", "site/other", "site/leaf", "site/other_leaf"};
    for (size_t i = 0; i < COIR_COUNT(names); i++)
        (void)snprintf(paths[i], sizeof paths[i], "%s", place(names[i]));
    pthread_t thread;
    atomic_store(&over, false);
    COIR_REQUIRE_EQ(pthread_create(&thread, NULL, swap_links, (void *)(uintptr_t)all), 0);
    size_t given = 0, refused = 0, secrets = 0;
    for (int i = 0; i < REQUESTS / 100; i++) {
        COIR_AUTO(coir_buffer) input = {0};
        COIR_AUTO(coir_buffer) text = {0};
        for (int j = 0; j < 100; j++) {
            const char *request = j % 2 == 0 ? GET("/s/swap/file") : GET("/s/leaf");
            COIR_EXPECT_OK(coir_buffer_append(&input, request, strlen(request)));
        }
        COIR_EXPECT_OK(visit_bytes(app, input.data, input.length, &text));
        for (const char *at = coir_buffer_text(&text); (at = strstr(at, "HTTP/1.1 ")); at += 9)
            *(strncmp(at + 9, "200", 3) == 0 ? &given : &refused) += 1;
        secrets += strstr(coir_buffer_text(&text), SECRET) != NULL;
    }
    atomic_store(&over, true);
    (void)pthread_join(thread, NULL);
    COIR_EXPECT_EQ(secrets, 0);
    COIR_EXPECT_EQ(given + refused, REQUESTS);
    COIR_EXPECT_GT(given, 0);
}
