/* fuzz_http_cookies.c: a line as the URL that sets cookies, a line as the URL that is asked
 * next, and lines that are values of Set-Cookie.
 * Libraries: http Sources: src/http
 *
 * Besides what sanitizers see: what is sent is one header line, whose cookies were set by a host
 * that is theirs or below the same domain, never below a public suffix; and a jar that is asked by
 * the setter over HTTP shows nothing that is secure.
 */
#include "fuzz.h"

#include <strings.h>

#include <libpsl.h>

#include "http/client/session.h"

enum { NOW = 1000000000 };

/* The next line of *text, which goes behind it; NULL at the end. */
static char *take_line(char **text)
{
    char *line = *text;
    if (line == NULL)
        return NULL;
    char *end = strchr(line, '\n');
    *text = end != NULL ? end + 1 : NULL;
    if (end != NULL)
        *end = '\0';
    return line;
}

static bool is_number(const char *host)
{
    return host[strspn(host, "0123456789.")] == '\0';
}

/* The part of both hosts, behind a dot of each or all of it, that is the same. */
static const char *common_domain(const char *a, const char *b)
{
    size_t i = strlen(a), j = strlen(b);
    const char *common = NULL;
    while (i > 0 && j > 0 && a[i - 1] == b[j - 1]) {
        i--, j--;
        if ((i == 0 || a[i - 1] == '.') && (j == 0 || b[j - 1] == '.'))
            common = a + i;
    }
    return common;
}

static void require_line(const coir_buffer *out)
{
    const char *text = coir_buffer_text(out);
    require(out->length > 10 && strncmp(text, "Cookie: ", 8) == 0);
    require(strcmp(text + out->length - 2, "\r\n") == 0);
    require(coir__http_is_value(text + 8, out->length - 10));
}

static void check(char *text, coir_url *setter, coir_url *asked)
{
    struct coir__cookies jar = {0};
    COIR_AUTO(coir_buffer) shown = {0};
    COIR_AUTO(coir_buffer) back = {0};
    size_t taken = 0;
    for (char *line; (line = take_line(&text)) != NULL; taken++)
        require(coir__cookies_take(&jar, setter, line, NOW + (int64_t)taken) == 0);
    require(jar.count <= taken && jar.count <= 50);
    require(coir__cookies_put(&jar, asked, NOW + (int64_t)taken, &shown) == 0);
    if (shown.length > 0) {
        require_line(&shown);
        const char *common = common_domain(setter->host, asked->host);
        require(common != NULL);
        if (strcmp(setter->host, asked->host) != 0)
            require(!is_number(setter->host) && !setter->ipv6 && !asked->ipv6 &&
                    !psl_is_public_suffix2(psl_builtin(), common,
                                           PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE));
    }
    require(coir__cookies_put(&jar, setter, NOW + (int64_t)taken, &back) == 0);
    if (back.length > 0)
        require_line(&back);
    coir__cookies_free(&jar);
}

/* Whether text is a URL that a session would ask. */
static bool parse(const char *text, coir_url *ret_url)
{
    return coir_url_parse(text, ret_url) == 0 && strncmp(ret_url->scheme, "http", 4) == 0 &&
           ret_url->scheme[4 + (ret_url->scheme[4] == 's')] == '\0';
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    char *text = malloc(length + 1), *rest = text;
    require(text != NULL);
    memcpy(text, data, length);
    text[length] = '\0';
    coir_url setter = {0}, asked = {0};
    char *from = take_line(&rest), *to = take_line(&rest);
    if (to != NULL && parse(from, &setter) && parse(to, &asked))
        check(rest, &setter, &asked);
    coir_url_close(&setter);
    coir_url_close(&asked);
    free(text);
    return 0;
}
