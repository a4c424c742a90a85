/* coding.c: in which coding a reply is sent: what its client takes, and what may be packed at all.
 *
 * RFC 9110, section 12.5.3: a client names codings with a quality; what it does not name it does
 * not want, but for "identity", the plain bytes, which it has to refuse by name. A reply whose form
 * depends on that says so in Vary, also when it is plain. Called by reply.c and files.c.
 */
#include <errno.h>
#include <string.h>

#include "app.h"

/* ---- what a client takes ---- */

const char *const coir__http_codings[COIR__HTTP_CODINGS] = {
    [COIR__HTTP_PLAIN] = "identity",
    [COIR__HTTP_BROTLI] = "br",
    [COIR__HTTP_ZSTD] = "zstd",
    [COIR__HTTP_GZIP] = "gzip",
};

/* "0.25" is 250. What is no quality is 0. */
static unsigned read_quality(const char *text, size_t length)
{
    unsigned quality = 0, unit = 1000;
    if (length == 0 || length > 5 || (text[0] != '0' && text[0] != '1') ||
        (length > 1 && text[1] != '.'))
        return 0;
    for (size_t i = 0; i < length; i++) {
        if (i == 1)
            continue;
        if (text[i] < '0' || text[i] > '9')
            return 0;
        quality += (unsigned)(text[i] - '0') * unit;
        unit /= 10;
    }
    return quality <= 1000 ? quality : 0;
}

/* The quality in the parameters behind a name: ";q=0.5", perhaps with blanks. */
static unsigned quality_of(const char *text, size_t length)
{
    const char *end = text + length;
    for (const char *at = text; (at = memchr(at, ';', (size_t)(end - at))) != NULL;) {
        at++;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (end - at < 2 || (*at | 0x20) != 'q' || at[1] != '=')
            continue;
        return read_quality(at + 2, strcspn(at + 2, " \t;,"));
    }
    return 1000;
}

struct likes {
    int quality[COIR__HTTP_CODINGS]; /* -1: not named */
    int others;                      /* "*" */
};

static void take_word(struct likes *likes, const char *word, size_t length)
{
    size_t name = strcspn(word, " \t;,");
    int quality = (int)quality_of(word + name, length - name);
    if (name == 1 && word[0] == '*')
        likes->others = quality;
    if (name == 6 && coir__http_alike_start(word, "x-gzip", name))
        likes->quality[COIR__HTTP_GZIP] = quality;
    for (size_t i = 0; i < COIR__HTTP_CODINGS; i++)
        if (strlen(coir__http_codings[i]) == name &&
            coir__http_alike_start(word, coir__http_codings[i], name))
            likes->quality[i] = quality;
}

void coir__http_accepted(const coir_http_request *request, unsigned ret_quality[COIR__HTTP_CODINGS])
{
    struct likes likes = {{-1, -1, -1, -1}, -1};
    const coir_http_header *header = coir_http_request_headers(request);
    for (; header->name != NULL; header++) {
        if (!coir__http_alike(header->name, "Accept-Encoding"))
            continue;
        for (const char *word = header->value; *word != '\0';) {
            word += strspn(word, " \t,");
            size_t length = strcspn(word, ",");
            if (length > 0)
                take_word(&likes, word, length);
            word += length;
        }
    }
    for (size_t i = 0; i < COIR__HTTP_CODINGS; i++) {
        int quality = likes.quality[i] >= 0 ? likes.quality[i] : likes.others;
        if (i == COIR__HTTP_PLAIN && likes.quality[i] < 0 && likes.others != 0)
            quality = 1; /* it is taken, and anything that was asked for is better */
        ret_quality[i] = quality > 0 ? (unsigned)quality : 0;
    }
}

enum coir__http_coding coir__http_best(const unsigned quality[COIR__HTTP_CODINGS], unsigned without)
{
    enum coir__http_coding best = COIR__HTTP_PLAIN;
    for (size_t i = 1; i < COIR__HTTP_CODINGS; i++) {
        bool better = best == COIR__HTTP_PLAIN ? quality[i] >= quality[best] && quality[i] > 0
                                               : quality[i] > quality[best];
        if (better && (without >> i & 1) == 0)
            best = (enum coir__http_coding)i;
    }
    return best;
}

