/* pulse.h: what the parts of Pulse hand to each other.
 *
 * Results flow one way: the tasks of scheduler.c make them with check.c and send them to the
 * store's task, which writes them to the file and only then sends them on to the view's task, which
 * takes them into the status that web.c serves. Each arrow is a channel with a limit, so a slow
 * disk or terminal slows the checks down instead of filling memory. The channels and everything
 * that the tasks are given belong to run() in main.c, which outlives them.
 */
#ifndef PULSE_PULSE_H
#define PULSE_PULSE_H

#include "config.h"

#include <coir/coir.h>
#include <coir/http_session.h>

/* What came of one check. */
struct result {
    const struct target *target;
    int64_t time;      /* when the check began, in ms since 1970 */
    coir_time latency; /* of the attempt that succeeded; 0 when down */
    int attempts;
    int http_status;           /* of the last answer; 0: there was none */
    int64_t certificate_until; /* when that of the server ends, in s since 1970; 0: it has none */
    int code;                  /* 0 when up, else why the last attempt failed */
    char reason[80];           /* the same in words */
    char error[200];           /* and with what was tried */
};

/* Days for which the certificate is good, and whether those are too few. */
int result_certificate_days(const struct result *result);
bool result_warns(const struct result *result);

enum { CHANNEL_ROOM = 64 };

struct status; /* status.h */

/* check.c: checks target by one attempt or more, inside its deadline. Returns 0 with *ret_result
 * also when the target is down; negative only when this task has to end. */
struct clients;
int check_run(const struct clients *clients, const struct target *target,
              struct result *ret_result);

/* check_http.c: one attempt at an HTTP target: asks, and holds the answer against what is expected.
 * The clients are a session for each of the config's contexts. */
typedef struct clients {
    coir_http_session *sessions[CONTEXTS_MOST];
} clients;
int clients_open(const struct config *config, size_t in_flight, struct clients *ret_clients);
void clients_close(struct clients *clients);
COIR_CLOSER_VALUE(clients, clients_close);
int check_http(const struct clients *clients, const struct target *target, struct result *result);

/* scheduler.c: checks all targets, each at its own rate and at most in_flight at once, until
 * cancelled; with once, one time. A task. */
struct schedule {
    const struct config *config;
    const struct clients *clients;
    bool once;
    coir_semaphore slots; /* .value is how many checks may be in flight */
    coir_sender *results;
    struct lag *lag;
};
int schedule_run(void *schedule);

/* store.c: appends every result to a file, then passes it on. A task. */
typedef struct store {
    const char *path;
    int fd; /* -1 while closed */
    coir_receiver *results;
    coir_sender *stored;
    uint64_t count, down; /* results written so far, and how many of them say down */
} store;
int store_open(struct store *store);
int store_run(void *store);
void store_close(struct store *store);
COIR_CLOSER_VALUE(store, store_close);

/* view.c: takes results into the status, and shows them on standard output, as a live table or one
 * line each. A task. */
struct view {
    const struct config *config;
    const struct store *store;
    struct status *status;
    const char *url; /* of the web page; "" when there is none */
    coir_receiver *stored;
    bool table;
};
int view_run(void *view);

/* web.c: shows the status to browsers and programs, until cancelled. A task. */
struct web {
    const struct status *status;
    const struct lag *lag;
    coir_listener *listener;
};
int web_run(void *web);

#endif
