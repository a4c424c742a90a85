/* guard.c: what may not be in the head of a message, and which parts there are in one that is good.
 *
 * Everything that lets two programs disagree where a message ends is refused here: control
 * characters, a CR or an LF alone, lines that continue, blanks before a colon, lines that are no
 * header. llhttp, which head.c asks in cases of doubt, takes some of these. The rules are those of
 * RFC 9112, sections 2.2, 3 and 5. Called by head.c, and by whoever writes headers.
 */
#include <string.h>

#include "message.h"

enum { TOKEN = 1, VALUE = 2, TARGET = 4 }; /* where a byte may stand */

/* In tokens and targets; in targets alone; in tokens alone; in neither. All stand in values. */
#define B (TOKEN | VALUE | TARGET)
#define R (VALUE | TARGET)
#define K (TOKEN | VALUE)
#define V (VALUE)

/* RFC 9110, section 5.6.2, and RFC 3986. Bytes above 127 are for values (obs-text). */
static const unsigned char places[256] = {
    ['\t'] = V, [' '] = V,         ['!'] = B,         ['"'] = V,  ['#'] = K, ['$'] = B,
    ['%'] = B,  ['&'] = B,         ['\''] = B,        ['('] = R,  [')'] = R, ['*'] = B,
    ['+'] = B,  [','] = R,         ['-'] = B,         ['.'] = B,  ['/'] = R, ['0' ... '9'] = B,
    [':'] = R,  [';'] = R,         ['<'] = V,         ['='] = R,  ['>'] = V, ['?'] = R,
    ['@'] = R,  ['A' ... 'Z'] = B, ['['] = R,         ['\\'] = V, [']'] = R, ['^'] = K,
    ['_'] = B,  ['`'] = K,         ['a' ... 'z'] = B, ['{'] = V,  ['|'] = K, ['}'] = V,
    ['~'] = B,  [128 ... 255] = V,
};

/* Behind the bytes from at on, as far as end, that may stand in a place. */
static inline const char *skip(const char *at, const char *end, unsigned char place)
{
    while (at < end && (places[(unsigned char)*at] & place) != 0)
        at++;
    return at;
}

/* The same for values, eight bytes at a time as long as all are in ' ' .. '~', as nearly all are:
 * taken as a number, none has its high bit, nor gets it when 32 is taken away or 1 is added. */
static const char *skip_value(const char *at, const char *end)
{
    const uint64_t ones = UINT64_MAX / 255;
    for (uint64_t bytes; end - at >= 8; at += 8) {
        memcpy(&bytes, at, sizeof bytes);
        if (((bytes | (bytes - ones * ' ') | (bytes + ones)) & ones << 7) != 0)
            break;
    }
    return skip(at, end, VALUE);
}

bool coir__http_is_token(const char *text, size_t length)
{
    return length > 0 && skip(text, text + length, TOKEN) == text + length;
}

bool coir__http_is_value(const char *text, size_t length)
{
    return skip_value(text, text + length) == text + length;
}

bool coir__http_has_token(const char *text, const char *token)
{
    size_t wanted = strlen(token);
    while (*text != '\0') {
        size_t blanks = strspn(text, " \t,");
        size_t length = strcspn(text + blanks, ",");
        const char *word = text + blanks;
        text = word + length;
        while (length > 0 && (word[length - 1] == ' ' || word[length - 1] == '\t'))
            length--;
        if (length == wanted && coir__http_alike_start(word, token, length))
            return true;
    }
    return false;
}

/* ---- lines ---- */

/* A head that is being looked at. */
struct scan {
    const char *base, *end;
    struct coir__http_parts *parts; /* that were found so far */
    const char *wrong;              /* NULL: nothing */
};

/* Each of these takes what begins at a line, and returns where the next one does. NULL: it is not
 * there as a whole, or scan->wrong says what is wrong with it. */

static const char *refuse(struct scan *scan, const char *wrong)
{
    scan->wrong = wrong;
    return NULL;
}

/* What is left of a line is too short for what must be there: it comes, or the line has ended. */
static const char *take_less(struct scan *scan, const char *at, const char *wrong)
{
    return memchr(at, '\n', (size_t)(scan->end - at)) != NULL ? refuse(scan, wrong) : NULL;
}

