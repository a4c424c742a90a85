/* coir's side of the benchmark client/get: 64 tasks that ask a server for a short text again and
 * again, by one session that keeps their connections, written as a user would. Called with the name
 * and the port of 127.0.0.1; COIR_BACKEND chooses the backend. */
#include <stdio.h>
#include <stdlib.h>

#include <coir/coir.h>
#include <coir/http_session.h>

#include "measure.h"

enum { TASKS = 64, REQUESTS = 100000, WARM = 10 };

static char **arguments;

struct asker {
    coir_http_session *http;
    int requests;
};

static int ask(void *arg)
{
    const struct asker *asker = arg;
    for (int i = 0; i < asker->requests; i++) {
        COIR_AUTO(coir_http_response) *response = NULL;
        coir_bytes body;
        COIR_TRY(coir_http_get(asker->http, "/", NULL, &response));
        COIR_TRY(coir_http_response_read(response, &body));
        if (coir_http_response_status(response) != 200 || body.length != 13)
            return coir_fail(-EBADMSG, "another answer: %zu bytes", body.length);
    }
    return 0;
}

static int ask_all(coir_http_session *http, int requests)
{
    struct asker askers[TASKS];
    for (int i = 0; i < TASKS; i++)
        askers[i] = (struct asker){http, requests / TASKS};
    return coir_map(ask, askers, TASKS, sizeof askers[0], NULL);
}

static int app(void *arg)
{
    char base[64];
    (void)arg;
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%s/", arguments[2]);
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_TRY(coir_http_session_open(&(coir_http_session_opts){.base = base}, &http));
    COIR_TRY(ask_all(http, WARM * TASKS));
    double cpu = measure_cpu_s();
    int64_t start = measure_now_ns();
    COIR_TRY(ask_all(http, REQUESTS));
    measure_result("client/get/rate", REQUESTS / ((double)(measure_now_ns() - start) / 1e9), "/s");
    measure_result("client/get/cpu_ns", (measure_cpu_s() - cpu) * 1e9 / REQUESTS, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    arguments = argv;
    return argc == 3 && strcmp(argv[1], "client/get") == 0 ? coir_main(app, NULL) : 2;
}
