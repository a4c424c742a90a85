/* retry.c: calling again what failed, with pauses that grow, up to a cap.
 *
 * on_retry sees each pause before it begins. Without jitter the pauses are exact; with it
 * (COIR_JITTER_FULL) each is a random part of that, so that many clients do not come back at once.
 */
#include <coir/coir.h>
#include <stdio.h>

struct service {
    int calls, fails;
};

static int call_service(void *arg)
{
    struct service *service = arg;
    if (++service->calls <= service->fails)
        return -ECONNREFUSED;
    return 0;
}

static void on_retry(unsigned attempt, int code, coir_time pause, void *arg)
{
    (void)arg;
    printf("  attempt %u: %s, again in %d ms\n", attempt, coir_error_text(code),
           (int)(pause / COIR_MS(1)));
}

static int app(void *arg)
{
    (void)arg;
    coir_retry retry = {
        .attempts = 5, .base = COIR_MS(10), .cap = COIR_MS(30), .on_retry = on_retry};
    struct service services[] = {{.fails = 3}, {.fails = 100}};
    for (size_t i = 0; i < COIR_COUNT(services); i++) {
        printf("a service that fails %d times:\n", services[i].fails);
        int r = coir_retry_run(&retry, call_service, &services[i]);
        printf("  %s after %d calls\n", coir_error_name(r), services[i].calls);
    }
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