/* CR and LF; where something else is, that is wrong. */
static const char *take_end(struct scan *scan, const char *at, const char *wrong)
{
    if (scan->end - at >= 2 && at[0] == '\r' && at[1] == '\n')
        return at + 2;
    if (at == scan->end || (at[0] == '\r' && scan->end - at == 1))
        return NULL;
    return refuse(scan, at[0] == '\n' ? "a line ends without CR and LF" : wrong);
}

static struct coir__http_span span(const struct scan *scan, const char *from, const char *to)
{
    return (struct coir__http_span){(uint32_t)(from - scan->base), (uint32_t)(to - from)};
}

/* "HTTP/1.1", whatever the digits are. */
static bool take_version(struct scan *scan, const char *text)
{
    scan->parts->major = text[5];
    scan->parts->minor = text[7];
    return memcmp(text, "HTTP/", 5) == 0 && text[5] >= '0' && text[5] <= '9' && text[6] == '.' &&
           text[7] >= '0' && text[7] <= '9';
}

/* A method, a target and a version, with one blank between. */
static const char *take_request_line(struct scan *scan, const char *line)
{
    static const char wrong[] = "a request line that is none";
    const char *method = skip(line, scan->end, TOKEN);
    if (method == scan->end)
        return NULL;
    if (method == line || *method != ' ')
        return refuse(scan, wrong);
    const char *target = skip(method + 1, scan->end, TARGET);
    if (target == scan->end)
        return NULL;
    if (target == method + 1 || *target != ' ')
        return refuse(scan, wrong);
    const char *version = target + 1;
    if (scan->end - version < 8)
        return take_less(scan, version, wrong);
    scan->parts->method = span(scan, line, method);
    scan->parts->first = span(scan, method + 1, target);
    return take_version(scan, version) ? take_end(scan, version + 8, wrong) : refuse(scan, wrong);
}

/* A version, a status of three digits, and perhaps a reason. */
static const char *take_status_line(struct scan *scan, const char *line)
{
    static const char wrong[] = "a status line that is none";
    if (scan->end - line < 12)
        return take_less(scan, line, wrong);
    bool good = take_version(scan, line) && line[8] == ' ' && line[9] >= '1' && line[9] <= '5' &&
                line[10] >= '0' && line[10] <= '9' && line[11] >= '0' && line[11] <= '9';
    if (!good)
        return refuse(scan, wrong);
    const char *reason = line + 12, *at = reason;
    if (at < scan->end && *at == ' ')
        at = skip_value(++reason, scan->end);
    scan->parts->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    scan->parts->first = span(scan, reason, at);
    return take_end(scan, at, wrong);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What is wrong with a header line at whose byte at there should be a colon. */
static const char *refuse_header(struct scan *scan, const char *line, const char *at)
{
    if (at == line && is_blank(*at))
        return refuse(scan, "a header line that continues the one before");
    bool ended = *at == '\r' || *at == '\n';
    return refuse(scan, ended ? "a header line without a colon" : "a header name that is none");
}

static const char *take_header(struct scan *scan, const char *line)
{
    struct coir__http_parts *parts = scan->parts;
    const char *colon = skip(line, scan->end, TOKEN);
    if (colon == scan->end)
        return NULL;
    if (*colon != ':' || colon == line)
        return refuse_header(scan, line, colon);
    const char *value = colon + 1, *end = skip_value(value, scan->end);
    const char *next = take_end(scan, end, "a control character in a header");
    while (value < end && is_blank(*value))
        value++;
    while (value < end && is_blank(end[-1]))
        end--;
    if (parts->count < COIR__HTTP_HEADERS)
        parts->headers[parts->count] =
            (struct coir__http_line){span(scan, line, colon), span(scan, value, end)};
    parts->count++;
    return next;
}

const char *coir__http_guard(const char *data, size_t length, bool response,
                             struct coir__http_parts *ret_parts, size_t *ret_size)
{
    struct scan scan = {data, data + length, ret_parts, NULL};
    const char *at = data;
    *ret_size = 0;
    ret_parts->count = 0;
    if (length > 0 && *at != '\r')
        at = response ? take_status_line(&scan, at) : take_request_line(&scan, at);
    while (at != NULL && at < scan.end && *at != '\r')
        at = take_header(&scan, at);
    if (at == NULL || at == scan.end)
        return scan.wrong;
    bool empty = at == data;
    at = take_end(&scan, at, "a CR without LF");
    if (at != NULL && empty)
        scan.wrong = "an empty line instead of a message";
    else if (at != NULL)
        *ret_size = (size_t)(at - data);
    return scan.wrong;
}
