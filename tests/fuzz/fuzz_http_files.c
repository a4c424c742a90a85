/* fuzz_http_files.c: lines as a path, and as the headers that choose what is sent of a file: Range,
 * If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, Accept-Encoding.
 * Libraries: http Sources: src/http
 *
 * Besides what sanitizers see: nothing comes from outside of the folder, and nothing that is
 * hidden; what comes is the file, its packed form for those who take that, or the part that its
 * head says; and a date that was read is written as one that reads the same.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/server/app.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define PACKED "packed, for those who take it"
#define SECRET "<secret>"

/* ---- a folder ---- */

static const struct {
    const char *name, *text; /* text NULL: a directory */
} entries[] = {
    {"", NULL},
    {"secret", SECRET},
    {"site", NULL},
    {"site/letters.txt", LETTERS},
    {"site/letters.txt.gz", PACKED},
    {"site/index.html", LETTERS},
    {"site/.hidden", SECRET},
    {"site/deep", NULL},
    {"site/deep/in", LETTERS},
};

static char folder[] = "/tmp/fuzz_http_files.XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_folder(void)
{
    (void)unlink(path_of("site/out"));
    (void)unlink(path_of("site/up"));
    for (size_t i = COIR_COUNT(entries); i-- > 0;)
        (void)remove(path_of(entries[i].name));
}

static void put_file(const char *path, const char *text)
{
    static const struct timespec times[2] = {{784111777, 0}, {784111777, 0}};
    FILE *file = fopen(path, "w");
    require(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    require(utimensat(AT_FDCWD, path, times, 0) == 0);
}

static void make_folder(void)
{
    require(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
    for (size_t i = 1; i < COIR_COUNT(entries); i++)
        if (entries[i].text != NULL)
            put_file(path_of(entries[i].name), entries[i].text);
        else
            require(mkdir(path_of(entries[i].name), 0700) == 0);
    require(symlink("../secret", path_of("site/out")) == 0 &&
            symlink("..", path_of("site/up")) == 0);
}

/* ---- one request ---- */

struct exchange {
    const char *text;
    size_t length;
    coir_buffer out;
};

static int serve(void *arg)
{
    struct exchange *exchange = arg;
    static coir_http_app *app;
    if (app == NULL) {
        make_folder();
        require(coir_http_app_open(&(coir_http_app_opts){.no_date = true}, &app) == 0);
        coir_http_app_static(app, "/", path_of("site"));
    }
    struct feed feed = {.data = (const unsigned char *)exchange->text,
                        .length = exchange->length,
                        .out = &exchange->out};
    require(coir_http_app_serve_stream(app, feed_open(&feed)) == 0);
    coir_clear_error();
    return 0;
}

/* The next line of *text, without its end; NULL for none. */
static const char *take_line(const char **text, const char *end, size_t *ret_length)
{
    const char *line = *text;
    if (line >= end)
        return NULL;
    const char *lf = memchr(line, '\n', (size_t)(end - line));
    *ret_length = (size_t)((lf != NULL ? lf : end) - line);
    *text = line + *ret_length + 1;
    return line;
}

static void put_request(const char *text, size_t length, coir_buffer *out)
{
    static const char *const names[] = {
        "Range",          "If-Range",          "If-Match",
        "If-None-Match",  "If-Modified-Since", "If-Unmodified-Since",
        "Accept-Encoding"};
    const char *end = text + length;
    size_t n = 0;
    const char *line = take_line(&text, end, &n);
    require(coir__http_put(out, "GET /") == 0 && coir__http_put_bytes(out, line, n) == 0);
    require(coir__http_put(out, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n") == 0);
    for (size_t i = 0; i < COIR_COUNT(names); i++) {
        if ((line = take_line(&text, end, &n)) == NULL || n == 0)
            continue;
        require(coir__http_put(out, names[i]) == 0 && coir__http_put(out, ": ") == 0);
        require(coir__http_put_bytes(out, line, n) == 0 && coir__http_put(out, "\r\n") == 0);
    }
    require(coir__http_put(out, "\r\n") == 0);
}

/* ---- what came ---- */

static void check_body(const struct coir__http_head *head, const char *body, size_t length)
{
    const char *range = coir_http_header_get(head->headers, "Content-Range");
    const char *packed = coir_http_header_get(head->headers, "Content-Encoding");
    const char *whole = packed != NULL ? PACKED : LETTERS;
    unsigned long long first = 0, last = 0, size = 0;
    require(packed == NULL || strcmp(packed, "gzip") == 0);
    if (head->status == 200)
        require(range == NULL && length == strlen(whole) && memcmp(body, whole, length) == 0);
    if (head->status != 206)
        return;
    require(range != NULL && sscanf(range, "bytes %llu-%llu/%llu", &first, &last, &size) == 3);
    require(size == strlen(whole) && first <= last && last < size && length == last - first + 1);
    require(memcmp(body, whole + first, length) == 0);
}

static void check(const coir_buffer *out)
{
    static const int statuses[] = {200, 206, 304, 308, 400, 404, 412, 414, 416, 431};
    static struct coir__http_head head;
    size_t size = 0;
    int status;
    bool known = false;
    const char *wrong = NULL;
    require(memmem(out->data, out->length, SECRET, strlen(SECRET)) == NULL);
    require(coir__http_parse_head(&head, true, (coir_bytes){out->data, out->length},
                                  &coir__http_limits, &size, &status, &wrong) == 1);
    for (size_t i = 0; i < COIR_COUNT(statuses); i++)
        known |= head.status == statuses[i];
    require(known);
    require(head.status == 304 || (head.has_length && head.length == out->length - size));
    check_body(&head, out->data + size, out->length - size);
}

static void check_date(const char *text)
{
    char again[COIR_HTTP_DATE_TEXT];
    int64_t seconds, twice = 0;
    if (coir_http_date_parse(text, &seconds) < 0 || seconds < 0 || seconds >= 253402300800)
        return;
    coir_http_date_format(seconds, again);
    require(coir_http_date_parse(again, &twice) == 0 && twice == seconds);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    if (length == 0)
        return 0;
    COIR_AUTO(coir_buffer) request = {0};
    char *text = strndup((const char *)data, length);
    require(text != NULL);
    check_date(text);
    free(text);
    put_request((const char *)data, length, &request);
    struct exchange exchange = {.text = request.data, .length = request.length};
    run_in_loop(serve, &exchange);
    check(&exchange.out);
    coir_buffer_close(&exchange.out);
    return 0;
}
