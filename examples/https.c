/* https.c: a page from an https server, both by hand and in one program: https CERTIFICATE.
 *
 * The server shows the certificate in the file, which has its key too, and the client trusts that
 * one and no other. Asked under a name that it is not for, it is refused before anything is said.
 */
#include <coir/coir.h>
#include <coir/tls.h>
#include <stdio.h>
#include <string.h>

static int answer(coir_stream *stream, void *arg)
{
    static const char page[] = "HTTP/1.0 200 OK\r\n\r\nhello in secret\n";
    coir_bytes head;
    (void)arg;
    if (COIR_TRY(coir_stream_read_until(stream, "\r\n\r\n", 4, 8192, &head)) == 0)
        return 0;
    return coir_stream_write(stream, page, strlen(page)); /* closing it says goodbye */
}

static coir_tls_context *shows; /* the certificate */

static int serve(void *arg)
{
    return coir_tls_serve(arg, shows, answer, NULL);
}

static int get(coir_tls_context *context, const char *address, const char *name)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_TRY(coir_tls_dial(context, address, &(coir_tls_connect_opts){.name = name}, &stream));
    COIR_TRY(coir_stream_write(stream, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35));
    coir_bytes line; /* its end is said, not guessed: a cut gives -COIR_ETRUNCATED */
    while (COIR_TRY(coir_stream_read_line(stream, 0, &line)) > 0)
        printf("%s: %.*s\n", name, (int)line.length, (const char *)line.data);
    return 0;
}

static int app(void *file)
{
    COIR_AUTO(coir_tls_context) *server = NULL;
    COIR_AUTO(coir_tls_context) *trusts = NULL;
    coir_tls_opts mine = {.certificate_file = file}, theirs = {.trust_file = file};
    COIR_TRY(coir_tls_context_open(COIR_TLS_SERVER, &mine, &server));
    COIR_TRY(coir_tls_context_open(COIR_TLS_CLIENT, &theirs, &trusts));
    COIR_AUTO(coir_listener) *listener = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    shows = server;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));
    COIR_TRY(get(trusts, address, "localhost"));
    return get(trusts, address, "example.org");
}

int main(int argc, char **argv)
{
    return argc == 2 ? coir_main(app, argv[1]) : 2;
}
