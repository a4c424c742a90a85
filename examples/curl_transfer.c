/* curl_transfer.c: two transfers of libcurl at once, each in a task, for what coir's own client
 * does not have. The server is here too. */
#include <coir/coir.h>
#include <coir/curl.h>
#include <coir/http_testing.h>
#include <stdio.h>

static int page(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello from %s\n", coir_http_request_path(request));
}

struct transfer {
    char url[COIR_ADDRESS_TEXT + 32];
    coir_buffer body;
};

/* What libcurl has received; it may wait, since it is called in the transfer's task. */
static size_t take(char *data, size_t size, size_t count, void *body)
{
    return coir_buffer_append(body, data, size * count) == 0 ? size * count : 0;
}

static int fetch(void *arg)
{
    struct transfer *transfer = arg;
    CURL *curl = curl_easy_init(); /* NULL is an error of the transfer */
    curl_easy_setopt(curl, CURLOPT_URL, transfer->url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer->body);
    int r = coir_curl_perform(curl);
    curl_easy_cleanup(curl);
    return r;
}

static int app(void *arg)
{
    (void)arg;
    struct transfer transfers[2] = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_TRY(coir_http_app_open(NULL, &app));
    coir_http_app_get(app, "/{path}", page);
    COIR_TRY(coir_http_test_open(app, &(coir_http_test_opts){.port = true}, &test));
    const char *base = coir_http_test_url(test);
    (void)snprintf(transfers[0].url, sizeof transfers[0].url, "%stea", base);
    (void)snprintf(transfers[1].url, sizeof transfers[1].url, "%smilk", base);
    int r = coir_map(fetch, transfers, 2, sizeof transfers[0], NULL);
    for (int i = 0; i < 2; i++) {
        printf("%s", coir_buffer_text(&transfers[i].body));
        coir_buffer_close(&transfers[i].body);
    }
    return r;
}

int main(void)
{
    return coir_main(app, NULL);
}
