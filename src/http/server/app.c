/* app.c: an application: what is registered in it, and how it is served.
 *
 * Serving is three groups. Accepting belongs to the caller's scope: a cancellation ends it.
 * Requests belong to a group behind a shield, so that a cancellation is the beginning of their
 * grace and not their end; services to a third one, which ends when the last request has. Contexts
 * are started before and stopped after all of it. Called by programs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <coir/memory.h>

#include "app.h"

enum { SITES = 16 }; /* at which an application is served at once */

#define OR(value, usual) ((value) != 0 ? (value) : (usual))

/* ---- opening and closing ---- */

int coir_http_app_open(const coir_http_app_opts *opts, coir_http_app **ret_app)
{
    static const coir_http_app_opts none;
    if (ret_app == NULL)
        return -EINVAL;
    if (opts == NULL)
        opts = &none;
    if (opts->head_limit < 0 || opts->idle_limit < 0 || opts->stall_limit < 0 || opts->grace < 0)
        return coir_fail(-EINVAL, "options of an application: a time is negative");
    coir_http_app *app = coir_calloc(1, sizeof *app);
    if (app == NULL)
        return -ENOMEM;
    app->opts = *opts;
    app->opts.connections = OR(opts->connections, 10000);
    size_t tenth = app->opts.connections / 10;
    app->opts.client_connections = OR(opts->client_connections, tenth > 100 ? tenth : 100);
    app->opts.requests = OR(opts->requests, 1000);
    app->opts.body_limit = OR(opts->body_limit, (size_t)1 << 20);
    app->opts.head_limit = OR(opts->head_limit, COIR_SEC(10));
    app->opts.idle_limit = OR(opts->idle_limit, COIR_SEC(75));
    app->opts.stall_limit = OR(opts->stall_limit, COIR_SEC(30));
    app->opts.grace = OR(opts->grace, COIR_SEC(10));
    app->opts.compress_least = OR(opts->compress_least, 1024);
    app->last_middleware = &app->middleware;
    app->last_service = &app->services;
    int r = opts->proxies != NULL ? coir__http_read_proxies(app, opts->proxies) : 0;
    if (r < 0)
        coir_http_app_close(app);
    else
        *ret_app = app;
    return r;
}

static void free_registrations(coir_http_app *app)
{
    for (struct coir__http_middleware *at = app->middleware, *next; at != NULL; at = next) {
        next = at->next;
        coir_free(at);
    }
    for (struct coir__http_context *at = app->contexts, *next; at != NULL; at = next) {
        next = at->next;
        coir_free(at);
    }
    for (struct coir__http_service *at = app->services, *next; at != NULL; at = next) {
        next = at->next;
        coir_free(at);
    }
}

void coir_http_app_close(coir_http_app *app)
{
    if (app == NULL)
        return;
    for (coir_http_app *child = app->children, *next; child != NULL; child = next) {
        next = child->next;
        coir_http_app_close(child);
    }
    coir__http_router_free(app->root);
    coir_free(app->proxies);
    free_registrations(app);
    if (app->spare != NULL)
        coir__http_request_free(app->spare);
    for (size_t i = 0; i < COIR__HTTP_CODINGS; i++)
        coir__pack_free(app->packs[i]);
    coir_free(app);
}

/* ---- registering ---- */

void coir__http_mistake(coir_http_app *app, const char *what, const char *value, const char *why)
{
    if (app->wrong != 0)
        return;
    app->wrong = -EINVAL;
    (void)snprintf(app->wrong_text, sizeof app->wrong_text, "%s '%.60s': %s", what,
                   value != NULL ? value : "(NULL)", why);
}

void coir_http_app_route(coir_http_app *app, const char *method, const char *pattern,
                         coir_http_handler handler)
{
    const char *wrong = "there is no handler";
    if (handler != NULL && pattern != NULL)
        wrong = coir__http_router_add(&app->root, method, pattern, handler, NULL, NULL);
    if (wrong != NULL)
        coir__http_mistake(app, "route", pattern, wrong);
}

void coir_http_app_use(coir_http_app *app, int (*fn)(coir_http_request *request, void *arg),
                       void *arg)
{
    struct coir__http_middleware *middleware = coir_calloc(1, sizeof *middleware);
    if (middleware == NULL || fn == NULL) {
        coir_free(middleware);
        coir__http_mistake(app, "middleware", "",
                           fn == NULL ? "there is none" : "there is not enough memory");
        return;
    }
    middleware->fn = fn;
    middleware->arg = arg;
    *app->last_middleware = middleware;
    app->last_middleware = &middleware->next;
}

