/* rate_limit.c: a client that keeps to the rate of its server, and one that keeps to a window.
 *
 * A semaphore would bound how many requests run at once, which says nothing about how many there
 * are in a second. The bucket lets three go at once, then two a second; the window lets five go at
 * once, and the sixth when the first is ten seconds old. Who waits goes in the order of coming.
 */
#include <coir/coir.h>
#include <stdio.h>

struct client {
    coir_limiter limiter;
    coir_window window;
    coir_time since, last[5];
};

struct request {
    struct client *client;
    int number;
};

static int tenths(const struct client *client)
{
    return (int)((coir_now() - client->since) / COIR_MS(100));
}

static int fetch(void *arg)
{
    struct request *request = arg;
    COIR_TRY(coir_limiter_take(&request->client->limiter, 1));
    int at = tenths(request->client);
    printf("request %d at %d.%d s\n", request->number, at / 10, at % 10);
    return 0;
}

static int app(void *arg)
{
    struct client *client = arg;
    client->since = coir_now();
    struct request requests[7];
    for (int i = 0; i < 7; i++)
        requests[i] = (struct request){client, i + 1};
    COIR_TRY(coir_map(fetch, requests, 7, sizeof requests[0], NULL));

    client->since = coir_now();
    for (int i = 1; i <= 6; i++) {
        COIR_TRY(coir_window_take(&client->window, 1));
        printf("login %d at %d s\n", i, tenths(client) / 10);
    }
    printf("one more now: %s\n", coir_error_text(coir_window_try(&client->window, 5)));
    return 0;
}

int main(void)
{
    static struct client client = {.limiter = {.rate = 2, .per = COIR_SEC(1), .burst = 3}};
    client.window = (coir_window){.times = client.last, .limit = 5, .per = COIR_SEC(10)};
    return coir_main(app, &client);
}
