/* core.h: the inside of the scheduler, for core and the rooms that may see it (sync, io, debug,
 * testing).
 *
 * Owns the task record, the loop record, the ready queue, parking and waking. The hot path is here
 * as inline functions, because a park that ends in a tail call of coir__switch costs no
 * mispredicted return.
 *
 * The rules that all of it keeps:
 * - Everything of a loop is touched by its thread only, but for the inbox (post.c).
 * - A task is in exactly one state: running (loop->current), ready (in the queue), parked
 *   (task->wait is set) or done.
 * - A suspending call first asks coir__enter(): a pending cancellation is reported before anything
 *   happens.
 * - Whoever ends a wait unlinks the waiter, stores the result and calls coir__wake(); what was
 *   finished wins over a cancellation that comes later, since a woken task is no longer parked.
 */
#ifndef COIR_CORE_CORE_H
#define COIR_CORE_CORE_H

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <coir/group.h>
#include <coir/loop.h>
#include <coir/wait.h>

#include "core/op.h"

#define coir__likely(x) __builtin_expect(!!(x), 1)
#define coir__unlikely(x) __builtin_expect(!!(x), 0)
#define coir__container(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

struct coir__backend;
struct coir__file;

/* ---- contexts ---- */

/* What is kept of a context that does not run. The offsets are known to switch_*.S. */
struct coir__context {
    void *sp;
    int result; /* what coir__switch returns there when it is resumed */
};

/* ---- the ready queue: tasks (run == NULL) and callbacks, first in first out ---- */

struct coir__ready {
    struct coir__ready *next;
    void (*run)(struct coir__ready *ready); /* NULL: a task; else called on the loop's stack */
};

/* ---- waiting ---- */

/* A kind of waiting: static, one for each reason to park. It feeds dumps, deadlock reports and
 * cancellation. */
struct coir__wait {
    const char *verb; /* "waits for lock" */
    /* Withdraws the wait of a parked task. True: done, the caller wakes the task. False: not
     * possible at once, the wait's own completion wakes it later. NULL: this wait cannot be
     * interrupted. */
    bool (*abort)(struct coir_task *task);
    /* Writes what follows the verb, as snprintf; NULL: nothing. */
    size_t (*describe)(const struct coir_task *task, char *text, size_t size);
};

/* ---- tasks ---- */

enum coir__scope_kind {
    COIR__SCOPE_ROOT = 1,
    COIR__SCOPE_TASK, /* coir_task.own; coir__owner is the task */
    COIR__SCOPE_GROUP,
    COIR__SCOPE_BLOCK,
};

enum coir__shield_state { COIR__SHIELD_NONE, COIR__SHIELD_UP, COIR__SHIELD_DOWN };

enum coir__task_flag {
    COIR__TASK_HANDLE = 1 << 0, /* the user holds a handle that was not joined */
    COIR__TASK_DONE = 1 << 1,
    COIR__TASK_OWN_GROUP = 1 << 2,  /* own_group is open */
    COIR__TASK_READ = 1 << 4,       /* somebody looked at its result */
    COIR__TASK_NAMED = 1 << 5,      /* name is set; else the spawn site's text is the name */
    COIR__TASK_READY = 1 << 6,      /* it has said coir_ready() */
    COIR__TASK_WATCHED = 1 << 7,    /* starter, watchers or on_done may be set */
    COIR__TASK_UNREAD = 1 << 9,     /* its failure is one of its group's coir__unread */
    COIR__TASK_BELONGINGS = 1 << 8, /* drop_belongings may have something to do */
    COIR__TASK_DEBUGGED = 1 << 10, /* debug mode keeps COIR__DEBUG_RESERVE bytes below the record */
};

#define COIR__NAME_SIZE 32 /* of a task's name, terminator included */

/* A task's record, at the top of the task's own stack. A task that ends leaves it as it found it:
 * no timer, wait, joiner, watcher, error…; so a spawn on a cached stack only writes what differs.
 * The order of the fields keeps what is used together in few cache lines. */
struct coir_task {
    struct coir__context context;
    struct coir__ready ready;
    struct coir_loop *loop;
    int pending; /* what every suspending call reports; a copy of scope->coir__effective */
    int result;
    uint32_t flags;
    uint32_t stack_class;
    struct coir_group *group; /* owner */

