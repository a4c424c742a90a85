/* status.h: what is known of each target: how it is, since when, its last checks.
 *
 * The task of view.c takes each result in when it is in the file; the table and the web pages show
 * it. Whoever wants to hear of a change subscribes to `changed`.
 */
#ifndef PULSE_STATUS_H
#define PULSE_STATUS_H

#include "pulse.h"

enum { HISTORY = 20 };
enum state { UNKNOWN, UP, DOWN };

struct row {
    const struct target *target;
    enum state state;
    coir_time since;                   /* of the state */
    coir_time latency;                 /* of the last check that succeeded */
    coir_time failed;                  /* when the last check failed; 0: none did */
    char reason[80];                   /* why it did, in short */
    char error[200];                   /* and with what was tried */
    bool warns;                        /* it is up, and its certificate ends soon */
    int certificate_days, http_status; /* -1, 0: the last check has found none */
    uint64_t changed;                  /* status->results when the last one came */
    unsigned count;                    /* of checks */
    coir_time history
        [HISTORY]; /* latencies, -1 for a failure; a ring, the next one goes to count % HISTORY */
};

typedef struct status {
    coir_watch *changed; /* of uint64_t: how many results were taken in */
    uint64_t results;
    size_t count;
    struct row rows[];
} status;

/* A row for each target, in their order, all unknown. */
int status_open(const struct config *config, struct status **ret_status);
void status_close(struct status *status);
COIR_CLOSER(status, status_close);

/* Takes in one result. */
void status_take(struct status *status, const struct result *result);

/* How many of all targets are up and warn. */
size_t status_warnings(const struct status *status);

/* How many of the targets from first on are in that state. */
size_t status_count(const struct status *status, size_t first, enum state state);

/* "unknown", "up", "down". */
const char *state_name(enum state state);

#endif
