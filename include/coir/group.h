/* coir/group.h: groups own tasks, and gather and map run many at once.
 *
 * COIR_GROUP(g) opens a group at its declaration; leaving the block cancels and joins its children,
 * on every path. It is also a scope of the body: when a child fails, its siblings and the body are
 * cancelled, and coir_group_finish or coir_group_wait hand out the cause. Declare a group after
 * what its children use.
 */
#ifndef COIR_GROUP_H
#define COIR_GROUP_H

#include <coir/task.h>

COIR__BEGIN

/* What the end of one child means for the others. */
typedef enum coir_policy {
    COIR_FAIL_FAST, /* the first failure cancels the rest and the body */
    COIR_COLLECT,   /* failures are kept, nobody is cancelled */
    COIR_ANY,       /* the first success cancels the rest and the body */
    COIR_REPORT,    /* failures are reported at once and not kept, nobody is cancelled: servers */
} coir_policy;

/* A group in memory of the caller; private fields. */
struct coir_group {
    coir_scope coir__scope;
    struct coir_loop *coir__loop;
    struct coir_task *coir__waiter; /* the task in coir_group_wait */
    struct coir_task *coir__joiner; /* the task that leaves, finishes or closes it */
    struct coir_error *coir__errors;
    size_t coir__running, coir__failures;
    size_t coir__unread; /* failures that nobody has looked at */
    int coir__code;      /* of the first failure */
    uint8_t coir__policy;
    bool coir__open, coir__won, coir__lost; /* of COIR_ANY: one succeeded; one did not */
    bool coir__attentive; /* the end of a child may change something: see coir__group_settled */
    struct coir__deferrals *coir__deferred; /* children that are not started yet */
    void *coir__reserved[2];
};

#define COIR__GROUP(name, policy)                                                                  \
    __attribute__((cleanup(coir__group_leave))) coir_group name = COIR__ZERO;                      \
    __attribute__((unused)) coir_group *COIR__UNIQUE(coir__opened_) =                              \
        coir__group_enter(&name, (policy), COIR_SITE(#name))

/* Opens a group named name to the end of the block, where its children are cancelled and joined.
 * They may use everything that was declared before it. COIR_GROUP fails fast, the others have the
 * policies COIR_COLLECT and COIR_ANY. */
#define COIR_GROUP(name) COIR__GROUP(name, COIR_FAIL_FAST)
#define COIR_GROUP_COLLECT(name) COIR__GROUP(name, COIR_COLLECT)
#define COIR_GROUP_ANY(name) COIR__GROUP(name, COIR_ANY)

COIR__PUBLIC coir_group *coir__group_enter(coir_group *group, coir_policy policy,
                                           const coir_site *site);
COIR__PUBLIC void coir__group_leave(coir_group *group);

/* Opens a group inside an object: its children are bounded by no scope of the caller's, only by the
 * loop's end. The object must close it. Returns 0. Errors: -COIR_ENOTASK when no loop runs here.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
#define coir_group_init(group, policy) coir_group_init_at((group), (policy), COIR_SITE(#group))
COIR__CHECKED int coir_group_init_at(coir_group *group, coir_policy policy, const coir_site *site);

/* Cancels and joins the children of an object's group and ends it. Zeroed and closed groups are
 * accepted. From one of its own children it is -EDEADLK. Returns 0, or the group's first failure.
 * Errors: -EDEADLK. Cancel safety: joins whatever happens, its children use the object's memory.
 * Thread safety: the loop's thread. */
#define coir_group_close(group) coir_group_close_at((group), COIR_SITE(NULL))
COIR__PUBLIC int coir_group_close_at(coir_group *group, const coir_site *site);

/* Waits until every child has ended by itself. With COIR_FAIL_FAST a failure cancels the others
 * first; the failure is the call's. With COIR_ANY it is 0 when one succeeded. With COIR_COLLECT it
 * is 0: ask coir_group_failures or coir_group_errors, or the failures are reported when the group
 * ends. Children that were cancelled are no failures. The group can be used again afterwards unless
 * it was cancelled. Returns 0, or the group's first failure. Errors: -ECANCELED, -ETIME from
 * outside, -EBUSY when another task waits for it, -EDEADLK in one of its children, -COIR_ECLOSED
 * when the group ends meanwhile. Cancel safety: the children go on. Thread safety: the loop's
 * thread. */
#define coir_group_wait(group) coir_group_wait_at((group), COIR_SITE(NULL))
COIR__CHECKED int coir_group_wait_at(coir_group *group, const coir_site *site);

/* Cancels the children that run, joins them, and hands out the real cause: a child's failure where
 * the body's result is only the cancellation that followed from it, else the body's result, with
 * the children's failures attached to its record. The way to end a body: return
 * coir_group_finish(&g, r). Returns the cause, or result when nothing failed. Cancel safety: joins
 * whatever happens. Thread safety: the task that opened the group. */
#define coir_group_finish(group, result) coir_group_finish_at((group), (result), COIR_SITE(NULL))
COIR__CHECKED int coir_group_finish_at(coir_group *group, int result, const coir_site *site);

/* Cancels the children and, for COIR_GROUP, the body. Not a failure. reason is copied, may be NULL.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_group_cancel(coir_group *group, const char *reason);

/* How many children run. Returns the number. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC size_t coir_group_running(const coir_group *group);

/* How many children have failed. Asking counts as reading their failures. Returns the number.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_group_failures(coir_group *group);

/* The records of the failed children, first failure first; coir_error_next goes on. Borrowed until
 * the group ends. Returns NULL when none failed (or their records ran out). Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__PUBLIC const coir_error *coir_group_errors(coir_group *group);

/* One call of coir_gather: fn(arg), and its result when gather has returned. */
typedef struct coir_call {
    coir_fn fn;
    void *arg;
    int result; /* -COIR_ECANCELEDTASK for those that a failure cancelled */
} coir_call;

/* Runs count unlike functions at once, each in a task of its own, and returns when all have ended;
 * calls[i].result belongs to calls[i]. COIR_COLLECT keeps going after failures and returns 0;
 * COIR_ANY returns 0 at the first success. Returns 0. Errors: with COIR_FAIL_FAST the first
 * failure, with COIR_ANY when all failed; -EINVAL for a call without a function, -ECANCELED,
 * -ETIME, -ENOMEM. Cancel safety: the children are cancelled and joined. Thread safety: the loop's
 * thread. */
#define coir_gather(calls, count, policy)                                                          \
    coir_gather_at((calls), (count), (policy), COIR_SITE("gather"))
COIR__CHECKED int coir_gather_at(coir_call *calls, size_t count, coir_policy policy,
                                 const coir_site *site);

/* Zero means the default for each field. */
typedef struct coir_map_opts {
    size_t limit;       /* how many run at once; 0: all */
    coir_policy policy; /* COIR_FAIL_FAST */
    int *results;       /* results[i] is written for item i when its call has ended; may be NULL */
    size_t stack_size;  /* as in coir_spawn_opts */
    size_t coir__reserved[4];
} coir_map_opts;

/* Runs fn(item) for each of count items of size bytes at items, each in a task of its own, at most
 * opts->limit at once. Returns 0. Errors: as coir_gather. Cancel safety: the children are cancelled
 * and joined. Thread safety: the loop's thread. */
#define coir_map(fn, items, count, size, opts)                                                     \
    coir_map_at((fn), (items), (count), (size), (opts), COIR_SITE(#fn))
COIR__CHECKED int coir_map_at(coir_fn fn, void *items, size_t count, size_t size,
                              const coir_map_opts *opts, const coir_site *site);

COIR__END
#endif
