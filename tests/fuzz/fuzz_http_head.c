/* fuzz_http_head.c: any bytes as the head of a message, of a response when the first one is odd.
 * Libraries: http Sources: src/http/message
 *
 * Besides what sanitizers see: a refusal has a status and a reason, no part of a head that is good
 * is taken for a whole one, what was parsed, written out again, is accepted with the same meaning,
 * and llhttp, which is asked in cases of doubt only, finds the same in whatever is accepted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llhttp/llhttp.h>

#include "http/message/message.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static int parse(struct coir__http_head *head, bool response, const void *data, size_t length,
                 size_t *ret_size)
{
    int status = 0;
    const char *wrong = NULL;
    char *copy = malloc(length + (length == 0)); /* its bounds are seen by ASan */
    require(copy != NULL);
    memcpy(copy, data, length);
    int r = coir__http_parse_head(head, response, (coir_bytes){copy, length}, &coir__http_limits,
                                  ret_size, &status, &wrong);
    free(copy);
    require(r == 0 || r == 1 || r == -COIR_EHTTP || r == -COIR_ETOOLONG || r == -ENOMEM);
    if (r == -COIR_EHTTP || r == -COIR_ETOOLONG)
        require(wrong != NULL && status >= 400 && status <= 599);
    if (r == 1)
        require(*ret_size <= length && head->count <= COIR__HTTP_HEADERS);
    return r;
}

static size_t write_again(const struct coir__http_head *head, bool response, char *text,
                          size_t size)
{
    int n =
        response
            ? snprintf(text, size, "HTTP/1.%d %d %s\r\n", head->minor, head->status, head->reason)
            : snprintf(text, size, "%s %s HTTP/1.%d\r\n", head->method, head->target, head->minor);
    size_t length = (size_t)n;
    for (size_t i = 0; i < head->count; i++)
        length += (size_t)snprintf(text + length, size - length, "%s: %s\r\n",
                                   head->headers[i].name, head->headers[i].value);
    length += (size_t)snprintf(text + length, size - length, "\r\n");
    require(length < size);
    return length;
}

static void require_same(const struct coir__http_head *a, const struct coir__http_head *b,
                         bool response)
{
    require(a->minor == b->minor && a->keep_alive == b->keep_alive && a->chunked == b->chunked);
    require(a->has_length == b->has_length && a->length == b->length && a->upgrade == b->upgrade);
    require(a->expects == b->expects && a->count == b->count && a->status == b->status);
    if (response)
        require(strcmp(a->reason, b->reason) == 0);
    else
        require(strcmp(a->method, b->method) == 0 && strcmp(a->target, b->target) == 0);
    for (size_t i = 0; i < a->count; i++)
        require(strcmp(a->headers[i].name, b->headers[i].name) == 0 &&
                strcmp(a->headers[i].value, b->headers[i].value) == 0);
}

/* What llhttp finds, beside what we have found. */
struct reading {
    llhttp_t parser;
    const struct coir__http_head *head;
    size_t count;
};

static void require_text(const char *at, size_t length, const char *text)
{
    require(strlen(text) == length && memcmp(at, text, length) == 0);
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    const struct reading *reading = (struct reading *)parser;
    if (at[0] == '/' || at[0] == '*' || parser->method == HTTP_CONNECT)
        require_text(at, length, reading->head->target);
    return 0;
}

static int on_status(llhttp_t *parser, const char *at, size_t length)
{
    const struct reading *reading = (struct reading *)parser;
    require_text(at, length, reading->head->reason);
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t length)
{
    struct reading *reading = (struct reading *)parser;
    require(reading->count < reading->head->count);
    require_text(at, length, reading->head->headers[reading->count++].name);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    const struct reading *reading = (struct reading *)parser;
    while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
        length--;
    require_text(at, length, reading->head->headers[reading->count - 1].value);
    return 0;
}

static int on_end(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static void ask_llhttp(const struct coir__http_head *head, bool response, const void *data,
                       size_t size)
{
    static const llhttp_settings_t settings = {.on_url = on_url,
                                               .on_status = on_status,
                                               .on_header_field = on_name,
                                               .on_header_value = on_value,
                                               .on_headers_complete = on_end};
    struct reading reading = {.head = head};
    llhttp_init(&reading.parser, response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    require(llhttp_execute(&reading.parser, data, size) == HPE_PAUSED);
    require(reading.count == head->count && reading.parser.http_minor == head->minor);
    require(response ? reading.parser.status_code == head->status
                     : strcmp(llhttp_method_name((llhttp_method_t)reading.parser.method),
                              head->method) == 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    static struct coir__http_head head, again;
    static char text[64 << 10];
    bool response = length > 0 && (data[0] & 1) != 0;
    size_t size, part;
    if (length == 0 || parse(&head, response, data + 1, length - 1, &size) != 1)
        return 0;
    ask_llhttp(&head, response, data + 1, size);
    for (size_t n = size < 256 ? 0 : size - 8; n < size; n++)
        require(parse(&again, response, data + 1, n, &part) == 0);
    size_t written = write_again(&head, response, text, sizeof text);
    require(parse(&again, response, text, written, &part) == 1 && part == written);
    require_same(&head, &again, response);
    return 0;
}
