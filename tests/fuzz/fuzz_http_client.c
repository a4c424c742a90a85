/* fuzz_http_client.c: lines as what proxies say of their client, by X-Forwarded-For and by
 * Forwarded; and all of it as a list of proxies.
 * Libraries: http Sources: src/http
 *
 * Besides what sanitizers see: the client is an address; what somebody says in front of what an
 * untrusted address is said to be changes nothing; the last one is believed who is said to be
 * untrusted; nobody is believed who is no proxy; and where all are bare addresses, a reader of its
 * own finds the same one.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <stdio.h>

#include <coir/memory.h>
#include <coir/tcp.h>

#include "http/server/app.h"

#define PEER "127.0.0.1"
#define STRANGER "203.0.113.9"
#define PROXY "10.0.0.1"

enum { MOST = COIR__HTTP_HEADERS - 2 };

/* An address as it is written. */
struct address {
    char text[INET6_ADDRSTRLEN];
};

/* A request of a connection from PEER. */
static struct coir__http_serving serving;
static struct coir__http_connection connection = {.serving = &serving};
static coir_http_request request = {.connection = &connection};

static void connect_once(void)
{
    static coir_listener *listener;
    static coir_stream *client;
    char address[COIR_ADDRESS_TEXT];
    if (listener != NULL)
        return;
    const coir_http_app_opts opts = {.proxies = "127.0.0.0/8, 10.0.0.0/8, fd00::/8"};
    require(coir_http_app_open(&opts, &serving.app) == 0);
    require(coir_tcp_listen(PEER ":0", NULL, &listener) == 0);
    require(coir_listener_address(listener, address, sizeof address) == 0);
    require(coir_tcp_connect(address, NULL, &client) == 0);
    require(coir_listener_accept(listener, &connection.stream) == 0);
}

/* An address as it is written by the library; false for none. */
static bool write_address(const char *text, struct address *ret_address)
{
    unsigned char bytes[16];
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (inet_pton(AF_INET, text, bytes) == 1)
        return inet_ntop(AF_INET, bytes, ret_address->text, INET6_ADDRSTRLEN) != NULL;
    if (inet_pton(AF_INET6, text, bytes) != 1)
        return false;
    bool four = memcmp(bytes, mapped, sizeof mapped) == 0;
    return inet_ntop(four ? AF_INET : AF_INET6, bytes + (four ? 12 : 0), ret_address->text,
                     INET6_ADDRSTRLEN) != NULL;
}

static bool is_trusted(const char *text)
{
    unsigned char bytes[16];
    if (inet_pton(AF_INET, text, bytes) == 1)
        return bytes[0] == 127 || bytes[0] == 10;
    return inet_pton(AF_INET6, text, bytes) == 1 && bytes[0] == 0xfd;
}

/* Who the client is by these values, with one before and one behind them, or NULL. */
static void find_client(char *const *values, size_t count, const char *before, const char *behind,
                        struct address *ret_address)
{
    const char *name = serving.app->opts.forwarded ? "forwarded" : "X-Forwarded-For";
    static coir_http_header headers[COIR__HTTP_HEADERS + 1];
    coir_http_header *to = headers;
    if (before != NULL)
        *to++ = (coir_http_header){name, before};
    for (size_t i = 0; i < count; i++)
        *to++ = (coir_http_header){name, values[i]};
    if (behind != NULL)
        *to++ = (coir_http_header){name, behind};
    *to = (coir_http_header){0};
    request.head.headers = headers;
    const char *client = coir_http_request_client(&request);
    require(write_address(client, ret_address) && strcmp(client, ret_address->text) == 0);
    const char *scheme = coir_http_request_scheme(&request);
    require(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    coir__http_request_clear(&request);
}

/* Who it is where all are bare addresses. Returns whether they are. */
static bool read_simply(char *const *values, size_t count, struct address *ret_address)
{
    bool found = false;
    *ret_address = (struct address){PEER};
    while (count-- > 0) {
        char copy[8193], *comma;
        (void)snprintf(copy, sizeof copy, "%s", values[count]);
        do {
            comma = strrchr(copy, ',');
            char *word = comma != NULL ? comma + 1 : copy;
            struct address address;
            word += strspn(word, " \t");
            for (char *end = strchr(word, '\0'); end > word && strchr(" \t", end[-1]) != NULL;)
                *--end = '\0';
            if (!write_address(word, &address))
                return false;
            if (!found)
                *ret_address = address;
            found |= !is_trusted(address.text);
            if (comma != NULL)
                *comma = '\0';
        } while (comma != NULL);
    }
    return true;
}

static void check(char *const *values, size_t count, bool forwarded)
{
    struct address client, other;
    const char *stranger = forwarded ? "for=" STRANGER : STRANGER;
    const char *proxy = forwarded ? "By=x;For=\"" PROXY "\"" : PROXY;
    serving.app->opts.forwarded = forwarded;
    find_client(values, count, NULL, NULL, &client);
    find_client(values, count, stranger, NULL, &other);
    require(strcmp(other.text, client.text) == 0 ||
            (is_trusted(client.text) && strcmp(other.text, STRANGER) == 0));
    find_client(values, count, NULL, stranger, &other);
    require(strcmp(other.text, STRANGER) == 0);
    find_client(values, count, NULL, proxy, &other);
    require(strcmp(other.text, client.text) == 0 ||
            (strcmp(client.text, PEER) == 0 && strcmp(other.text, PROXY) == 0));
    if (!forwarded && read_simply(values, count, &other))
        require(strcmp(other.text, client.text) == 0);
    size_t proxies = serving.app->proxy_count;
    serving.app->proxy_count = 0;
    find_client(values, count, stranger, stranger, &other);
    require(strcmp(other.text, PEER) == 0);
    serving.app->proxy_count = proxies;
}

static void check_proxies(const char *text)
{
    coir_http_app app = {0};
    size_t commas = 1;
    for (const char *at = text; *at != '\0'; at++)
        commas += strchr(" \t,", *at) != NULL;
    int r = coir__http_read_proxies(&app, text);
    require((r == 0 || r == -EINVAL) && app.proxy_count <= commas);
    coir_free(app.proxies);
    coir_clear_error();
}

static int run(void *arg)
{
    char *values[MOST], *rest = arg;
    size_t count = 0;
    connect_once();
    check_proxies(arg);
    while (rest != NULL && count < MOST)
        values[count++] = strsep(&rest, "\n");
    check(values, count, false);
    check(values, count, true);
    return 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    char *text = text_of(data, length);
    run_in_loop(run, text);
    free(text);
    return 0;
}