    /* a cache line: its start and its join */
    struct coir_task *joiner; /* the task in coir_join for this one */
    int *join_into;           /* where the joiner wants the result, or NULL */
    coir_fn fn;
    void *arg;
    struct coir_scope *scope; /* innermost */
    const coir_site *site;    /* where it was spawned */
    uint64_t id;
    coir_time born;

    struct coir_scope own; /* outermost scope of its code, child of the group's */

    /* a cache line: what a sleep and its end touch */
    const struct coir__wait *wait; /* parked for; NULL: not parked */
    const void *wait_object;
    coir_time wait_since;
    coir_timer timer; /* for sleeps */

    const void *wait_data;          /* more about the wait, by kind */
    struct coir__waiter waiter;     /* for single waits */
    struct coir__waitlist watchers; /* coir_wait_*, select */
    struct coir__done *on_done;     /* callbacks */
    struct coir__value *locals;
    struct coir_error *error;    /* last failure seen */
    struct coir_task *starter;   /* of opts.ready: the task that waits for coir_ready() */
    uint32_t ignored;            /* cancellations reported in a row */
    struct coir_group own_group; /* valid when COIR__TASK_OWN_GROUP */
    char name[COIR__NAME_SIZE];
    char *stack_low; /* where the guard begins */
    struct coir__writing writing;
    void *fiber; /* of TSan */
    void *fake;  /* of ASan */
};

/* ---- the loop ---- */

/* Reasons why parking and spawning take the long way; none in production. */
enum coir__slow {
    COIR__SLOW_SEED = 1 << 0,
    COIR__SLOW_FP = 1 << 1,
    COIR__SLOW_HOOK = 1 << 2,  /* park_hook is set (torture) */
    COIR__SLOW_DEBUG = 1 << 3, /* debug mode: coir__debugger is told of every step */
};

#define COIR__BUDGET 256  /* switches per turn, then I/O and timers are looked at */
#define COIR__CHARGES 128 /* operations that did not wait per turn, then the task yields */

#define COIR__STACK_SIZE ((size_t)256 << 10) /* of tasks, unless asked otherwise */
#define COIR__STACK_CLASSES 6                /* 64 KiB, 256 KiB, 1, 4, 16, 64 MiB */

struct coir__stacks;
struct coir__timers;
struct coir__callbacks;
struct coir__errors;
struct coir__debug;

#define COIR__PIPES_KEPT 8

struct coir_loop {
    struct coir__context context; /* the thread's own stack, while a task runs */
    struct coir_task *current;
    struct coir__ready *ready_first;
    struct coir__ready **ready_last; /* where the next one is linked */
    int budget, charges;
    int hooked_charges; /* what is left of them while charges is kept at 1 for the park hook */
    uint32_t slow;      /* enum coir__slow */
    coir_time now;      /* of this turn */
    struct coir__timers *timers;
    struct coir__stacks *stacks;
    /* Records of cached stacks by class, linked by their ready nodes, the one given last first. The
     * last list is always empty: with it for quick_class each spawn takes the long way. */
    struct coir__ready *stack_free[COIR__STACK_CLASSES + 1];
    struct coir_scope root;       /* every scope of the loop is below it */
    struct coir_group background; /* owns the tasks of coir_loop_spawn and main */
    struct coir__callbacks *callbacks;
    struct coir__errors *errors;
    const struct coir__backend *backend;
    void *backend_state;
    void *buffers; /* that are kept, each holds the address of the next one (memory.c) */
    int buffers_kept;
    int pipes_kept; /* empty ones, for the kernel to move bytes through (pipe.c) */
    int pipes[COIR__PIPES_KEPT][2];
    char backend_why[256];
    _Atomic(coir_post_node *) inbox;
    uint64_t operations;  /* under way in the backend */
    uint64_t outside;     /* of them, in the simulation: on what the machine has, in real time */
    uint64_t deferred;    /* tasks that are not started yet */
    uint64_t hopes;       /* signal waits, jobs, and whatever else can wake it from outside */
    uint64_t vague_hopes; /* waits in channels that other threads may use, or may not */
    uint64_t descriptors, tasks, tasks_total, handles, callbacks_live, turns, reports, next_id;
    coir_loop_opts opts;
    uint64_t random; /* state of the seeded order */
    /* Called at each entry of a suspending call; may cancel, or give the code to return. */
    int (*park_hook)(struct coir_task *task, void *arg);
    void *park_hook_arg;
    bool running, stop, forever, expects_posts, deadlocked;
    unsigned stack_class; /* of tasks that ask for no size */
    unsigned
        quick_class; /* the same, or COIR__STACK_CLASSES while debug mode wants to see spawns */
    uint64_t jobs;   /* work elsewhere that has not come back (away.c) */
    uint64_t jobs_total;
    struct coir__away *returned; /* what came back and is held, in the order of leaving (away.c) */
    /* Threads that wake it, which they do after what they posted may have been called: it is not
     * freed under their feet. */
    atomic_uint wakers;
    unsigned busy_turns; /* in a row, while something was held */
    /* Of a test that was made to fail: how long the kernel may be silent, in real time, before what
     * it works on counts as never coming. 0: for ever. */
    coir_time patience;
    coir_time silence;          /* for how long it has been */
    uint64_t silent_operations; /* what was under way then */
    struct coir_task *done;     /* the run is until this one has ended */
    void *thread_fiber;         /* of TSan: the thread's own */
    void *dead_fiber; /* of TSan: of the task that ended last, destroyed by who runs next */
    void *fake;       /* of ASan */
    const void *thread_stack;
    size_t thread_stack_size;
    /* In the simulation: what becomes of each hundred datagrams on the way, as a seed decides, and
     * how many descriptors there may be; 0: any number. */
    struct {
        unsigned lost, doubled, late;
        uint64_t descriptors;
    } mishaps;
    struct coir_error *error;  /* last failure outside tasks */
    struct coir__debug *debug; /* NULL: debug mode is off */
    void *resolver;            /* of host names (net/name.c); NULL: the system's */
};