void coir_http_app_mount(coir_http_app *app, const char *prefix, coir_http_app *child)
{
    const coir_http_app *root = app;
    while (root->parent != NULL)
        root = root->parent;
    const char *wrong = NULL;
    if (child == NULL || child == root || prefix == NULL)
        wrong = "there is no other application";
    else if (child->parent != NULL)
        wrong = "it is mounted already";
    if (wrong != NULL) {
        coir__http_mistake(app, "mount", prefix, wrong);
        return;
    }
    wrong = coir__http_router_mount(&app->root, prefix, child);
    if (wrong != NULL)
        coir__http_mistake(app, "mount", prefix, wrong);
    child->parent = app; /* also when it cannot be reached */
    child->next = app->children;
    app->children = child;
}

void coir_http_app_context(coir_http_app *app, coir_fn start, void (*stop)(void *arg), void *arg)
{
    struct coir__http_context *context = coir_calloc(1, sizeof *context);
    if (context == NULL) {
        coir__http_mistake(app, "context", "", "there is not enough memory");
        return;
    }
    *context = (struct coir__http_context){NULL, app->last_context, start, stop, arg};
    *(app->last_context != NULL ? &app->last_context->next : &app->contexts) = context;
    app->last_context = context;
}

void coir_http_app_service(coir_http_app *app, coir_fn fn, void *arg)
{
    struct coir__http_service *service = coir_calloc(1, sizeof *service);
    if (service == NULL || fn == NULL) {
        coir_free(service);
        coir__http_mistake(app, "service", "",
                           fn == NULL ? "there is none" : "there is not enough memory");
        return;
    }
    *service = (struct coir__http_service){NULL, fn, arg};
    *app->last_service = service;
    app->last_service = &service->next;
}

/* The first mistake of an application, or of one mounted in it; and opens their directories. */
static int check(coir_http_app *app)
{
    if (app->wrong != 0)
        return coir_fail(app->wrong, "%s", app->wrong_text);
    COIR_TRY(coir__http_open_directories(app->root));
    for (coir_http_app *child = app->children; child != NULL; child = child->next) {
        if (child->contexts != NULL || child->services != NULL)
            return coir_fail(-EINVAL, "contexts and services belong to the outermost application");
        COIR_TRY(check(child));
    }
    return 0;
}

/* ---- serving ---- */

/* What ends may take its time, whatever has ended the server. */
static void stop_contexts(const coir_http_app *app, struct coir__http_context *last)
{
    COIR_SHIELD(app->opts.grace);
    for (; last != NULL; last = last->previous)
        if (last->stop != NULL)
            last->stop(last->arg);
}

/* Starts all, or none. */
static int start_contexts(coir_http_app *app)
{
    for (struct coir__http_context *at = app->contexts; at != NULL; at = at->next) {
        int r = at->start != NULL ? at->start(at->arg) : 0;
        if (r < 0) {
            stop_contexts(app, at->previous);
            return r;
        }
    }
    return 0;
}

struct door {
    coir_http_app *app;
    struct coir__http_serving *serving;
    coir_listener *listener;
};

static int accept_all(void *arg)
{
    const struct door *door = arg;
    coir_http_app *app = door->app;
    coir_task_set_name(NULL, "http accept");
    for (;;) {
        coir_stream *stream;
        COIR_TRY(coir_listener_accept(door->listener, &stream));
        app->stats.accepted++;
        /* it is closed when there is no memory for it, or its client has too many */
        (void)coir__http_connect(door->serving, stream);
    }
}

/* Waits until the requests have ended, for the grace, and ends the rest. */
static void drain(coir_http_app *app, struct coir__http_serving *serving)
{
    COIR_DEADLINE(app->opts.grace);
    serving->draining = true;
    (void)coir_event_set(&serving->drained);
    coir__http_close_idle(serving);
    if (coir_group_wait(&serving->requests) < 0)
        coir_group_cancel(&serving->requests, "the server's grace is over");
    (void)coir_group_close(&serving->requests);
}

struct helper {
    const struct coir__http_service *service;
    coir_group *outer;
};

/* A service whose failure ends the server. */
static int run_service(void *arg)
{
    const struct helper *helper = arg;
    int r = helper->service->fn(helper->service->arg);
    if (r < 0 && coir_pending() == 0)
        coir_group_cancel(helper->outer, "a service has failed");
    return r;
}

static int start_services(coir_http_app *app, coir_group *services, coir_group *outer)
{
    for (const struct coir__http_service *at = app->services; at != NULL; at = at->next) {
        struct helper helper = {at, outer};
        COIR_TRY(coir_spawn_copy(services, run_service, &helper, sizeof helper, NULL));
    }
    return 0;
}

/* Accepting is in `outer`, which a cancellation ends at once; what gets a grace is in the shield.
 * Services are there until the last request has ended. */
