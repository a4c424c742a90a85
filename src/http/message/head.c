/* head.c: the head of a message: its parts, as the guard has found them, held to what RFC 9112 says
 * of framing.
 *
 * They are copied once, and each is ended with a 0 in the place of the colon, blank or CR behind
 * it. Then the rules: who says two things about the length of a body is refused, and so is who
 * names no host or two. A head of which programs have disagreed, since it has a transfer coding or
 * anything else than what nearly all have in its first line, must be one for llhttp too. Called by
 * connections of both sides.
 */
#include <errno.h>
#include <string.h>

#include <coir/error.h>
#include <coir/memory.h>

#include <llhttp/llhttp.h>

#include "message.h"

const struct coir__http_limits coir__http_limits = {
    .line = 8192, .headers = 32768, .count = COIR__HTTP_HEADERS};

/* ---- limits ---- */

static int refuse(int *ret_status, const char **ret_wrong, int status, const char *wrong)
{
    *ret_status = status;
    *ret_wrong = wrong;
    return status == 414 || status == 431 ? -COIR_ETOOLONG : -COIR_EHTTP;
}

/* Whether so many bytes at data, with a whole head or without one, keep to the limits. */
static int check_limits(const char *data, size_t length, const struct coir__http_limits *limits,
                        int *ret_status, const char **ret_wrong)
{
    if (length <= limits->line && length <= limits->headers)
        return 0;
    const char *line_end = memchr(data, '\n', length);
    size_t line = line_end != NULL ? (size_t)(line_end + 1 - data) : length;
    if (line > limits->line + 2 && memchr(data, ' ', limits->line) == NULL)
        return refuse(ret_status, ret_wrong, 400, "a first line that is no message's");
    if (line > limits->line + 2)
        return refuse(ret_status, ret_wrong, 414, "the first line is too long");
    if (length - line > limits->headers + 2)
        return refuse(ret_status, ret_wrong, 431, "the headers are too long");
    return 0;
}

/* ---- copying ---- */

/* The text of a part of a head that was copied to text; it ends there. */
static const char *text_of(char *text, struct coir__http_span part)
{
    text[part.at + part.length] = '\0';
    return text + part.at;
}

/* Copies the size bytes at data, a head that consists of parts. */
static int copy_head(struct coir__http_head *head, bool response, const char *data, size_t size,
                     const struct coir__http_parts *parts)
{
    size_t table = (parts->count + 1) * sizeof *head->headers, needed = table + size + 1;
    if (needed > head->capacity) {
        char *block = coir_realloc(head->block, needed);
        if (block == NULL)
            return -ENOMEM;
        head->block = block;
        head->capacity = needed;
    }
    coir_http_header *headers = (coir_http_header *)(void *)head->block;
    char *text = head->block + table;
    memcpy(text, data, size);
    for (size_t i = 0; i < parts->count; i++)
        headers[i] = (coir_http_header){text_of(text, parts->headers[i].name),
                                        text_of(text, parts->headers[i].value)};
    headers[parts->count] = (coir_http_header){0};
    head->headers = headers;
    head->count = parts->count;
    head->method = response ? NULL : text_of(text, parts->method);
    head->target = response ? NULL : text_of(text, parts->first);
    head->reason = response ? text_of(text, parts->first) : NULL;
    head->status = response ? parts->status : 0;
    head->minor = parts->minor - '0';
    return 0;
}

/* ---- framing: RFC 9112, sections 6 and 9.3 ---- */

static const char *take_length(struct coir__http_head *head, const char *text)
{
    if (head->has_length)
        return "two lengths";
    uint64_t length = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0')
        return "a length that is no number";
    for (size_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(length, 10, &length) ||
            __builtin_add_overflow(length, (uint64_t)(text[i] - '0'), &length))
            return "a length that is too large";
    if (length > INT64_MAX)
        return "a length that is too large";
    head->has_length = true;
    head->length = length;
    return NULL;
}

/* Whether something follows the coding "chunked", which nothing may. */
static bool is_followed(const char *text)
{
    for (const char *comma; (comma = strchr(text, ',')) != NULL; text = comma + 1) {
        text += strspn(text, " \t");
        if (strcspn(text, " \t,") == 7 && coir__http_alike_start(text, "chunked", 7))
            return true;
    }
    return false;
}