/* The loop that runs on this thread. */
extern _Thread_local struct coir_loop *coir__loop __attribute__((tls_model("initial-exec")));

#include "core/debugger.h"

/* ---- switching (switch.c, switch_*.S) ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COIR__SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COIR__SANITIZED 1
#endif
#endif

/* Saves the running context in from and resumes to; returns from->result when from is resumed.
 * Sanitizers are told of it. */
#ifdef COIR__SANITIZED
int coir__switch(struct coir__context *from, struct coir__context *to);
#else
#define coir__switch coir__switch_raw
#endif
int coir__switch_raw(struct coir__context *from, struct coir__context *to);
/* As coir__switch, and keeps the floating-point control words of the context. */
int coir__switch_fp(struct coir__context *from, struct coir__context *to);
/* Leaves the running context for good; its stack may be reused from now on. */
#ifdef COIR__SANITIZED
_Noreturn void coir__switch_final(struct coir_task *from, struct coir__context *to);
#else
#define coir__switch_final(from, to) coir__switch_to_raw(to)
#endif
_Noreturn void coir__switch_to_raw(struct coir__context *to);
/* Makes the context of a new task: it begins in coir__task_main(task) on the stack below top. */
#if defined(__x86_64__) && !defined(COIR__SANITIZED)
void coir__task_entry(void);
static inline void coir__context_make(struct coir_task *task, char *top)
{
    void **sp = (void **)(void *)top - 7; /* what coir__switch_raw pops; top is aligned */
    sp[0] = (void *)(uintptr_t)coir__task_entry;
    sp[5] = task; /* rbx */
    sp[6] = NULL; /* rbp: frame-pointer walks end here */
    task->context.sp = sp;
}
#else
void coir__context_make(struct coir_task *task, char *top);
#endif
/* First thing on a new task's stack. */
#ifdef COIR__SANITIZED
void coir__context_entered(struct coir_task *task);
#else
#define coir__context_entered(task) ((void)(task))
#endif
/* Around a run of the loop on its thread's stack. */
void coir__context_thread(struct coir_loop *loop);
/* Sets the floating-point control words that tasks of a loop with fp_control start with. */
void coir__context_default_fp(void);
_Noreturn void coir__task_main(struct coir_task *task);

/* ---- parking (park.c) ---- */

int coir__park_slow(struct coir_task *task);
int coir__look_slow(struct coir_task *task);
int coir__charge_slow(struct coir_task *task, int result);
int coir__enter_slow(struct coir_task *task);
int coir__yield_slow(struct coir_task *task);

