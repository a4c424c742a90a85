/* Floor of tls_echo/, tls_handshake/ and http/ by TLS: OpenSSL on the socket itself, one thread,
 * level-triggered epoll, one SSL_read and one SSL_write for each message. Versions, cipher,
 * certificate and tickets are those of our server. One buffer serves all connections, and what the
 * peer does not take at once ends the connection: the load has one message in flight. With the
 * word `https` it answers requests. Runs until it is killed. */
#define _GNU_SOURCE
#include "echo_listen.h"
#include "http_replies.h"
#include "tls_certificate.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { EVENTS = 1024, CONNECTIONS = 65536, BUFFER = 65536 };

static SSL *sessions[CONNECTIONS];
static SSL_CTX *context;
static int epoll_fd, http;

static void prepare(void)
{
    EVP_PKEY *key;
    X509 *certificate;
    make_certificate(&key, &certificate);
    context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1)
        exit(1);
}

static void accept_all(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= CONNECTIONS)
            exit(1);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
        sessions[fd] = SSL_new(context);
        SSL_set_fd(sessions[fd], fd);
        SSL_set_accept_state(sessions[fd]);
    }
}

static void end(int fd)
{
    SSL_shutdown(sessions[fd]);
    SSL_free(sessions[fd]);
    sessions[fd] = NULL;
    close(fd);
}

static void echo(int fd)
{
    static char buffer[BUFFER];
    SSL *ssl = sessions[fd];
    ERR_clear_error();
    int n = SSL_read(ssl, buffer, BUFFER);
    if (n <= 0) {
        if (SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ)
            end(fd);
        return;
    }
    const char *data = buffer;
    size_t size = (size_t)n;
    if (http)
        data = http_replies(buffer, size, &size);
    if (SSL_write(ssl, data, (int)size) != (int)size)
        end(fd);
}

int main(int argc, char **argv)
{
    http = !strcmp(argv[argc - 1], "https");
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignored, NULL);
    int listener = echo_listen(SOCK_NONBLOCK);
    prepare();
    epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener);
            else
                echo(events[i].data.fd);
        }
    }
}