/* ---- what may be packed ---- */

/* Whether a media type is in a list with commas, in which one that ends with its '/' is all of a
 * family; so it is with a star behind it. */
static bool is_listed(const char *list, const char *type)
{
    size_t length = strcspn(type, " \t;");
    while (*list != '\0') {
        list += strspn(list, " \t,");
        size_t wanted = strcspn(list, " \t,");
        size_t compared = wanted > 0 && list[wanted - 1] == '*' ? wanted - 1 : wanted;
        bool family = compared > 0 && list[compared - 1] == '/';
        if (wanted > 0 && (family ? length >= compared : length == compared) &&
            coir__http_alike_start(list, type, compared))
            return true;
        list += wanted;
    }
    return false;
}

/* Events are left out: each stream of them would hold a packer. */
static bool is_usual(const char *type)
{
    static const char usual[] = "text/, application/json, application/javascript, "
                                "application/xml, application/wasm, image/svg+xml";
    return is_listed(usual, type) && !is_listed("text/event-stream", type);
}

static bool may_be_packed(coir_http_request *request, const char *type)
{
    const coir_http_app_opts *opts = &request->connection->serving->app->opts;
    const char *control = coir__http_reply_get(request, "Cache-Control");
    const char *own = coir__http_reply_get(request, "Content-Type");
    type = own != NULL ? own : type;
    if (coir__http_reply_get(request, "Content-Encoding") != NULL ||
        coir__http_reply_get(request, "Content-Range") != NULL ||
        (control != NULL && coir__http_has_token(control, "no-transform")))
        return false;
    if (request->packing > 0)
        return true;
    if (type == NULL)
        return false;
    return opts->compress_types != NULL ? is_listed(opts->compress_types, type) : is_usual(type);
}

int coir__http_say_vary(coir_http_request *request)
{
    const char *vary = coir__http_reply_get(request, "Vary");
    if (vary != NULL &&
        (coir__http_has_token(vary, "Accept-Encoding") || coir__http_has_token(vary, "*")))
        return 0;
    return coir__http_put_header(&request->headers, "Vary", "Accept-Encoding");
}

/* The same for a reply that is to be packed, if that can be. Most are not, and pay no frame. */
static __attribute__((noinline)) int choose(coir_http_request *request, const char *type,
                                            uint64_t size, enum coir__http_coding *ret_coding)
{
    const coir_http_app_opts *opts = &request->connection->serving->app->opts;
    unsigned quality[COIR__HTTP_CODINGS];
    if (!may_be_packed(request, type))
        return 0;
    coir__http_accepted(request, quality);
    if (size < opts->compress_least && quality[COIR__HTTP_PLAIN] > 0)
        return 0;
    *ret_coding = coir__http_best(quality, 0);
    return coir__http_say_vary(request);
}

int coir__http_choose(coir_http_request *request, int status, const char *type, uint64_t size,
                      enum coir__http_coding *ret_coding)
{
    bool usual = request->connection->serving->app->opts.compress;
    bool wanted = request->packing == 0 ? usual : request->packing > 0;
    *ret_coding = COIR__HTTP_PLAIN;
    if (wanted && status == 304)
        return coir__http_say_vary(request); /* as the 200 that the client has: RFC 9110, 15.4.5 */
    if (!wanted || size == 0 || status == 204 || status == 206)
        return 0;
    return choose(request, type, size, ret_coding);
}

int coir__http_weaken_tag(coir_http_request *request)
{
    const char *etag = coir__http_reply_get(request, "ETag");
    COIR_AUTO(coir_buffer) weak = {0};
    if (etag == NULL || etag[0] != '"')
        return 0;
    COIR_TRY(coir__http_put(&weak, "W/"));
    COIR_TRY(coir__http_put(&weak, etag));
    return coir__http_reply_set(request, "ETag", coir_buffer_text(&weak));
}

int coir__http_say_coding(coir_http_request *request, enum coir__http_coding coding)
{
    COIR_TRY(coir__http_weaken_tag(request));
    return coir__http_reply_set(request, "Content-Encoding", coir__http_codings[coding]);
}