/* Links a task or callback at the end of the ready queue. */
static inline void coir__ready_push(struct coir_loop *loop, struct coir__ready *ready)
{
    ready->next = NULL;
    *loop->ready_last = ready;
    loop->ready_last = &ready->next;
}

static inline struct coir__ready *coir__ready_pop(struct coir_loop *loop)
{
    struct coir__ready *ready = loop->ready_first;
    loop->ready_first = ready->next;
    if (loop->ready_first == NULL)
        loop->ready_last = &loop->ready_first;
    return ready;
}

/* The context that runs next: the first ready task while the turn's budget lasts, else the loop. */
static inline struct coir__context *coir__next(struct coir_loop *loop)
{
    struct coir__ready *ready = loop->ready_first;
    if (coir__likely(ready != NULL && ready->run == NULL && --loop->budget > 0)) {
        (void)coir__ready_pop(loop);
        struct coir_task *task = coir__container(ready, struct coir_task, ready);
        loop->current = task;
        return &task->context;
    }
    loop->current = NULL;
    return &loop->context;
}

/* The running task of this thread, or NULL. */
static inline struct coir_task *coir__self(void)
{
    return coir__loop != NULL ? coir__loop->current : NULL;
}

/* What a suspending call asks first. 0: go on; else the code to return (nothing has happened).
 * Takes one charge, and yields when the turn's are used up, so that a task whose calls never wait
 * cannot starve the others. */
static inline int coir__enter(struct coir_task *self)
{
    if (coir__unlikely(self == NULL))
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    struct coir_loop *loop = self->loop;
    if (coir__unlikely(self->pending != 0 || --loop->charges <= 0))
        return coir__enter_slow(self);
    return 0;
}

/* As coir__enter, without the yield: for calls on objects that another task may close and free
 * meanwhile. They end with coir__charge when they did not wait. owner: the object's loop, or NULL.
 */
static inline int coir__look_at(struct coir_task *self, const struct coir_loop *owner)
{
    if (coir__unlikely(self == NULL))
        return coir__refuse(owner, NULL, -COIR_ENOTASK);
    if (coir__unlikely(self->pending != 0 || self->loop->slow != 0))
        return coir__look_slow(self);
    return 0;
}

static inline int coir__look(struct coir_task *self)
{
    return coir__look_at(self, NULL);
}

/* Takes one charge for a call that has finished without waiting, and gives its result; yields first
 * when the turn's are used up. Tail-call it: no object of the call is touched any more. */
static inline int coir__charge(struct coir_task *self, int result)
{
    if (coir__unlikely(--self->loop->charges <= 0))
        return coir__charge_slow(self, result);
    return result;
}

/* What a task's code means to others: those of its scopes have none outside. */
static inline int coir__translate(int result)
{
    if (result == -ECANCELED)
        return -COIR_ECANCELEDTASK;
    return result == -ETIME ? -ETIMEDOUT : result;
}

/* Parks the running task. Ends in coir__switch: return its value directly, so that it is a tail
 * call. Returns what coir__wake was given, or the pending code after an abort. */
static inline int coir__park(struct coir_task *self, const struct coir__wait *wait,
                             const void *object)
{
    struct coir_loop *loop = self->loop;
    self->wait = wait;
    self->wait_object = object;
    self->wait_since = loop->now;
    if (coir__unlikely(loop->slow != 0))
        return coir__park_slow(self);
    return coir__switch(&self->context, coir__next(loop));
}

/* Makes a parked task ready; the call that parked returns result. */
static inline void coir__wake(struct coir_task *task, int result)
{
    assert(task->wait != NULL);
    task->wait = NULL;
    task->context.result = result;
    coir__ready_push(task->loop, &task->ready);
}

/* ---- waitlists ---- */

static inline void coir__waiter_link(struct coir__waitlist *list, struct coir__waiter *waiter)
{
    waiter->list = list;
    waiter->next = NULL;
    waiter->previous = list->last;
    if (list->last != NULL)
        list->last->next = waiter;
    else
        list->first = waiter;
    list->last = waiter;
}

static inline void coir__waiter_unlink(struct coir__waiter *waiter)
{
    struct coir__waitlist *list = waiter->list;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    else
        list->last = waiter->previous;
    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        list->first = waiter->next;
    waiter->list = NULL;
}

/* Ends the wait of a linked waiter: unlinks it, and wakes its task with result or settles its case.
 */
