/* fuzz_http_files.c: lines as a path, and as the headers that choose what is sent of a file: Range,
 * If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, Accept-Encoding.
 * Libraries: http Sources: src/http
 *
 * Besides what sanitizers see: nothing comes from outside of the folder, and nothing that is
 * hidden; what comes is the file, its packed form for those who take that, or the parts that their
 * heads say, of which none overlap; these are what was asked for, where that is a list of ranges;
 * and a date that was read is written as one that reads the same.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <regex.h>
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

/* The second line, which is the Range, without blanks around it. */
static char *range_of(const char *text, size_t length)
{
    const char *end = text + length;
    size_t n = 0;
    (void)take_line(&text, end, &n);
    const char *line = take_line(&text, end, &n);
    while (line != NULL && n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }
    while (line != NULL && n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    char *range = text_of(line, line != NULL ? n : 0);
    return range;
}

/* ---- what came ---- */

/* Which bytes of a file are there, or are asked for. */
struct bytes {
    bool is[64];
};

/* Takes what a Content-Range says, which must not touch what is there already. Returns how many. */
static size_t take_range(const char *range, const char *whole, const char *body,
                         struct bytes *bytes)
{
    unsigned long long first = 0, last = 0, size = 0;
    require(range != NULL && sscanf(range, "bytes %llu-%llu/%llu", &first, &last, &size) == 3);
    require(size == strlen(whole) && first <= last && last < size);
    require(memcmp(body, whole + first, last - first + 1) == 0);
    require((first == 0 || !bytes->is[first - 1]) && !bytes->is[last + 1]);
    for (size_t i = first; i <= last; i++) {
        require(!bytes->is[i]);
        bytes->is[i] = true;
    }
    return last - first + 1;
}

/* Several parts: each behind "\r\n--", the boundary and two lines. */
static void take_parts(const char *boundary, const char *whole, const char *body, size_t length,
                       struct bytes *bytes)
{
    static const char type[] = "\r\nContent-Type: ", range[] = "\r\nContent-Range: ";
    const char *end = body + length;
    size_t size = strlen(boundary), parts = 0;
    for (;; parts++) {
        require((size_t)(end - body) >= size + 8 && memcmp(body, "\r\n--", 4) == 0);
        require(memcmp(body + 4, boundary, size) == 0);
        body += 4 + size;
        if (memcmp(body, "--\r\n", 4) == 0)
            break;
        require(strncmp(body, type, sizeof type - 1) == 0);
        body = strstr(body + 2, "\r\n");
        require(body != NULL && strncmp(body, range, sizeof range - 1) == 0);
        const char *blank = strstr(body + 2, "\r\n\r\n");
        require(blank != NULL);
        body = blank + 4 + take_range(body + sizeof range - 1, whole, blank + 4, bytes);
    }
    require(body + 4 == end && parts >= 2 && parts <= 16);
}

/* Which bytes a Range asks for. Returns whether it is a list of ranges, and nothing else. */
static bool read_asked(const char *text, size_t size, struct bytes *bytes)
{
    static regex_t grammar;
    static bool made;
    if (!made)
        require(regcomp(&grammar,
                        "^[Bb][Yy][Tt][Ee][Ss]=([0-9]{1,9}-([0-9]{1,9})?|-[0-9]{1,9})"
                        "([ \t]*,[ \t]*([0-9]{1,9}-([0-9]{1,9})?|-[0-9]{1,9}))*$",
                        REG_EXTENDED | REG_NOSUB) == 0);
    made = true;
    if (regexec(&grammar, text, 0, NULL, 0) != 0)
        return false;
    for (text += 5; text != NULL && *text != '\0'; text = strchr(text, ',')) {
        text += 1 + strspn(text + 1, " \t");
        bool suffix = *text == '-';
        size_t first = suffix ? 0 : strtoul(text, NULL, 10), last = SIZE_MAX;
        const char *dash = strchr(text, '-');
        if (dash[1] >= '0' && dash[1] <= '9')
            last = strtoul(dash + 1, NULL, 10);
        if (suffix)
            first = last < size ? size - last : 0;
        else if (last < first)
            return false;
        for (size_t i = first; i < size && (suffix || i <= last); i++)
            bytes->is[i] = true;
    }
    return true;
}

static void check_body(const struct coir__http_head *head, const char *body, size_t length,
                       const char *asked)
{
    static const char several[] = "multipart/byteranges; boundary=";
    const char *type = coir_http_header_get(head->headers, "Content-Type");
    const char *range = coir_http_header_get(head->headers, "Content-Range");
    const char *packed = coir_http_header_get(head->headers, "Content-Encoding");
    const char *whole = packed != NULL ? PACKED : LETTERS;
    struct bytes got = {0}, wanted = {0};
    require(packed == NULL || strcmp(packed, "gzip") == 0);
    if (head->status == 200)
        require(range == NULL && length == strlen(whole) && memcmp(body, whole, length) == 0);
    if (head->status != 206)
        return;
    if (strncmp(type, several, sizeof several - 1) == 0)
        take_parts(type + sizeof several - 1, whole, body, length, &got);
    else
        require(take_range(range, whole, body, &got) == length);
    if (read_asked(asked, strlen(whole), &wanted))
        require(memcmp(&got, &wanted, sizeof got) == 0);
}

static void check(const coir_buffer *out, const char *asked)
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
    check_body(&head, out->data + size, out->length - size, asked);
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
    char *text = text_of(data, length);
    check_date(text);
    free(text);
    put_request((const char *)data, length, &request);
    struct exchange exchange = {.text = request.data, .length = request.length};
    run_in_loop(serve, &exchange);
    char *asked = range_of((const char *)data, length);
    check(&exchange.out, asked);
    free(asked);
    coir_buffer_close(&exchange.out);
    return 0;
}
