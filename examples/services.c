/* services.c: a store, a collector that breaks down now and then, and a server, looked after.
 *
 * Each starts when the one before it is ready. The collector is restarted after a pause. SIGTERM
 * cancels the main task: the server is asked to end; the store, which both use, comes last.
 */
#include <coir/coir.h>
#include <stdio.h>

static int store(void *arg)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_MS(50))); /* opening files */
    coir_ready();
    return coir_sleep(COIR_FOREVER);
}

static int collect(void *arg)
{
    (void)arg;
    coir_ready();
    COIR_TRY(coir_sleep(COIR_MS(300)));
    return -ECONNRESET;
}

static int serve(void *closing)
{
    coir_ready();
    COIR_TRY(coir_sleep(COIR_MS(600)));
    raise(SIGTERM); /* stands for the kill of a service manager */
    COIR_TRY(coir_event_wait(closing));
    return coir_sleep(COIR_MS(20)); /* the last requests */
}

static int close_server(void *closing)
{
    return coir_event_set(closing);
}

static void on_change(const coir_service *service, void *start)
{
    printf("%3d ms: %s is %s\n", (int)((service->since - *(coir_time *)start) / COIR_MS(1)),
           service->name, coir_service_state_name(service->state));
}

static int app(void *closing)
{
    coir_time start = coir_now();
    coir_service services[] = {
        {.name = "store", .run = store},
        {.name = "collector", .run = collect, .restart = COIR_RESTART_ON_FAILURE},
        {.name = "server", .run = serve, .arg = closing, .stop = close_server},
    };
    coir_services_opts opts = {.on_change = on_change, .arg = &start};
    return coir_services_run(services, COIR_COUNT(services), &opts);
}

int main(void)
{
    return coir_main(app, &(coir_event){0});
}