static int run(coir_http_app *app, coir_listener *const *listeners, size_t count)
{
    struct coir__http_serving serving = {
        .app = app, .places.value = app->opts.connections, .limited = true};
    struct door doors[SITES];
    coir_group services;
    COIR_TRY(coir_group_init(&serving.requests, COIR_REPORT));
    COIR_TRY(coir_group_init(&services, COIR_FAIL_FAST));
    COIR_GROUP(outer);
    COIR_SHIELD(app->opts.grace);
    int r = start_services(app, &services, &outer);
    for (size_t i = 0; i < count && r == 0; i++) {
        doors[i] = (struct door){app, &serving, listeners[i]};
        r = coir_spawn(&outer, accept_all, &doors[i], NULL);
    }
    if (r == 0)
        r = coir_group_wait(&outer);
    else
        coir_group_cancel(&outer, "the server could not be started");
    drain(app, &serving);
    int failed = coir_group_close(&services);
    r = coir_group_finish(&outer, r);
    if (failed < 0)
        return failed;
    return r == -COIR_ECLOSED || r == -ECANCELED || r == -ETIME ? 0 : r;
}

static int serve(coir_http_app *app, coir_listener *const *listeners, size_t count)
{
    COIR_TRY(start_contexts(app));
    if (app->begun != NULL)
        (void)coir_event_set(app->begun);
    int r = run(app, listeners, count);
    stop_contexts(app, app->last_context);
    return r;
}

int coir_http_app_serve_listeners(coir_http_app *app, coir_listener *const *listeners, size_t count)
{
    if (app == NULL || listeners == NULL || count == 0 || count > SITES)
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (listeners[i] == NULL)
            return -EINVAL;
    COIR_TRY(check(app));
    if (app->served || app->parent != NULL)
        return coir_fail(-EBUSY, "the application is being served");
    app->served = true;
    int r = serve(app, listeners, count);
    app->served = false;
    return r;
}

int coir_http_app_serve_listener(coir_http_app *app, coir_listener *listener)
{
    return coir_http_app_serve_listeners(app, &listener, 1);
}

/* Listens at an address of length bytes. */
static int listen_at(const coir_http_app *app, const char *text, size_t length,
                     coir_listener **ret_listener)
{
    const coir_listen_opts opts = {.reuse_port = app->opts.reuse_port};
    char address[COIR_ADDRESS_TEXT + 8];
    if (length >= sizeof address)
        return coir_fail(-COIR_EADDRESS, "address '%.60s…': it is too long", text);
    memcpy(address, text, length);
    address[length] = '\0';
    if (strncmp(address, "unix:", 5) == 0)
        return coir_unix_listen(address + 5, NULL, ret_listener);
    return coir_tcp_listen(address, &opts, ret_listener);
}

static int listen_and_serve(coir_http_app *app, const char *addresses, coir_listener **listeners,
                            size_t *count)
{
    while (*addresses != '\0') {
        addresses += strspn(addresses, " \t,");
        size_t length = strcspn(addresses, " \t,");
        if (length == 0)
            break;
        if (*count == SITES)
            return coir_fail(-EINVAL, "more than %d addresses", SITES);
        COIR_TRY(listen_at(app, addresses, length, &listeners[*count]));
        ++*count;
        addresses += length;
    }
    if (*count == 0)
        return coir_fail(-EINVAL, "there is no address to serve at");
    return coir_http_app_serve_listeners(app, listeners, *count);
}

int coir_http_app_serve(coir_http_app *app, const char *addresses)
{
    coir_listener *listeners[SITES];
    size_t count = 0;
    if (app == NULL || addresses == NULL)
        return -EINVAL;
    COIR_TRY(check(app));
    int r = listen_and_serve(app, addresses, listeners, &count);
    while (count > 0)
        coir_listener_close(listeners[--count]);
    return r;
}

int coir_http_app_serve_stream(coir_http_app *app, coir_stream *stream)
{
    int r = app == NULL ? -EINVAL : check(app);
    if (r < 0 || stream == NULL) {
        coir_stream_abort(stream);
        return r < 0 ? r : -EINVAL;
    }
    struct coir__http_serving serving = {.app = app};
    r = coir_group_init(&serving.requests, COIR_REPORT);
    if (r < 0) {
        coir_stream_abort(stream);
        return r;
    }
    r = coir__http_connect(&serving, stream);
    if (r == 0)
        r = coir_group_wait(&serving.requests);
    drain(app, &serving);
    return r;
}

/* ---- asking ---- */

void coir_http_app_stats_get(const coir_http_app *app, coir_http_app_stats *ret_stats)
{
    *ret_stats = app->stats;
}
