/* breaker.c: twenty calls, half a second apart, to a service that fails half of the time.
 *
 * Three failures in a row open the circuit for two seconds: the calls in between are refused, and
 * the service is left alone. Then one probe at a time goes through; two successes close the
 * circuit, and a failure opens it again. The numbers come from a seed, so it is always the same.
 */
#include <coir/coir.h>
#include <stdio.h>

struct service {
    uint32_t random;
    int calls;
};

static int flaky(void *arg)
{
    struct service *service = arg;
    service->calls++;
    service->random = service->random * 1664525 + 1013904223;
    return service->random >> 31 ? 0 : -ECONNREFUSED;
}

static void on_change(coir_circuit before, coir_circuit now, void *arg)
{
    (void)arg;
    printf("         %s -> %s\n", coir_circuit_name(before), coir_circuit_name(now));
}

static int app(void *arg)
{
    (void)arg;
    coir_breaker breaker = {
        .failures = 3, .recovery = COIR_SEC(2), .successes = 2, .on_change = on_change};
    struct service service = {.random = 11};
    for (int i = 1; i <= 20; i++) {
        int r = coir_breaker_run(&breaker, flaky, &service);
        printf("call %2d: %s [%s]\n", i, coir_error_text(r),
               coir_circuit_name(coir_breaker_circuit(&breaker)));
        COIR_TRY(coir_sleep(COIR_SEC(0.5)));
    }
    printf("%d of 20 reached the service\n", service.calls);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