/* *ret_status becomes 501 for a coding that exists and is not understood here. */
static const char *take_coding(struct coir__http_head *head, const char *text, int *ret_status)
{
    if (head->chunked || !coir__http_alike(text, "chunked")) {
        *ret_status = head->chunked || *text == '\0' || is_followed(text) ? 400 : 501;
        return "a transfer coding other than chunked";
    }
    head->chunked = true;
    return head->minor == 0 ? "a transfer coding in HTTP/1.0" : NULL;
}

/* What the headers of a head say, besides what is the head's. */
struct said {
    bool close, keep, upgrade, protocol;
    const char *host; /* of a request */
};

/* Whether a header, whose name is of so many bytes, is called name, which is in lower case. */
static inline bool is_called(const coir_http_header *header, size_t length, const char *name)
{
    if (length != strlen(name))
        return false;
    for (size_t i = 0; i < length; i++)
        if ((header->name[i] | 0x20) != name[i])
            return false;
    return true;
}

static void take_connection(struct said *said, const char *text)
{
    said->close |= coir__http_has_token(text, "close");
    said->keep |= coir__http_has_token(text, "keep-alive");
    said->upgrade |= coir__http_has_token(text, "upgrade");
}

static const char *take_expectation(struct coir__http_head *head, const char *text, int *ret_status)
{
    head->expects = coir__http_alike(text, "100-continue") && head->minor > 0;
    if (coir__http_alike(text, "100-continue"))
        return NULL;
    *ret_status = 417;
    return "an expectation other than 100-continue";
}

static const char *take_header(struct coir__http_head *head, const coir_http_header *header,
                               size_t length, struct said *said, int *ret_status)
{
    bool request = head->method != NULL;
    if (is_called(header, length, "content-length"))
        return take_length(head, header->value);
    if (is_called(header, length, "transfer-encoding"))
        return take_coding(head, header->value, ret_status);
    if (is_called(header, length, "connection"))
        take_connection(said, header->value);
    said->protocol |= is_called(header, length, "upgrade");
    if (request && is_called(header, length, "expect"))
        return take_expectation(head, header->value, ret_status);
    if (request && is_called(header, length, "host")) {
        if (said->host != NULL)
            return "two hosts";
        said->host = header->value;
    }
    return NULL;
}

/* Takes what the headers say of the body and the connection. */
static const char *take_headers(struct coir__http_head *head, const struct coir__http_parts *parts,
                                struct said *said, int *ret_status)
{
    *said = (struct said){0};
    for (size_t i = 0; i < parts->count; i++) {
        const char *wrong =
            take_header(head, &head->headers[i], parts->headers[i].name.length, said, ret_status);
        if (wrong != NULL)
            return wrong;
    }
    head->keep_alive = !said->close && (head->minor > 0 || said->keep);
    head->upgrade = said->upgrade && said->protocol && head->minor > 0;
    return head->chunked && head->has_length ? "a length and a transfer coding" : NULL;
}

/* ---- requests: RFC 9112, section 3 ---- */

/* An authority without a user; what is not in the syntax is not looked at closer: it is compared,
 * never resolved. */
static bool is_host(const char *text)
{
    return text[strcspn(text, " \t\"#%/<>?@\\^`{|}")] == '\0';
}

/* "http://host/path" becomes "/path", if host is the one that Host names. */
static const char *take_absolute(struct coir__http_head *head, const char *host)
{
    const char *authority = strstr(head->target, "://");
    size_t scheme = authority != NULL ? (size_t)(authority - head->target) : 0;
    bool known = (scheme == 4 && coir__http_alike_start(head->target, "http", 4)) ||
                 (scheme == 5 && coir__http_alike_start(head->target, "https", 5));
    if (!known)
        return "a target that is none";
    authority += 3;
    size_t length = strcspn(authority, "/?");
    if (host == NULL || strlen(host) != length || !coir__http_alike_start(authority, host, length))
        return "a target and a Host that differ";
    const char *path = authority + length;
    if (*path == '?') { /* the host's last byte makes room */
        char *slash = head->block + (path - 1 - head->block);
        *slash = '/';
        path = slash;
    }
    head->target = *path != '\0' ? path : "/";
    return NULL;
}