static inline void coir__waiter_wake(struct coir__waiter *waiter, int result)
{
    coir__waiter_unlink(waiter);
    if (waiter->fire != NULL)
        waiter->fire(waiter, result);
    else
        coir__wake(waiter->task, result);
}

/* Parks the running task in list, through the waiter of its record; slot is left for whoever wakes
 * it. Tail-call it. wait->abort is usually coir__abort_waiter. */
static inline int coir__wait_in(struct coir_task *self, struct coir__waitlist *list,
                                const struct coir__wait *wait, const void *object, void *slot)
{
    self->waiter.task = self;
    self->waiter.slot = slot;
    coir__waiter_link(list, &self->waiter);
    return coir__park(self, wait, object);
}

/* The abort function of waits in a waitlist by the record's waiter: unlinks it. */
bool coir__abort_waiter(struct coir_task *task);

/* Parks the running task so that no cancellation ends the wait (joins, memory that the kernel
 * owns). wait->abort must be NULL. Pending cancellations are not looked at. */
int coir__park_uninterruptibly(struct coir_task *self, const struct coir__wait *wait,
                               const void *object);

/* ---- the waitable interface: what coir_select can wait for (tables are named by the COIR_ON_…
 * macros) ---- */

struct coir_case;
struct coir__waitable {
    const char *verb;
    /* 1: the case is settled now and its value taken; 0: not ready; negative: an error of the case.
     */
    int (*attempt)(struct coir_case *wanted);
    /* Arranges that the case's waiter fires once when it can be settled; whoever fires it has
     * delivered the value. */
    int (*begin)(struct coir_case *wanted);
    /* Withdraws begin, when another case won. Must succeed at once. */
    void (*withdraw)(struct coir_case *wanted);
    /* Writes what follows the verb, as snprintf; NULL: nothing. */
    size_t (*describe)(const struct coir_case *wanted, char *text, size_t size);
};

/* ---- scopes (scope.c) ---- */

static inline void coir__scope_link(struct coir_scope *parent, struct coir_scope *scope)
{
    struct coir_scope *last = parent->coir__last;
    scope->coir__parent = parent;
    scope->coir__next = NULL;
    scope->coir__previous = last;
    *(last != NULL ? &last->coir__next : &parent->coir__first) = scope;
    parent->coir__last = scope;
}

static inline void coir__scope_unlink(struct coir_scope *scope)
{
    struct coir_scope *parent = scope->coir__parent;
    struct coir_scope *next = scope->coir__next, *previous = scope->coir__previous;
    *(next != NULL ? &next->coir__previous : &parent->coir__last) = previous;
    *(previous != NULL ? &previous->coir__next : &parent->coir__first) = next;
    scope->coir__parent = NULL;
}

/* Cancels scope for cause (taken over, may be NULL). */
void coir__scope_cancel(struct coir_scope *scope, struct coir_error *cause);
/* Lets scope expire now, of whatever kind it is (torture). */
void coir__scope_expire(struct coir_scope *scope);
/* Gives a task the state of its innermost scope, and wakes it when it waits. */
void coir__task_notify(struct coir_task *task, int code);
/* The next scope of the tree below root, parents first; NULL at the end. Start with root. */
struct coir_scope *coir__scope_next(struct coir_scope *root, struct coir_scope *scope);

/* ---- tasks and groups (task.c, group.c) ---- */

int coir__spawn(struct coir_loop *loop, struct coir_group *group, coir_fn fn, void *arg,
                size_t stack_size, const coir_site *site, struct coir_task **ret_task);
void coir__task_release(struct coir_task *task);

/* The group that a spawn asks for: NULL is the caller's own, which refuses arg on its stack. */
int coir__group_resolve(struct coir_group *group, const void *arg, struct coir_group **ret_group);

/* ---- tasks that are not there yet (deferred.c) ---- */

/* Why the wait of one is to end. */
enum coir__deferred_end {
    COIR__DEFERRED_CANCELLED, /* its group was, or has expired */
    COIR__DEFERRED_LATE,      /* it has waited as long as it may */
    COIR__DEFERRED_AGAIN,     /* it is ending, and could not be started before */
};

/* A task that is started when something happens, in memory of whoever waits for that. It counts as
 * a child of its group from the beginning, but has no stack. */
struct coir__deferred {
    struct coir__deferred *next, *previous; /* of its kind */
    struct coir__deferrals *kind;
    void *arg;
    coir_time until; /* its time is over; negative: it is ending */
};

