/* head.c: the head of a message: parsed by llhttp, behind the guard, and held to what RFC 9112 says
 * of framing.
 *
 * llhttp is given a head as a whole, so every name and value is one piece of the bytes. They are
 * copied once, and each is ended with a 0 in the place of the colon, blank or CR behind it. Then
 * the rules: who says two things about the length of a body is refused, and so is who names no host
 * or two. Called by connections of both sides.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <coir/error.h>
#include <coir/memory.h>

#include <llhttp/llhttp.h>

#include "message.h"

const struct coir__http_limits coir__http_limits = {
    .line = 8192, .headers = 32768, .count = COIR__HTTP_HEADERS};

/* ---- llhttp ---- */

struct span {
    size_t at, length; /* in the bytes */
};

/* What the parser finds, while it is at it. */
struct parse {
    llhttp_t parser; /* first: its callbacks get its address */
    const char *base;
    struct span first; /* the target, or the reason */
    struct span names[COIR__HTTP_HEADERS], values[COIR__HTTP_HEADERS];
    size_t count, most;
    bool too_many;
};

static struct span span_of(const struct parse *parse, const char *at, size_t length)
{
    return (struct span){(size_t)(at - parse->base), length};
}

static int on_first(llhttp_t *parser, const char *at, size_t length)
{
    struct parse *parse = (struct parse *)parser;
    parse->first = span_of(parse, at, length);
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t length)
{
    struct parse *parse = (struct parse *)parser;
    parse->too_many = parse->count == parse->most;
    if (parse->too_many)
        return -1;
    parse->names[parse->count] = span_of(parse, at, length);
    parse->values[parse->count++] = span_of(parse, at + length, 0);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    struct parse *parse = (struct parse *)parser;
    while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
        length--;
    parse->values[parse->count - 1] = span_of(parse, at, length);
    return 0;
}

/* The body is not llhttp's. */
static int on_end(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_first,
    .on_status = on_first,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_end,
};

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

