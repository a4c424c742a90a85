/* tls.c: a TLS server and a TLS client, for tests/shell/tls.sh to try against others.
 *
 *     tls serve CHAIN KEY [TRUST]       says PORT n, and answers lines until it is ended
 *     tls talk ADDRESS NAME TRUST [CHAIN KEY]
 *     tls greet SIZE CHAIN KEY          says PORT n, sends SIZE bytes to one client, and closes
 *     tls send SIZE ADDRESS TRUST       sends SIZE bytes to a server, and closes
 *
 * A client says what was agreed on, sends a line and prints the answer, twice: the second time it
 * resumes the session. `NAME/ALPN` asks for protocols; with `-` for TRUST anybody will do. Who
 * closes says SENT, waits for the end of its input, and then says how many milliseconds it took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/tls.h>

static char **arguments;
static int count;

static const char *argument(int number)
{
    return number < count ? arguments[number] : NULL;
}

static int answer(coir_stream *stream, void *arg)
{
    coir_bytes line;
    int r;
    (void)arg;
    while ((r = coir_stream_read_line(stream, 0, &line)) > 0) {
        struct iovec vectors[] = {
            {"you said: ", 10}, {(void *)(uintptr_t)line.data, line.length}, {"\n", 1}};
        COIR_TRY(coir_stream_write_vectors(stream, vectors, COIR_COUNT(vectors)));
    }
    return r;
}

static int listen_somewhere(coir_listener **ret_listener)
{
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, ret_listener));
    COIR_TRY(coir_listener_address(*ret_listener, address, sizeof address));
    printf("PORT %s\n", strrchr(address, ':') + 1);
    (void)fflush(stdout);
    return 0;
}

static int serve(void *arg)
{
    (void)arg;
    coir_tls_opts opts = {.certificate_file = argument(2), .key_file = argument(3)};
    opts.trust_file = argument(4);
    opts.verify = opts.trust_file != NULL ? COIR_TLS_VERIFY_REQUIRED : COIR_TLS_VERIFY_DEFAULT;
    opts.alpn = "echo";
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(coir_tls_context_open(COIR_TLS_SERVER, &opts, &context));
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(listen_somewhere(&listener));
    return coir_tls_serve(listener, context, answer, NULL);
}

/* Sends as much as was asked for, and closes. */
static int finish(coir_stream *stream)
{
    static char data[1 << 20];
    size_t size = strtoul(argument(2), NULL, 10);
    memset(data, '~', sizeof data);
    int r = coir_stream_write(stream, data, size < sizeof data ? size : sizeof data);
    printf("SENT\n");
    (void)fflush(stdout);
    while (getchar() != EOF) /* nothing else is to be done meanwhile */
        ;
    COIR_TRY(coir_yield()); /* the clock has stood still */
    coir_time start = coir_now();
    coir_stream_close(stream);
    printf("closed in %d ms\n", (int)((coir_now() - start) / COIR_MS(1)));
    return r;
}

static int greet(void *arg)
{
    (void)arg;
    coir_tls_opts opts = {.certificate_file = argument(3), .key_file = argument(4)};
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(coir_tls_context_open(COIR_TLS_SERVER, &opts, &context));
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(listen_somewhere(&listener));
    coir_stream *stream;
    COIR_TRY(coir_listener_accept(listener, &stream));
    COIR_TRY(coir_tls_accept(context, stream, &stream));
    return finish(stream);
}

static int send_to(void *arg)
{
    (void)arg;
    coir_tls_opts opts = {.trust_file = argument(4)};
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(coir_tls_context_open(COIR_TLS_CLIENT, &opts, &context));
    coir_stream *stream;
    COIR_TRY(coir_tls_dial(context, argument(3), NULL, &stream));
    return finish(stream);
}

static int talk_once(coir_tls_context *context, const char *name)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    coir_tls_connect_opts opts = {.name = name};
    COIR_TRY(coir_tls_dial(context, argument(2), &opts, &stream));
    coir_tls_info info;
    COIR_TRY(coir_tls_stream_info(stream, &info));
    COIR_TRY(coir_stream_write(stream, "hello\n", 6));
    coir_bytes line;
    int r = COIR_TRY(coir_stream_read_line(stream, 0, &line));
    printf("%s %s%s%s: %.*s\n", info.version, info.protocol, info.verified ? " verified" : "",
           info.resumed ? " resumed" : "", r > 0 ? (int)line.length : 0,
           r > 0 ? (const char *)line.data : "");
    COIR_TRY(coir_stream_shutdown(stream));
    char rest[256];
    size_t n;
    while ((r = coir_stream_read(stream, rest, sizeof rest, &n)) > 0)
        ;
    return r;
}

static int talk(void *arg)
{
    (void)arg;
    char name[256];
    (void)snprintf(name, sizeof name, "%s", argument(3));
    coir_tls_opts opts = {.certificate_file = argument(5), .key_file = argument(6)};
    char *slash = strchr(name, '/');
    if (slash != NULL) {
        *slash = '\0';
        opts.alpn = slash + 1;
    }
    if (strcmp(argument(4), "-") == 0)
        opts.verify = COIR_TLS_INSECURE_ANYONE;
    else
        opts.trust_file = argument(4);
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(coir_tls_context_open(COIR_TLS_CLIENT, &opts, &context));
    COIR_DEADLINE(COIR_SEC(20));
    COIR_TRY(talk_once(context, name));
    return talk_once(context, name);
}

int main(int argc, char **argv)
{
    arguments = argv;
    count = argc;
    static const struct {
        const char *name;
        coir_fn fn;
    } ways[] = {{"serve", serve}, {"talk", talk}, {"greet", greet}, {"send", send_to}};
    for (size_t i = 0; i < COIR_COUNT(ways) && argc >= 4; i++)
        if (strcmp(argv[1], ways[i].name) == 0)
            return coir_main(ways[i].fn, NULL);
    return 2;
}