/* What those of a group have in common that are started in the same way. */
struct coir__deferrals {
    struct coir__deferrals *next, *previous; /* of the group's */
    struct coir__deferred *first, *last;     /* in the order of their times */
    struct coir__deferred *ending;           /* in no order */
    struct coir_group *group;
    coir_fn fn;
    const coir_site *site;
    coir_time limit; /* how long each waits */
    coir_time retry; /* when those that could not be started are tried again; 0: there are none */
    coir_timer timer;
    /* Its task is to be started now, or as soon as what was begun for it can be ended. */
    void (*end)(struct coir__deferred *deferred, enum coir__deferred_end why);
    uint8_t stack_class;
    bool held;   /* it is being gone through */
    char name[]; /* as coir_task_set_name cuts it; "": none */
};

/* Finds or makes the record of a kind as wanted, in which group, fn, site, limit, end and
 * stack_class are set; name may be NULL. Returns NULL without memory. */
struct coir__deferrals *coir__deferrals_get(const struct coir__deferrals *wanted, const char *name);
/* Gives it back if nobody needs it. */
void coir__deferrals_drop(struct coir__deferrals *kind);
/* Makes deferred a child of its group, from now on. */
void coir__defer(struct coir__deferred *deferred, struct coir__deferrals *kind, void *arg);
/* Starts the task; deferred is the caller's again. Returns NULL when there is no memory: it stays
 * deferred, and its end is called again a little later. */
struct coir_task *coir__deferred_start(struct coir__deferred *deferred);
/* What it does it with: a task that inherits no values, or NULL. */
struct coir_task *coir__spawn_deferred(struct coir_group *group, coir_fn fn, void *arg,
                                       unsigned stack_class, const coir_site *site);
/* Hurries all of a group. */
void coir__deferred_hurry(struct coir_group *group);

/* Links a waiter that is told of the task's end. */
static inline void coir__task_watch(struct coir_task *task, struct coir__waiter *waiter)
{
    task->flags |= COIR__TASK_WATCHED;
    coir__waiter_link(&task->watchers, waiter);
}

void coir__group_open(struct coir_group *group, struct coir_loop *loop, struct coir_scope *parent,
                      struct coir_task *owner, coir_policy policy, const coir_site *site);
void coir__join_failed(struct coir_task *task, struct coir_task *joiner, const coir_site *site);
void coir__group_child_failed(struct coir_group *group, struct coir_task *task);
void coir__group_settled(struct coir_group *group, struct coir_task *task);

/* A child has ended: a group that waits for that, or has seen a failure, takes a look. */
static inline void coir__group_child_ended(struct coir_group *group, struct coir_task *task)
{
    group->coir__running--;
    if (coir__unlikely(group->coir__attentive))
        coir__group_settled(group, task);
}

int coir__group_join(struct coir_group *group); /* uninterruptibly */
void coir__group_end(
    struct coir_group *group); /* releases handles and records, unlinks the scope */
void coir__locals_release(struct coir__value *locals);
void coir__locals_inherit(struct coir_task *child, struct coir_task *parent);
void coir__done_callbacks(struct coir_task *task);
void coir__done_detach(struct coir_task *task); /* its record goes away */

/* ---- timers (timer.c) ---- */

struct coir__timers *coir__timers_open(coir_time now);
void coir__timers_close(struct coir__timers *timers);
uint64_t coir__timers_live(const struct coir__timers *timers);
/* A time before which nothing expires: exact or earlier; COIR_FOREVER without timers. */
coir_time coir__timers_next(struct coir__timers *timers);
/* Calls what expired up to now, in order of time, then of starting. */
void coir__timers_expire(struct coir_loop *loop, coir_time now);

/* ---- stacks (stack.c) ---- */

struct coir__stacks *coir__stacks_open(void);
void coir__stacks_close(struct coir__stacks *stacks);
/* A task record on top of a stack that was never used; NULL: no memory, or no such class. */
struct coir_task *coir__stack_carve(struct coir_loop *loop, unsigned class_index);

/* The record of the cached stack that was given last; there is one. */
static inline struct coir_task *coir__stack_pop(struct coir_loop *loop, unsigned class_index)
{
    struct coir__ready *first = loop->stack_free[class_index];
    loop->stack_free[class_index] = first->next;
    return coir__container(first, struct coir_task, ready);
}

