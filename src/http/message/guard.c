/* guard.c: what may not be in the head of a message, before a parser sees it.
 *
 * Everything that lets two programs disagree where a message ends is refused here: control
 * characters, a CR or an LF alone, lines that continue, blanks before a colon, lines that are no
 * header. The parser behind it (llhttp) takes some of these. The rules are those of RFC 9112,
 * sections 2.2, 3 and 5. Called by head.c, and by whoever writes headers.
 */
#include <string.h>
#include <strings.h>

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
        if (length == wanted && strncasecmp(word, token, length) == 0)
            return true;
    }
    return false;
}

/* ---- lines ---- */

/* Each of these takes what begins at a line, and returns where the next one does. NULL: it is not
 * there as a whole, or *ret_wrong says what is wrong with it. */

static const char *refuse(const char *wrong, const char **ret_wrong)
{
    *ret_wrong = wrong;
    return NULL;
}

/* What is left of a line is too short for what must be there: it comes, or the line has ended. */
static const char *take_less(const char *at, const char *end, const char *wrong,
                             const char **ret_wrong)
{
    return memchr(at, '\n', (size_t)(end - at)) != NULL ? refuse(wrong, ret_wrong) : NULL;
}

/* CR and LF; where something else is, that is wrong. */
static const char *take_end(const char *at, const char *end, const char *wrong,
                            const char **ret_wrong)
{
    if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
        return at + 2;
    if (at == end || (at[0] == '\r' && end - at == 1))
        return NULL;
    return refuse(at[0] == '\n' ? "a line ends without CR and LF" : wrong, ret_wrong);
}

/* "HTTP/1.1", whatever the digits are. */
static bool is_version(const char *text)
{
    return memcmp(text, "HTTP/", 5) == 0 && text[5] >= '0' && text[5] <= '9' && text[6] == '.' &&
           text[7] >= '0' && text[7] <= '9';
}

/* A method, a target and a version, with one blank between. */
static const char *take_request_line(const char *line, const char *end, const char **ret_wrong)
{
    static const char wrong[] = "a request line that is none";
    const char *at = line;
    static const unsigned char parts[] = {TOKEN, TARGET};
    for (size_t i = 0; i < sizeof parts; i++) {
        const char *part = at;
        at = skip(part, end, parts[i]);
        if (at == end)
            return NULL;
        if (at == part || *at++ != ' ')
            return refuse(wrong, ret_wrong);
    }
    if (end - at < 8)
        return take_less(at, end, wrong, ret_wrong);
    return is_version(at) ? take_end(at + 8, end, wrong, ret_wrong) : refuse(wrong, ret_wrong);
}

/* A version, a status of three digits, and perhaps a reason. */
static const char *take_status_line(const char *line, const char *end, const char **ret_wrong)
{
    static const char wrong[] = "a status line that is none";
    if (end - line < 12)
        return take_less(line, end, wrong, ret_wrong);
    bool good = is_version(line) && line[8] == ' ' && line[9] >= '1' && line[9] <= '5' &&
                line[10] >= '0' && line[10] <= '9' && line[11] >= '0' && line[11] <= '9';
    const char *at = line + 12;
    if (good && at < end && *at == ' ')
        at = skip_value(at, end);
    return good ? take_end(at, end, wrong, ret_wrong) : refuse(wrong, ret_wrong);
}

static const char *take_header(const char *line, const char *end, const char **ret_wrong)
{
    const char *at = skip(line, end, TOKEN);
    if (at == end)
        return NULL;
    if (*at == ':' && at > line)
        return take_end(skip_value(at + 1, end), end, "a control character in a header", ret_wrong);
    if (at == line && (*at == ' ' || *at == '\t'))
        return refuse("a header line that continues the one before", ret_wrong);
    bool ended = *at == '\r' || *at == '\n';
    return refuse(ended ? "a header line without a colon" : "a header name that is none",
                  ret_wrong);
}

const char *coir__http_guard(const char *data, size_t length, bool response, size_t *ret_size)
{
    const char *at = data, *end = data + length, *wrong = NULL;
    *ret_size = 0;
    if (at < end && *at != '\r')
        at = response ? take_status_line(at, end, &wrong) : take_request_line(at, end, &wrong);
    while (at != NULL && at < end && *at != '\r')
        at = take_header(at, end, &wrong);
    if (at == NULL || at == end)
        return wrong;
    bool empty = at == data;
    at = take_end(at, end, "a CR without LF", &wrong);
    if (at != NULL && empty)
        wrong = "an empty line instead of a message";
    else if (at != NULL)
        *ret_size = (size_t)(at - data);
    return wrong;
}
