/* fuzz_http_form.c: a line as a name, and the rest as an urlencoded form, and as cookies of a
 * request.
 * Libraries: http Sources: src/http
 *
 * Besides what sanitizers see: what is found is what a plain reading finds, pair by pair, as the
 * URL standard and RFC 6265, section 4.2 have them.
 */
#include "fuzz.h"

#include <coir/url.h>

#include "http/server/app.h"

/* ---- plain readings ---- */

static int digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)((at - digits) % 16) : -1;
}

/* Decodes a part of a form. Returns false for an escape that is none. */
static bool decode(const char *text, size_t length, coir_buffer *ret_text)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            if (i + 2 >= length || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
                return false;
            c = (char)(digit(text[i + 1]) * 16 + digit(text[i + 2]));
            i += 2;
        }
        require(coir_buffer_append(ret_text, &c, 1) == 0);
    }
    return true;
}

/* The value of the first pair of that name. Returns 1, 0, or -COIR_EURL as coir_query_get. */
static int find(const char *text, size_t length, const char *name, coir_buffer *ret_value)
{
    for (size_t at = 0, next; at < length; at = next + 1) {
        COIR_AUTO(coir_buffer) key = {0};
        for (next = at; next < length && text[next] != '&';)
            next++;
        size_t equals = at;
        while (equals < next && text[equals] != '=')
            equals++;
        bool named = decode(text + at, equals - at, &key) && key.length == strlen(name) &&
                     memcmp(coir_buffer_text(&key), name, key.length) == 0;
        if (!named)
            continue;
        equals += equals < next;
        return decode(text + equals, next - equals, ret_value) ? 1 : -COIR_EURL;
    }
    return 0;
}

/* ---- against ours ---- */

static void check_form(const char *text, size_t length, const char *name)
{
    COIR_AUTO(coir_buffer) value = {0};
    COIR_AUTO(coir_buffer) plain = {0};
    int r = coir_query_get((coir_bytes){text, length}, name, &value);
    require(r == find(text, length, name, &plain));
    if (r == 1)
        require(value.length == plain.length &&
                memcmp(coir_buffer_text(&value), coir_buffer_text(&plain), value.length) == 0);
}

/* A cookie that is found stands there, whole, between the semicolons of a pair. */
static void check_cookies(const char *text, const char *name)
{
    static coir_http_request request;
    const coir_http_header headers[] = {{"Cookie", text}, {0}};
    request.head.headers = headers;
    const char *value = coir_http_request_cookie(&request, name);
    size_t length = value != NULL ? strlen(value) : 0;
    bool found = value == NULL;
    for (const char *at = text; !found && at != NULL; at = strchr(at, ';')) {
        at += strspn(at, " \t;");
        const char *end = at + strlen(name) + 1 + length;
        found = strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == '=' &&
                strncmp(at + strlen(name) + 1, value, length) == 0 &&
                (end[strspn(end, " \t")] == ';' || end[strspn(end, " \t")] == '\0');
    }
    require(found);
    coir__http_request_clear(&request);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    const unsigned char *end = length > 0 ? memchr(data, '\n', length) : NULL;
    size_t named = end != NULL ? (size_t)(end - data) : 0;
    size_t rest = end != NULL ? length - named - 1 : 0;
    char *name = text_of(data, named), *text = malloc(rest + 1);
    require(name != NULL && text != NULL);
    if (rest > 0)
        memcpy(text, end + 1, rest);
    text[rest] = '\0';
    check_form(text, rest, name);
    if (name[0] != '\0')
        check_cookies(text, name);
    free(name);
    free(text);
    return 0;
}
