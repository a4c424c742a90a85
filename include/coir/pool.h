/* coir/pool.h: keeping connections, or anything else that is dear to open, for the next who needs
 * one.
 *
 *     static const coir_pool_opts opts = {.open = dial, .close = hang_up, .max = 10};
 *     COIR_AUTO(coir_pool) *pool = NULL;
 *     COIR_TRY(coir_pool_open(&opts, &pool));
 *
 *     COIR_AUTO(coir_pooled) *line = NULL;
 *     COIR_TRY(coir_pool_acquire(pool, "db:5432", &line));
 *     COIR_TRY(ask(line->connection));          // fails or is cancelled: the connection is closed
 *     coir_pool_release(COIR_TAKE(line));       // all was said and answered: the next one has it
 *
 * Who has acquired a connection is in the midst of an exchange until it says otherwise, by
 * releasing it. Left in any other way, by a failure, a cancellation, a return, it is discarded:
 * nobody reads the rest of somebody else's answer.
 *
 * Connections belong to a key, a text such as "host:port", which is also what they are opened by.
 * Who waits for one gets the first good one that is released or opened for its key;
 * among those that wait the first come are served first, and where there are too few places for all
 * keys, an unused connection of another key makes room.
 */
#ifndef COIR_POOL_H
#define COIR_POOL_H

#include <coir/task.h>

COIR__BEGIN

/* A pool; opaque. */
typedef struct coir_pool coir_pool;

/* A connection that was acquired. */
typedef struct coir_pooled {
    void *connection;
    const char *key;
    uint64_t uses;    /* how often it was acquired, this time included */
    coir_time opened; /* when, on the loop's clock */
} coir_pooled;

/* What a pool is made of. Zero means the default for each field, but open and close are needed. The
 * functions get arg. */
typedef struct coir_pool_opts {
    /* Opens a connection for key: 0 with *ret_connection, or a code, whose text is handed to who
     * waits. It runs in a task of the pool's, bounded by no scope of who waits: let it bound
     * itself. */
    int (*open)(const char *key, void *arg, void **ret_connection);
    /* Closes one. Abrupt: it must not wait, and the peer may be in the midst of something.
     * Otherwise it runs in a task of the pool's, and nobody waits for it but coir_pool_close. */
    void (*close)(void *connection, bool abrupt, void *arg);
    /* Whether one that nobody has used for so long is still good; asked before it is used again,
     * also where it was handed over to who waited. It must not wait. NULL: it is. */
    bool (*usable)(void *connection, coir_time unused, void *arg);
    void *arg;
    size_t max;         /* connections at once, those being closed too; 0: 100 */
    size_t max_per_key; /* of one key; 0: no other than max */
    size_t min;         /* so many stay, however long nobody uses them */
    size_t waiting;     /* tasks that may wait for a place; 0: any number */
    coir_time idle;     /* who is not used for so long is closed; 0: 15 s, COIR_FOREVER: never */
    coir_time age;      /* one that is older is not used again; 0: no bound */
    uint64_t uses;      /* one that was acquired so often is not used again; 0: no bound */
    size_t coir__reserved[5];
} coir_pool_opts;

/* Opens a pool. It opens no connection, and belongs to the loop where it is used first. opts is not
 * needed afterwards.
 * Returns 0, and writes *ret_pool, which is the caller's to close. Errors: -EINVAL for a missing
 * function, a negative time or max below min, -ENOMEM. Cancel safety: never waits. Thread safety:
 * any thread. */
COIR__CHECKED int coir_pool_open(const coir_pool_opts *opts, coir_pool **ret_pool);

/* Closes a pool and frees it; NULL is accepted. Tasks that wait get -COIR_ECLOSED, openings are
 * cancelled, unused connections closed, and those in use awaited. When the task is cancelled, or
 * its deadline passes, it awaits nothing more: what is in use then is closed when it is released.
 * Cancel safety: always closes. Thread safety: the loop's thread, in a task. */
COIR__PUBLIC void coir_pool_close(coir_pool *pool);

COIR_CLOSER(coir_pool, coir_pool_close);

/* Acquires a connection: the one of its key that was used last, if it is good, else the first good
 * one that is released or opened. An opening that has begun goes on when who asked for it is served
 * otherwise, or cancelled: what comes of it is for the next.
 * Returns 0, and writes *ret_pooled, to be given to coir_pool_release, _retire or _discard. Errors:
 * what open gave (-ETIMEDOUT for -ETIME), -EAGAIN when opts.waiting tasks wait for a place already,
 * -COIR_ECLOSED when the pool is closed meanwhile, -EINVAL, -ENOMEM, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing was acquired, and no connection is
 * lost. Thread safety: the loop's thread. */
COIR__CHECKED int coir_pool_acquire(coir_pool *pool, const char *key, coir_pooled **ret_pooled);

/* Gives a connection back whose exchange is complete: nothing is under way on it. NULL is accepted.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_pool_release(coir_pooled *pooled);

/* Gives a connection back whose exchange is complete, and that nobody may use again: it is closed
 * in peace, as one is that nobody has used for too long. NULL is accepted. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_pool_retire(coir_pooled *pooled);

/* Gives a connection back in the midst of an exchange: it is closed abruptly. NULL is accepted.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_pool_discard(coir_pooled *pooled);

COIR_CLOSER(coir_pooled, coir_pool_discard);

/* What a pool does and did. */
typedef struct coir_pool_stats {
    size_t open, idle, used; /* connections: all but those being closed, unused, acquired */
    size_t opening;          /* that are being opened */
    size_t waiting;          /* tasks */
    uint64_t acquired, reused, opened;
    uint64_t failed;    /* openings */
    uint64_t discarded; /* by coir_pool_discard */
    uint64_t retired;   /* by coir_pool_retire; unused for too long, worn out, no longer good, or in
                           another's way */
    uint64_t coir__reserved[4];
} coir_pool_stats;

/* Writes what pool does and did. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_pool_stats_get(const coir_pool *pool, coir_pool_stats *ret_stats);

COIR__END
#endif