/* A task record on top of a stack of a class; NULL: no memory, or no such class. */
static inline struct coir_task *coir__stack_take(struct coir_loop *loop, unsigned class_index)
{
    if (coir__unlikely(class_index >= COIR__STACK_CLASSES || loop->stack_free[class_index] == NULL))
        return coir__stack_carve(loop, class_index);
    return coir__stack_pop(loop, class_index);
}

/* Gives a stack back to the cache, warm as it is. */
static inline void coir__stack_give(struct coir_loop *loop, struct coir_task *task)
{
    task->ready.next = loop->stack_free[task->stack_class];
    loop->stack_free[task->stack_class] = &task->ready;
}

void coir__stack_bounds(const struct coir_task *task, char **ret_low, char **ret_high);
/* The class of the smallest stacks with at least size bytes; COIR__STACK_CLASSES when there is
 * none. */
unsigned coir__stack_class(size_t size);
size_t coir__stack_limit(void);
const char *coir__stack_guards(void);
void coir__stack_watch_thread(void); /* installs the overflow handler for this thread */
void coir__stack_unwatch_thread(void);
void coir__stacks_count(const struct coir_loop *loop, uint64_t *ret_used, uint64_t *ret_cached);

/* ---- errors and reports (error.c, report.c) ---- */

struct coir__errors *coir__errors_open(void);
/* Of a positive code of the kernel's; NULL: it is none (errno.c). */
const char *coir__errno_name(int code);
const char *coir__errno_text(int code);
void coir__errors_close(struct coir__errors *errors);
uint64_t coir__errors_live(const struct coir__errors *errors);
/* A record with a text, or NULL when none is free. */
struct coir_error *coir__error_new(struct coir_loop *loop, int code, const char *format, ...)
    COIR__PRINTF(3, 4);
void coir__error_free(struct coir_loop *loop,
                      struct coir_error *error); /* the chain; NULL is accepted */
struct coir_error *coir__error_copy(struct coir_loop *loop,
                                    const struct coir_error *error); /* without what follows it */
struct coir_error *coir__error_copy_chain(struct coir_loop *loop, const struct coir_error *error);
struct coir_error *coir__error_next(struct coir_error *error);
/* Says where the task that it crossed from last was joined. */
void coir__error_joined_at(struct coir_error *error, const coir_site *site);
void coir__error_append(struct coir_error *chain, struct coir_error *more);
/* Notes that the failure crossed from task to joiner (NULL: the loop) at site. */
void coir__error_crossed(struct coir_error *error, const struct coir_task *task,
                         const struct coir_task *joiner, const coir_site *site);
/* Makes error (taken over) the last failure of task. */
void coir__error_give(struct coir_task *task, struct coir_error *error);
void coir__error_set_code(struct coir_error *error, int code);
/* The last part of a path: what reports call a source file. */
const char *coir__file_name(const char *path);
/* Sends a report to the loop's hook. */
void coir__report(struct coir_loop *loop, coir_report_kind kind, struct coir_task *task,
                  const struct coir_error *error, const char *format, ...) COIR__PRINTF(5, 6);
void coir__report_deadlock(struct coir_loop *loop);
/* One line about a task: name, what it waits for, age, where it was spawned; and without the wait;
 * and that at a time of its loop's clock, which can be asked from other threads. */
size_t coir__task_line(const struct coir_task *task, char *text, size_t size);
size_t coir__task_who(const struct coir_task *task, char *text, size_t size);
size_t coir__task_who_at(const struct coir_task *task, coir_time now, char *text, size_t size);
#define COIR__WHO 160 /* is enough for that */

/* ---- the loop (loop.c, post.c) ---- */

/* Told of each loop that was opened. Set by the test kit before there is one; NULL otherwise. */
extern void (*coir__loop_opened)(struct coir_loop *loop);

