/* services.c: what the demo watches: a greeter on TCP, a service on a Unix socket that goes away
 * and comes back every few seconds, and three sites: a shop whose checkout is busy now and then,
 * orders, which go away and come back too, and a vault by HTTPS.
 *
 * run.sh starts it beside Pulse: pulse-services CERTIFICATE KEY. It prints "ready" when all of them
 * listen, then nothing more, since its terminal belongs to Pulse. It ends with its parent, however
 * that ends.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/tls.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* As in pulse.yaml. */
#define GREETER "127.0.0.1:7801"
#define SHOP "127.0.0.1:7802"
#define VAULT "127.0.0.1:7803"
#define ORDERS "127.0.0.1:7804"
#define FLAPPER "/tmp/pulse-demo.sock"
#define TRUSTED "/tmp/pulse-demo.pem" /* run.sh has put it there for Pulse */

struct services {
    const char *certificate, *key;
    coir_event ready; /* all of them listen */
    int listening;
};

enum { SERVICES = 5 };

static void report_listening(struct services *services)
{
    if (++services->listening == SERVICES)
        (void)coir_event_set(&services->ready);
}

/* --- Sockets ---------------------------------------------------------------------------------- */

/* Greets, then says everything back. */
static int greet(coir_stream *stream, void *arg)
{
    (void)arg;
    static const char greeting[] = "hello, I am the greeter\n";
    COIR_TRY(coir_stream_write(stream, greeting, sizeof greeting - 1));
    char data[1024];
    size_t n;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        COIR_TRY(coir_stream_write(stream, data, n));
    return r;
}

static int greeter(void *services)
{
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen(GREETER, NULL, &listener));
    report_listening(services);
    return coir_listener_serve(listener, greet, NULL);
}

/* Serves for four seconds. Returns 0 when they are over. */
static int be_there(coir_listener *listener)
{
    COIR_SCOPE(there, COIR_SEC(4));
    int r = coir_listener_serve(listener, greet, NULL);
    return coir_scope_expired(&there) ? 0 : r;
}

static int flapper(void *services)
{
    for (bool first = true;; first = false) {
        COIR_AUTO(coir_listener) *listener = NULL;
        COIR_TRY(coir_unix_listen(FLAPPER, NULL, &listener));
        if (first)
            report_listening(services);
        COIR_TRY(be_there(listener));
        coir_listener_close(COIR_TAKE(listener));
        COIR_TRY(coir_sleep(COIR_SEC(3)));
    }
}

/* --- Sites ------------------------------------------------------------------------------------ */

static int answer_health(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "all is well\n");
}

/* Busy for three seconds of each twelve. */
static int answer_checkout(coir_http_request *request)
{
    if (coir_now() / COIR_SEC(1) % 12 < 3)
        return coir_http_fail(request, 503, "too many customers");
    return coir_http_reply_text(request, 200, "next, please\n");
}

static int serve_site(const char *address, coir_tls_context *tls, struct services *services)
{
    coir_http_app_opts opts = {.tls = tls, .grace = COIR_MS(100)};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_http_app_open(&opts, &app));
    coir_http_app_get(app, "/health", answer_health);
    coir_http_app_get(app, "/checkout", answer_checkout);
    COIR_TRY(coir_tcp_listen(address, NULL, &listener));
    if (services)
        report_listening(services);
    return coir_http_app_serve_listener(app, listener);
}

static int shop(void *services)
{
    return serve_site(SHOP, NULL, services);
}

static int vault(void *arg)
{
    struct services *services = arg;
    coir_tls_opts opts = {.certificate_file = services->certificate, .key_file = services->key};
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(coir_tls_context_open(COIR_TLS_SERVER, &opts, &context));
    return serve_site(VAULT, context, services);
}

static int orders(void *services)
{
    for (bool first = true;; first = false) {
        COIR_SCOPE(there, COIR_SEC(9));
        int r = serve_site(ORDERS, NULL, first ? services : NULL);
        coir_scope_leave(&there);
        if (!coir_scope_expired(&there))
            return r;
        COIR_TRY(coir_sleep(COIR_SEC(4)));
    }
}

/* --- The program ------------------------------------------------------------------------------ */

/* Says that all services listen; nobody reads on. */
static int report_ready(void)
{
    if (puts("ready") == EOF || fclose(stdout) == EOF)
        return coir_fail(-EIO, "write to standard output");
    return 0;
}

static int run(void *services)
{
    static int (*const all[SERVICES])(void *) = {greeter, flapper, shop, vault, orders};
    COIR_GROUP(group);
    for (size_t i = 0; i < SERVICES; i++)
        COIR_TRY(coir_spawn(&group, all[i], services, NULL));
    int r = coir_event_wait(&((struct services *)services)->ready);
    if (r == 0)
        r = report_ready();
    return r < 0 ? coir_group_finish(&group, r) : coir_group_wait(&group);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: pulse-services CERTIFICATE KEY\n", stderr);
        return 2;
    }
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
        return 1;
    int code = coir_main(run, &(struct services){.certificate = argv[1], .key = argv[2]});
    unlink(TRUSTED);
    return code;
}
