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

static bool are(const char *text, size_t length, unsigned char place)
{
    for (size_t i = 0; i < length; i++)
        if ((places[(unsigned char)text[i]] & place) == 0)
            return false;
    return true;
}

/* Whether 8 bytes at text are all in ' ' .. '~', as nearly all bytes of values are: taken as a
 * number, none has its high bit, nor gets it when 32 is taken away or 1 is added. */
static bool are_plain(const char *text)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t bytes;
    memcpy(&bytes, text, sizeof bytes);
    return ((bytes | (bytes - ones * ' ') | (bytes + ones)) & ones << 7) == 0;
}

bool coir__http_is_token(const char *text, size_t length)
{
    return length > 0 && are(text, length, TOKEN);
}

bool coir__http_is_value(const char *text, size_t length)
{
    size_t plain = 0;
    while (length - plain >= 8 && are_plain(text + plain))
        plain += 8;
    return are(text + plain, length - plain, VALUE);
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

/* The line from data to its LF, and its length without CR and LF. */
static const char *check_line(const char *data, const char *lf, size_t *ret_length)
{
    if (lf == data || lf[-1] != '\r')
        return "a line ends without CR and LF";
    *ret_length = (size_t)(lf - 1 - data);
    return NULL;
}

/* "HTTP/1.1", whatever the digits are. */
static bool is_version(const char *text, size_t length)
{
    return length == 8 && memcmp(text, "HTTP/", 5) == 0 && text[5] >= '0' && text[5] <= '9' &&
           text[6] == '.' && text[7] >= '0' && text[7] <= '9';
}

/* A method, a target and a version, with one blank between. */
static const char *check_request_line(const char *line, size_t length)
{
    const char *end = line + length;
    const char *first = memchr(line, ' ', length);
    const char *second = first != NULL ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;
    bool good = second != NULL && coir__http_is_token(line, (size_t)(first - line)) &&
                second > first + 1 && are(first + 1, (size_t)(second - first - 1), TARGET) &&
                is_version(second + 1, (size_t)(end - second - 1));
    return good ? NULL : "a request line that is none";
}

/* A version, a status of three digits, and perhaps a reason. */
static const char *check_status_line(const char *line, size_t length)
{
    bool good =
        length >= 12 && is_version(line, 8) && line[8] == ' ' && (length == 12 || line[12] == ' ');
    for (size_t i = 9; i < 12 && good; i++)
        good = line[i] >= (i == 9 ? '1' : '0') && line[i] <= (i == 9 ? '5' : '9');
    good = good && coir__http_is_value(line + 12, length - 12);
    return good ? NULL : "a status line that is none";
}

static const char *check_header(const char *line, size_t length)
{
    if (line[0] == ' ' || line[0] == '\t')
        return "a header line that continues the one before";
    const char *colon = memchr(line, ':', length);
    if (colon == NULL)
        return "a header line without a colon";
    if (!coir__http_is_token(line, (size_t)(colon - line)))
        return "a header name that is none";
    bool good = coir__http_is_value(colon + 1, (size_t)(line + length - colon - 1));
    return good ? NULL : "a control character in a header";
}

const char *coir__http_guard(const char *data, size_t length, bool response, size_t *ret_size)
{
    const char *begin = data, *end = data + length, *lf;
    *ret_size = 0;
    for (bool first = true; (lf = memchr(data, '\n', (size_t)(end - data))) != NULL;
         first = false) {
        size_t line;
        const char *wrong = check_line(data, lf, &line);
        if (wrong == NULL && line == 0) {
            *ret_size = (size_t)(lf + 1 - begin);
            return first ? "an empty line instead of a message" : NULL;
        }
        if (wrong == NULL && first)
            wrong = response ? check_status_line(data, line) : check_request_line(data, line);
        else if (wrong == NULL)
            wrong = check_header(data, line);
        if (wrong != NULL)
            return wrong;
        data += line + 2;
    }
    return NULL;
}