static int copy_head(struct coir__http_head *head, const struct parse *parse, size_t size)
{
    if (size + 1 > head->capacity) {
        char *block = coir_realloc(head->block, size + 1);
        if (block == NULL)
            return -ENOMEM;
        head->block = block;
        head->capacity = size + 1;
    }
    char *block = memcpy(head->block, parse->base, size);
    block[size] = '\0';
    for (size_t i = 0; i < parse->count; i++) {
        struct span name = parse->names[i], value = parse->values[i];
        block[name.at + name.length] = '\0';
        head->headers[i].name = block + name.at;
        head->headers[i].value = value.length > 0 ? block + value.at : "";
        if (value.length > 0)
            block[value.at + value.length] = '\0';
    }
    head->count = parse->count;
    head->headers[head->count] = (coir_http_header){0};
    block[parse->first.at + parse->first.length] = '\0';
    const char *first = parse->first.length > 0 ? block + parse->first.at : "";
    bool response = parse->parser.type == HTTP_RESPONSE;
    head->target = response ? NULL : first;
    head->reason = response ? first : NULL;
    head->method = response ? NULL : llhttp_method_name((llhttp_method_t)parse->parser.method);
    head->status = response ? parse->parser.status_code : 0;
    head->minor = parse->parser.http_minor;
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

/* *ret_status becomes 501 for a coding that exists and is not understood here. */
static const char *take_coding(struct coir__http_head *head, const char *text, int *ret_status)
{
    if (head->chunked || strcasecmp(text, "chunked") != 0) {
        *ret_status = head->chunked || *text == '\0' ? 400 : 501;
        return "a transfer coding other than chunked";
    }
    head->chunked = true;
    return head->minor == 0 ? "a transfer coding in HTTP/1.0" : NULL;
}

/* Whether header is called name; most are not, which one byte tells. */
static bool is_called(const coir_http_header *header, const char *name)
{
    return (header->name[0] | 0x20) == (name[0] | 0x20) && strcasecmp(header->name, name) == 0;
}

static const char *take_framing(struct coir__http_head *head, int *ret_status)
{
    bool close = false, keep = false, upgrade = false, names_protocol = false;
    for (const coir_http_header *header = head->headers; header->name != NULL; header++) {
        const char *wrong = NULL;
        if (is_called(header, "Content-Length"))
            wrong = take_length(head, header->value);
        else if (is_called(header, "Transfer-Encoding"))
            wrong = take_coding(head, header->value, ret_status);
        else if (is_called(header, "Upgrade"))
            names_protocol = true;
        else if (is_called(header, "Connection")) {
            close |= coir__http_has_token(header->value, "close");
            keep |= coir__http_has_token(header->value, "keep-alive");
            upgrade |= coir__http_has_token(header->value, "upgrade");
        }
        if (wrong != NULL)
            return wrong;
    }
    head->keep_alive = !close && (head->minor > 0 || keep);
    head->upgrade = upgrade && names_protocol && head->minor > 0;
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
    bool known = (scheme == 4 && strncasecmp(head->target, "http", 4) == 0) ||
                 (scheme == 5 && strncasecmp(head->target, "https", 5) == 0);
    if (!known)
        return "a target that is none";
    authority += 3;
    size_t length = strcspn(authority, "/?");
    if (host == NULL || strlen(host) != length || strncasecmp(authority, host, length) != 0)
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

static const char *check_request(struct coir__http_head *head, int *ret_status)
{
    const char *host = NULL;
    for (const coir_http_header *header = head->headers; header->name != NULL; header++) {
        if (is_called(header, "Host")) {
            if (host != NULL)
                return "two hosts";
            host = header->value;
        } else if (is_called(header, "Expect")) {
            head->expects = strcasecmp(header->value, "100-continue") == 0 && head->minor > 0;
            if (strcasecmp(header->value, "100-continue") != 0) {
                *ret_status = 417;
                return "an expectation other than 100-continue";
            }
        }
    }
    if (host == NULL && head->minor > 0)
        return "no host";
    if (host != NULL && (!is_host(host) || *host == '\0'))
        return "a host that is none";
    return check_target(head, host);
}

/* ---- all of it ---- */

static int parse_whole(struct coir__http_head *head, bool response, coir_bytes bytes,
                       const struct coir__http_limits *limits, int *ret_status,
                       const char **ret_wrong)
{
    struct parse parse; /* large, and not read before it is written */
    llhttp_init(&parse.parser, response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    parse.base = bytes.data;
    parse.first = (struct span){0};
    parse.count = 0;
    parse.most = limits->count;
    parse.too_many = false;
    llhttp_errno_t code = llhttp_execute(&parse.parser, bytes.data, bytes.length);
    if (parse.too_many)
        return refuse(ret_status, ret_wrong, 431, "too many headers");
    if (code == HPE_INVALID_VERSION)
        return refuse(ret_status, ret_wrong, 505, "a version that is not HTTP/1");
    if (code == HPE_INVALID_METHOD)
        return refuse(ret_status, ret_wrong, 501, "a method that is not known");
    if (code != HPE_PAUSED || parse.parser.http_major != 1 || parse.parser.http_minor > 1)
        return refuse(ret_status, ret_wrong, code == HPE_PAUSED ? 505 : 400,
                      code == HPE_PAUSED ? "a version that is not HTTP/1" : parse.parser.reason);
    int r = copy_head(head, &parse, bytes.length);
    if (r < 0)
        return r;
    *ret_status = 400;
    const char *wrong = take_framing(head, ret_status);
    if (wrong == NULL && !response)
        wrong = check_request(head, ret_status);
    return wrong != NULL ? refuse(ret_status, ret_wrong, *ret_status, wrong) : 1;
}

int coir__http_parse_head(struct coir__http_head *head, bool response, coir_bytes bytes,
                          const struct coir__http_limits *limits, size_t *ret_size, int *ret_status,
                          const char **ret_wrong)
{
    const char *data = bytes.data;
    size_t length = bytes.length, skipped = 0, size;
    if (!response && length >= 2 && data[0] == '\r' && data[1] == '\n')
        skipped = 2; /* after a body, from clients that send one line too many */
    const char *wrong = coir__http_guard(data + skipped, length - skipped, response, &size);
    int r = check_limits(data + skipped, size > 0 ? size : length - skipped, limits, ret_status,
                         ret_wrong);
    if (r < 0)
        return r;
    if (wrong != NULL)
        return refuse(ret_status, ret_wrong, 400, wrong);
    if (size == 0)
        return 0;
    head->chunked = head->has_length = head->expects = false;
    head->length = 0;
    *ret_size = skipped + size;
    return parse_whole(head, response, (coir_bytes){data + skipped, size}, limits, ret_status,
                       ret_wrong);
}

void coir__http_head_free(struct coir__http_head *head)
{
    coir_free(head->block);
    head->block = NULL;
    head->capacity = head->count = 0;
}