void coir__inbox_drain(struct coir_loop *loop);
bool coir__inbox_filled(const struct coir_loop *loop);
/* Around a wait in the backend: the next post wakes it. False: there is one already. */
bool coir__inbox_sleep(struct coir_loop *loop);
void coir__inbox_awake(struct coir_loop *loop);
/* From now on what is posted is refused. False: there is something in it, and nothing happened. */
bool coir__inbox_close_empty(struct coir_loop *loop);
void coir__inbox_close(struct coir_loop *loop); /* the same with a last drain, after refusing */
coir_time coir__clock(void);                    /* CLOCK_MONOTONIC */
coir_time coir__clock_of(const struct coir_loop *loop); /* now, on the loop's clock */
uint64_t coir__random(uint64_t *state);
void coir__callbacks_close(struct coir_loop *loop);
uint64_t coir__callbacks_timers(const struct coir_loop *loop); /* callbacks that wait in timers */
/* Gives loop, which may be half made, its backend, and backend_why the reasons. */
int coir__loop_open_backend(struct coir_loop *loop);
void coir__loop_set_slow(struct coir_loop *loop, uint32_t flag, bool on);
/* The options of a loop that is a whole program's (coir_main, coir_run): opts, which may be NULL,
 * and what they leave open. */
coir_loop_opts coir__program_opts(const coir_loop_opts *opts);

/* ---- work elsewhere (away.c): what another thread does while a task of this loop waits ---- */

/* Lies where the task waits, until it is back or was withdrawn. */
struct coir__away {
    struct coir__away *next;
    struct coir_loop *loop;
    uint64_t number;                       /* in the order of leaving */
    void (*back)(struct coir__away *away); /* called on the loop, when it is back */
    coir_post_node node;
};

/* Counts it in: while it is away time does not jump, and waiting for it is no deadlock. On the
 * loop's thread. */
void coir__away_begin(struct coir__away *away, struct coir_loop *loop,
                      void (*back)(struct coir__away *away));
/* One of them never left, or nobody waits for it any more. On the loop's thread. */
void coir__away_end(struct coir_loop *loop);
/* It is done: back is called soon. From any thread; away is not touched afterwards. */
void coir__away_return(struct coir__away *away);
/* Calls back one of those that the simulation holds, as the seed says. */
void coir__away_deliver(struct coir_loop *loop);

/* What a thread that works for a task waits for in a blocking call of the library. */
struct coir__blocked {
    void (*interrupt)(struct coir__blocked *blocked); /* the task wants out; from any thread */
};

/* Work that a thread does for a task of a loop. */
struct coir__errand {
    struct coir__away away;
    pthread_mutex_t *lock; /* guards blocked */
    struct coir__blocked *blocked;
    atomic_bool cancelled;
    /* Of the loop's thread: the job waits for the loop and is not counted; nor is it any more. */
    bool lent, forgotten;
    int said; /* the code that coir_fail was given last in the thread, and its text */
    char text[160];
};
extern _Thread_local struct coir__errand *coir__errand __attribute__((tls_model("initial-exec")));

/* Around a blocking call of a thread that works for a task; of others too, then they do nothing.
 * blocked is interrupted when the task is cancelled meanwhile. False: it is cancelled already, and
 * nothing was noted. */
bool coir__errand_block(struct coir__blocked *blocked);
void coir__errand_unblock(void);

/* ---- memory (memory.c): accounted, from the hook table ---- */

void *coir__alloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *coir__calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *coir__realloc(void *block, size_t size);
void coir__free(void *block);
uint64_t coir__memory_live(void);
/* Of a debugging program: told of memory that is about to be given back, of size bytes, and of what
 * happens to it. NULL otherwise. */
typedef void (*coir__ledger_fn)(const char *what, const void *memory, size_t size);
extern coir__ledger_fn coir__ledger; /* atomic: the first loop of a thread may set it */

static inline coir__ledger_fn coir__ledger_of(void)
{
    return __atomic_load_n(&coir__ledger, __ATOMIC_ACQUIRE);
}

static inline bool coir__has_ledger(void)
{
    return coir__ledger_of() != NULL;
}

/* Whether blocks come from malloc, so that their sizes are known. The test kit's table says so. */
extern bool coir__memory_is_malloc;
/* The loop's own memory: from the same place, left out of the count. */
void *coir__alloc_own(size_t size);
void coir__free_own(void *block);
/* Buffers for what has just arrived: the one that was given back last, which is in the processor's
 * cache, is taken first. take may return NULL: no memory. */
#define COIR__BUFFER_SIZE ((size_t)32 << 10)
void *coir__buffer_take(struct coir_loop *loop);
void coir__buffer_give(struct coir_loop *loop, void *buffer);
void coir__buffers_close(struct coir_loop *loop);

#endif