static const char *check_target(struct coir__http_head *head, const char *host)
{
    const char *target = head->target;
    if (coir__http_is_method(head->method, "CONNECT"))
        return is_host(target) && target[0] != '\0' ? NULL : "a target that is none";
    if (target[0] == '/')
        return NULL;
    if (strcmp(target, "*") == 0)
        return coir__http_is_method(head->method, "OPTIONS") ? NULL : "a target that is none";
    return take_absolute(head, host);
}

static const char *check_request(struct coir__http_head *head, const char *host)
{
    if (host == NULL && head->minor > 0)
        return "no host";
    if (host != NULL && (!is_host(host) || *host == '\0'))
        return "a host that is none";
    return check_target(head, host);
}

/* ---- llhttp ---- */

/* Whether there is anything in a head of which programs have ever disagreed. */
static bool is_doubtful(const struct coir__http_head *head)
{
    static const char *const usual[] = {"GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"};
    if (head->chunked || head->upgrade)
        return true;
    if (head->method == NULL)
        return false;
    for (size_t i = 0; i < COIR_COUNT(usual); i++)
        if (coir__http_is_method(head->method, usual[i]))
            return head->target[0] != '/';
    return true;
}

/* The body is not llhttp's. */
static int on_end(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

/* What llhttp says of a head. Returns 0 or a code. */
static int ask_llhttp(bool response, coir_bytes bytes, int *ret_status, const char **ret_wrong)
{
    static const llhttp_settings_t settings = {.on_headers_complete = on_end};
    llhttp_t parser;
    llhttp_init(&parser, response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    llhttp_errno_t code = llhttp_execute(&parser, bytes.data, bytes.length);
    if (code == HPE_INVALID_METHOD)
        return refuse(ret_status, ret_wrong, 501, "a method that is not known");
    return code == HPE_PAUSED ? 0 : refuse(ret_status, ret_wrong, 400, parser.reason);
}

/* ---- all of it ---- */

static int take_parts(struct coir__http_head *head, bool response, coir_bytes bytes,
                      const struct coir__http_parts *parts, int *ret_status, const char **ret_wrong)
{
    struct said said;
    if (parts->major != '1' || parts->minor > '1')
        return refuse(ret_status, ret_wrong, 505, "a version that is not HTTP/1");
    int r = copy_head(head, response, bytes.data, bytes.length, parts);
    if (r < 0)
        return r;
    head->chunked = head->has_length = head->expects = false;
    head->length = 0;
    *ret_status = 400;
    const char *wrong = take_headers(head, parts, &said, ret_status);
    if (wrong == NULL && is_doubtful(head))
        r = ask_llhttp(response, bytes, ret_status, ret_wrong);
    if (r < 0)
        return r;
    if (wrong == NULL && !response)
        wrong = check_request(head, said.host);
    return wrong != NULL ? refuse(ret_status, ret_wrong, *ret_status, wrong) : 1;
}

int coir__http_parse_head(struct coir__http_head *head, bool response, coir_bytes bytes,
                          const struct coir__http_limits *limits, size_t *ret_size, int *ret_status,
                          const char **ret_wrong)
{
    struct coir__http_parts parts; /* large, and not read before it is written */
    const char *data = bytes.data;
    size_t length = bytes.length, skipped = 0, size;
    if (!response && length >= 2 && data[0] == '\r' && data[1] == '\n')
        skipped = 2; /* after a body, from clients that send one line too many */
    data += skipped;
    length -= skipped;
    const char *wrong = coir__http_guard(data, length, response, &parts, &size);
    int r = check_limits(data, size > 0 ? size : length, limits, ret_status, ret_wrong);
    if (r < 0)
        return r;
    if (wrong != NULL)
        return refuse(ret_status, ret_wrong, 400, wrong);
    if (size == 0)
        return 0;
    if (parts.count > limits->count)
        return refuse(ret_status, ret_wrong, 431, "too many headers");
    *ret_size = skipped + size;
    return take_parts(head, response, (coir_bytes){data, size}, &parts, ret_status, ret_wrong);
}

void coir__http_head_free(struct coir__http_head *head)
{
    coir_free(head->block);
    head->block = NULL;
    head->headers = NULL;
    head->capacity = head->count = 0;
}
