/* coir/service.h: services that run in the background and are looked after: started in order,
 * restarted when they fail, stopped in the reverse order.
 *
 * A service is a function that says coir_ready() when the others may count on it, and then works
 * until it is cancelled. coir_services_run is the whole of a program's main task:
 *
 *     coir_service services[] = {
 *         {.name = "store", .run = store, .arg = &app},
 *         {.name = "collector", .run = collect, .arg = &app, .restart = COIR_RESTART_ON_FAILURE},
 *         {.name = "server", .run = serve, .arg = &app, .stop = stop_serving},
 *     };
 *     return coir_services_run(services, COIR_COUNT(services), NULL);
 *
 * The store is ready before the collector begins, and stopped after everything that uses it has
 * ended. What cannot be mended by a restart ends all of them, with the failure as the result.
 */
#ifndef COIR_SERVICE_H
#define COIR_SERVICE_H

#include <coir/retry.h>

COIR__BEGIN

/* Whether a service runs again when its function has returned. */
typedef enum coir_restart {
    COIR_RESTART_NEVER,      /* a failure ends all services; 0 ends this one */
    COIR_RESTART_ON_FAILURE, /* a failure is followed by a restart; 0 ends this one */
    COIR_RESTART_ALWAYS,
} coir_restart;

/* Where a service stands. */
typedef enum coir_service_state {
    COIR_SERVICE_STOPPED,  /* not started yet, or ended: its code says how */
    COIR_SERVICE_STARTING, /* runs, and has not said coir_ready() */
    COIR_SERVICE_READY,
    COIR_SERVICE_PAUSING,  /* has ended, and will be restarted */
    COIR_SERVICE_STOPPING, /* was asked to end, or cancelled */
} coir_service_state;

/* One service, in memory of the caller. Zero means the default for each field; name and run are
 * needed. */
typedef struct coir_service {
    const char *name; /* for people, and of its task */
    coir_fn run;      /* calls coir_ready(), then works; negative is a failure */
    void *arg;        /* for both functions */
    /* Asks it to end by itself, within grace, before it is cancelled: to close what it listens on,
     * to let requests finish. It may wait. A negative result has it cancelled at once. NULL: it is
     * cancelled at once. */
    int (*stop)(void *arg);
    coir_restart restart;
    const coir_retry *backoff; /* the pauses before restarts, and what is worth one; NULL, or 0 for
                                  its attempts: as in coir_retry, without an end */
    coir_time start;           /* bounds each start up to coir_ready(): -ETIMEDOUT; 0: 30 s */
    coir_time grace;           /* from stop to its end; 0: 10 s */

    /* To be read while it runs and afterwards; the library writes them. */
    coir_service_state state;
    int code;          /* of its last end: what run returned, or -ETIMEDOUT */
    unsigned restarts; /* since coir_services_run began */
    coir_time since;   /* when it came into its state */

    struct coir__services *coir__services; /* not NULL: in use */
    bool coir__stopping;
    void *coir__reserved[4];
} coir_service;

/* Zero means the default for each field. */
typedef struct coir_services_opts {
    unsigned restarts; /* so many of all services together in any window of within; 0: 5 */
    coir_time within;  /* nanoseconds; 0: 60 s */
    /* Called when a service has come into another state. It must not wait. May be NULL. */
    void (*on_change)(const coir_service *service, void *arg);
    void *arg; /* for it */
    size_t coir__reserved[4];
} coir_services_opts;

/* Runs count services: starts each when the one before it is ready, calls coir_ready() when all
 * are, and returns when all have ended; when one has failed for good, or the caller is cancelled,
 * after it has stopped them, the last one first, each when the one behind it has ended. It fails
 * for good that fails before it was ever ready, that is not to be restarted, or whose restarts are
 * more than opts->restarts in any window of opts->within: then something is broken that a restart
 * does not mend. A service that was ready for that long has its pauses begin anew. opts may be
 * NULL.
 *
 * Returns 0 when all have ended by themselves. Errors: the failure for good (-COIR_ECLOSED for one
 * that returned 0 before it was ready, or too often); the failure of a service that was stopped
 * without another reason; -EBUSY for services that run already, -EINVAL, -ENOMEM, -COIR_ENOTASK,
 * -ECANCELED, -ETIME. Cancel safety: all that run are stopped, each within its grace, and joined
 * first. Thread safety: the loop's thread. */
COIR__CHECKED int coir_services_run(coir_service *services, size_t count,
                                    const coir_services_opts *opts);

/* The name of a state for people: "ready". Returns a static string. Cancel safety: never waits.
 * Thread safety: any thread. */
COIR__PUBLIC const char *coir_service_state_name(coir_service_state state);

COIR__END
#endif
