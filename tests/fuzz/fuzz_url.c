/* fuzz_url.c: a line as a URL, and the rest as a reference that is resolved against it.
 * Libraries: -luriparser coir Sources: src/http/message/url.c
 *
 * Besides what sanitizers see: what was taken apart and put together is taken apart in the same
 * way, what was resolved is absolute, and text that was encoded is what it was when decoded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <coir/error.h>
#include <coir/url.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_again(const coir_url *url)
{
    coir_buffer text = {0};
    coir_url again = {0};
    require(url->scheme != NULL && url->path != NULL && url->port >= 0 && url->port <= 65535);
    require(coir_url_format(url, &text) == 0);
    require(coir_url_parse(coir_buffer_text(&text), &again) == 0);
    require(same(url->scheme, again.scheme) && same(url->host, again.host));
    require(same(url->path, again.path) && same(url->query, again.query));
    require(same(url->fragment, again.fragment) && same(url->user, again.user));
    require(url->port == again.port && url->ipv6 == again.ipv6);
    coir_url_close(&again);
    coir_buffer_close(&text);
}

static void check_encoding(const char *text, size_t length)
{
    coir_buffer encoded = {0}, decoded = {0}, query = {0}, value = {0};
    require(coir_percent_encode(text, &encoded) == 0);
    require(coir_percent_decode(coir_buffer_text(&encoded), encoded.length, false, &decoded) == 0);
    require(strcmp(coir_buffer_text(&decoded), text) == 0);
    int r = coir_percent_decode(text, length, true, &decoded);
    require(r == 0 || r == -COIR_EURL);
    require(coir_query_add(&query, "a", text) == 0 && coir_query_add(&query, text, "b") == 0);
    require(coir_query_get((coir_bytes){query.data, query.length}, "a", &value) == 1);
    require(strcmp(coir_buffer_text(&value), text) == 0);
    coir_buffer_close(&encoded);
    coir_buffer_close(&decoded);
    coir_buffer_close(&query);
    coir_buffer_close(&value);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    coir_url url = {0}, resolved = {0};
    char *text = malloc(length + 1);
    require(text != NULL);
    memcpy(text, data, length);
    text[length] = '\0';
    char *reference = text + strcspn(text, "\n");
    if (*reference != '\0')
        *reference++ = '\0';
    check_encoding(reference, strlen(reference));
    if (coir_url_parse(text, &url) == 0) {
        check_again(&url);
        if (coir_url_resolve(&url, reference, &resolved) == 0)
            check_again(&resolved);
    }
    coir_url_close(&resolved);
    coir_url_close(&url);
    free(text);
    return 0;
}
