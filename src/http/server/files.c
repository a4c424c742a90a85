/* files.c: replies that are files: which one, and whether the client has it already.
 *
 * A path from a request is opened beneath the directory of its route by one call of the kernel,
 * which follows no link that leads out; what was opened is looked at, not what the name led to a
 * moment ago. Conditions are judged in the order of RFC 9110, section 13.2.2; what is sent then is
 * ranges.c's. Where nobody has put a packed form beside it, a file that is not large is packed as
 * any reply is, with a weak tag; parts are always of the bytes that are in a file, since what a
 * packer makes of them may be another thing the next time. Called by programs and connection.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <coir/fs.h>
#include <coir/memory.h>

#include "app.h"

#define PACKED_MOST ((uint64_t)1 << 20) /* of a file that is packed anew for each request */

/* ---- types ---- */

static const char *type_of(const char *path)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {"html", "text/html; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"json", "application/json"},
        {"txt", "text/plain; charset=utf-8"},
        {"md", "text/markdown; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"xml", "application/xml"},
        {"svg", "image/svg+xml"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"webp", "image/webp"},
        {"avif", "image/avif"},
        {"ico", "image/vnd.microsoft.icon"},
        {"woff2", "font/woff2"},
        {"wasm", "application/wasm"},
        {"pdf", "application/pdf"},
        {"mp4", "video/mp4"},
        {"webm", "video/webm"},
        {"mp3", "audio/mpeg"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < COIR_COUNT(types); i++)
        if (coir__http_alike(dot + 1, types[i].ending))
            return types[i].type;
    return "application/octet-stream";
}

/* ---- what is to be sent ---- */

/* A file that was opened, and what is known of it. */
struct found {
    coir_file *file;
    uint64_t size;
    coir_time modified;
    const char *coding; /* of its bytes: "br"; NULL: none */
    char etag[48];
    char date[COIR_HTTP_DATE_TEXT];
};

static int open_found(struct found *found, const char *path, coir_file *directory)
{
    const coir_file_opts opts = {.directory = directory, .beneath = directory != NULL};
    struct stat status;
    COIR_TRY(coir_file_open(path, O_RDONLY | O_NONBLOCK, &opts, &found->file));
    if (fstat(coir_file_descriptor(found->file), &status) < 0 || !S_ISREG(status.st_mode)) {
        bool directory_is = S_ISDIR(status.st_mode);
        coir_file_close(COIR_TAKE(found->file));
        return directory_is ? -EISDIR : -ENOENT;
    }
    found->size = (uint64_t)status.st_size;
    found->modified =
        (coir_time)status.st_mtim.tv_sec * COIR_SEC(1) + (coir_time)status.st_mtim.tv_nsec;
    return 0;
}

/* Takes a packed form of the file beside it, if the client takes that and it is not older. */
static void try_packed(coir_http_request *request, struct found *found, const char *path,
                       coir_file *directory)
{
    static const char *const endings[COIR__HTTP_CODINGS] = {"", ".br", ".zst", ".gz"};
    unsigned quality[COIR__HTTP_CODINGS], missing = 0;
    coir__http_accepted(request, quality);
    for (enum coir__http_coding coding;
         (coding = coir__http_best(quality, missing)) != COIR__HTTP_PLAIN;
         missing |= 1U << coding) {
        COIR_AUTO(coir_buffer) name = {0};
        struct found other = {0};
        if (coir__http_put(&name, path) < 0 || coir__http_put(&name, endings[coding]) < 0 ||
            open_found(&other, coir_buffer_text(&name), directory) < 0)
            continue;
        if (other.modified >= found->modified) {
            coir_file_close(found->file);
            *found = other;
            found->coding = coir__http_codings[coding];
            return;
        }
        coir_file_close(other.file);
    }
}

static void name_version(struct found *found)
{
    (void)snprintf(found->etag, sizeof found->etag, "\"%llx-%llx%s%s\"",
                   (unsigned long long)found->modified, (unsigned long long)found->size,
                   found->coding != NULL ? "-" : "", found->coding != NULL ? found->coding : "");
    coir_http_date_format(found->modified / COIR_SEC(1), found->date);
}

/* ---- conditions ---- */

/* Whether a list of entity tags has that one; weakly, "W/" does not count. */
static bool has_tag(const char *list, const char *etag, bool weakly)
{
    size_t wanted = strlen(etag);
    if (strcmp(list, "*") == 0)
        return true;
    while (*list != '\0') {
        list += strspn(list, " \t,");
        bool weak = strncmp(list, "W/", 2) == 0;
        list += weak ? 2 : 0;
        size_t length = strcspn(list, ",");
        while (length > 0 && (list[length - 1] == ' ' || list[length - 1] == '\t'))
            length--;
        if ((weakly || !weak) && length == wanted && memcmp(list, etag, wanted) == 0)
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

/* Whether the file has not changed since a date that the client names; false for no date. */
static bool is_since(const char *date, const struct found *found)
{
    int64_t seconds;
    return date != NULL && coir_http_date_parse(date, &seconds) == 0 &&
           found->modified / COIR_SEC(1) <= seconds;
}

/* What the conditions say: 200 to send it, 304, 412. */
static int judge(const coir_http_request *request, const struct found *found)
{
    const char *match = coir_http_request_header(request, "If-Match");
    const char *unmodified = coir_http_request_header(request, "If-Unmodified-Since");
    const char *none = coir_http_request_header(request, "If-None-Match");
    const char *modified = coir_http_request_header(request, "If-Modified-Since");
    int64_t unused;
    if (match != NULL && !has_tag(match, found->etag, false))
        return 412;
    if (match == NULL && unmodified != NULL && coir_http_date_parse(unmodified, &unused) == 0 &&
        !is_since(unmodified, found))
        return 412;
    bool reads = coir__http_is_method(request->head.method, "GET") || request->head_only;
    if (none != NULL)
        return !has_tag(none, found->etag, true) ? 200 : reads ? 304 : 412;
    return reads && is_since(modified, found) ? 304 : 200;
}

/* A range is good for the version that the client has a part of. A date does not say whether that
 * is one of the packed form, if there is one. */
static bool may_take_range(const coir_http_request *request, const struct found *found, bool packed)
{
    const char *condition = coir_http_request_header(request, "If-Range");
    if (condition == NULL)
        return true;
    if (condition[0] == '"')
        return has_tag(condition, found->etag, false);
    return !packed && strcmp(condition, found->date) == 0;
}

/* ---- replying ---- */

/* Whether the whole is packed for this request. */
static int choose_coding(coir_http_request *request, const struct found *found, const char *type,
                         bool *ret_packed)
{
    enum coir__http_coding coding = COIR__HTTP_PLAIN;
    if (found->coding == NULL && found->size <= PACKED_MOST)
        COIR_TRY(coir__http_choose(request, 200, type, found->size, &coding));
    *ret_packed = coding != COIR__HTTP_PLAIN;
    return 0;
}

static int put_version(coir_http_request *request, const struct found *found, bool packed)
{
    COIR_TRY(coir_http_reply_header(request, "ETag", found->etag));
    COIR_TRY(coir_http_reply_header(request, "Last-Modified", found->date));
    if (!packed)
        COIR_TRY(coir_http_reply_header(request, "Accept-Ranges", "bytes"));
    return coir__http_say_vary(request);
}

/* Packs a file as any reply is. */
static int send_packed(coir_http_request *request, const struct coir__http_content *content)
{
    COIR_AUTO(coir_buffer) whole = {0};
    size_t n = 0, size = (size_t)content->size;
    if (request->grouped) /* replies before it do not wait for the disk */
        COIR_TRY(coir__http_flush(request));
    COIR_TRY(coir_buffer_reserve(&whole, size));
    COIR_TRY(coir_file_read(content->file, whole.data, size, 0, &n));
    if (n < size)
        return coir_fail(-EIO, "the file has become shorter");
    return coir_http_reply(request, 200, content->type, whole.data, size);
}

static int reply_not_modified(coir_http_request *request, bool packed)
{
    if (packed)
        COIR_TRY(coir__http_weaken_tag(request));
    return coir_http_reply(request, 304, NULL, NULL, 0);
}

static int send_found(coir_http_request *request, const struct found *found, const char *type)
{
    bool packed = false;
    int status = judge(request, found);
    COIR_TRY(choose_coding(request, found, type, &packed));
    COIR_TRY(put_version(request, found, packed));
    if (status == 304)
        return reply_not_modified(request, packed);
    if (status == 412)
        return coir__http_refuse(request, 412, NULL, false);
    if (found->coding != NULL)
        COIR_TRY(coir_http_reply_header(request, "Content-Encoding", found->coding));
    const struct coir__http_content content = {found->file, found->size, type};
    const char *range = coir_http_request_header(request, "Range");
    if (range != NULL && coir__http_is_method(request->head.method, "GET") &&
        may_take_range(request, found, packed))
        return coir__http_send_ranges(request, &content, range);
    return packed ? send_packed(request, &content) : coir__http_send_whole(request, &content);
}

static int reply_with(coir_http_request *request, const char *path, coir_file *directory,
                      const char *type)
{
    struct found found = {0};
    int r = open_found(&found, path, directory);
    if (r < 0)
        return r;
    try_packed(request, &found, path, directory);
    name_version(&found);
    r = send_found(request, &found, type != NULL ? type : type_of(path));
    coir_file_close(found.file);
    return r;
}

int coir_http_reply_file(coir_http_request *request, const char *path, const char *type)
{
    if (path == NULL)
        return -EINVAL;
    int r = reply_with(request, path, NULL, type);
    bool missing = r == -ENOENT || r == -EISDIR || r == -ENOTDIR || r == -ENXIO;
    return missing ? coir__http_blame(request, 404, -ENOENT) : r;
}

/* ---- directories ---- */

/* Whether every segment of a path is a name that a file may have here. */
static bool is_clean(const char *path)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        if (length == 0 || path[0] == '.' || memchr(path, '\\', length) != NULL)
            return false; /* "..", ".", and what is hidden */
        path += length;
        path += *path == '/';
    }
    return true;
}

/* A directory without its slash: links in its page would lead astray. */
static int add_slash(coir_http_request *request)
{
    const char *target = request->head.target;
    size_t before = strcspn(target, "?");
    COIR_AUTO(coir_buffer) location = {0};
    COIR_TRY(coir__http_put_bytes(&location, target, before));
    COIR_TRY(coir__http_put(&location, "/"));
    COIR_TRY(coir__http_put(&location, target + before));
    return coir_http_redirect(request, 308, coir_buffer_text(&location));
}

static int serve_below(coir_http_request *request, coir_file *directory, const char *path)
{
    if (path == NULL)
        return add_slash(request);
    size_t length = strlen(path);
    bool whole = length == 0 || path[length - 1] == '/';
    COIR_AUTO(coir_buffer) name = {0};
    COIR_TRY(coir__http_put(&name, path));
    if (whole)
        COIR_TRY(coir__http_put(&name, "index.html"));
    if (!is_clean(coir_buffer_text(&name)))
        return -ENOENT;
    int r = reply_with(request, coir_buffer_text(&name), directory, NULL);
    return r == -EISDIR && !whole ? add_slash(request) : r;
}

int coir__http_serve_file(coir_http_request *request, const struct coir__http_files *files,
                          const char *path)
{
    coir_file *directory = files->directory;
    int r = serve_below(request, directory, path);
    bool hidden = r == -ENOENT || r == -EACCES || r == -EXDEV || r == -ELOOP || r == -ENOTDIR ||
                  r == -EISDIR || r == -ENAMETOOLONG || r == -ENXIO;
    if (hidden)
        coir_clear_error();
    return hidden ? coir__http_blame(request, 404, -ENOENT) : r;
}

int coir__http_open_directories(struct coir__http_node *root)
{
    if (root == NULL)
        return 0;
    for (struct coir__http_route *route = root->routes; route != NULL; route = route->next)
        if (route->files != NULL && route->files->directory == NULL)
            COIR_TRY(coir_file_open(route->files->path, O_PATH | O_DIRECTORY, NULL,
                                    &route->files->directory));
    for (struct coir__http_node *child = root->first; child != NULL; child = child->next)
        COIR_TRY(coir__http_open_directories(child));
    COIR_TRY(coir__http_open_directories(root->param));
    return coir__http_open_directories(root->rest);
}

void coir_http_app_static(coir_http_app *app, const char *prefix, const char *directory)
{
    COIR_AUTO(coir_buffer) pattern = {0};
    const char *wrong = "there is not enough memory";
    if (prefix == NULL) {
        coir__http_mistake(app, "static", prefix, "there is no prefix");
        return;
    }
    if (strpbrk(prefix, "{}") != NULL) {
        coir__http_mistake(app, "static", prefix, "a prefix has no parameters");
        return;
    }
    struct coir__http_files *files = coir_calloc(1, sizeof *files);
    size_t size = directory != NULL ? strlen(directory) + 1 : 0;
    if (files != NULL && size > 0)
        files->path = coir_alloc(size);
    if (files != NULL && files->path != NULL) {
        memcpy(files->path, directory, size);
        size_t length = strlen(prefix);
        while (length > 0 && prefix[length - 1] == '/')
            length--;
        if (coir_buffer_append(&pattern, prefix, length) == 0 &&
            coir__http_put(&pattern, "/{path...}") == 0)
            wrong = coir__http_router_add(&app->root, "GET", coir_buffer_text(&pattern), NULL,
                                          files, NULL);
    }
    if (wrong == NULL)
        return;
    if (files != NULL)
        coir_free(files->path);
    coir_free(files);
    coir__http_mistake(app, "static", prefix, wrong);
}
