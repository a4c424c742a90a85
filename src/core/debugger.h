/* debugger.h: how the core knows of debug mode, and how calls from the wrong thread are refused.
 *
 * The room debug is linked in by one table, as backends are. Everything here is a test of a flag
 * with debug mode off, or lies on ways that end in an error. Included by core.h, after the loop's
 * record.
 */
#ifndef COIR_CORE_DEBUGGER_H
#define COIR_CORE_DEBUGGER_H

#define COIR__DEBUG_RESERVE ((size_t)512) /* bytes below a record that are debug mode's */

/* What debug mode wants to know, called only while COIR__SLOW_DEBUG is set, if nothing else is
 * said. A step is what runs between two waits: of a task, or of the loop itself. */
struct coir__debugger {
    int (*set)(struct coir_loop *loop, bool on); /* at any time; 0 or a negative errno */
    void (*attach)(struct coir_loop *loop);      /* a run begins on this thread */
    void (*detach)(struct coir_loop *loop);
    void (*idle)(struct coir_loop *loop, bool begins); /* around the loop's wait for the kernel */
    int (*born)(struct coir_task *task); /* before it is switched to; 0, for a tail call */
    /* It is about to switch away from the function with this frame, whose caller's stack ends at
     * end: what lies below has been left. Whose the next step is, is told when that ends. */
    void (*left)(struct coir_task *task, const void *frame, const void *end);
    void (*entered)(struct coir_task *task); /* the loop is about to switch to it */
    void (*ended)(struct coir_task *task);   /* its function has returned; the last of its steps */
    /* A lock, known by *id (0: not yet): somebody is going to wait for it, has it, or lets go. */
    void (*lock_wanted)(struct coir_task *task, uint64_t *id);
    void (*lock_taken)(struct coir_task *task, uint64_t *id);
    void (*lock_left)(struct coir_task *task, uint64_t id);
    /* A call came from a thread that does not run owner (NULL: not known), the loop of its object;
     * about: the object, or NULL. From any thread. */
    void (*misplaced)(const struct coir_loop *owner, const struct coir_scope *about);
    /* Whether a thread runs loop, which may be gone. From any thread. */
    bool (*runs)(const struct coir_loop *loop);
    /* Prints all tasks and where they wait; in any mode, on the loop's thread. */
    void (*dump)(struct coir_loop *loop, int fd);
    /* Prints where the loop's thread was interrupted, from a signal handler, if it is known to be
     * stuck, or anyway. Returns whether it did; in any mode. */
    bool (*dump_here)(struct coir_loop *loop, int fd, const void *ucontext, bool anyway);
};
extern const struct coir__debugger coir__debugger;

/* Whether debug mode wants to know of what loop does. */
static inline bool coir__debugs(const struct coir_loop *loop)
{
    return coir__unlikely((loop->slow & COIR__SLOW_DEBUG) != 0);
}

/* ---- calls from the wrong thread (park.c) ---- */

/* How many loops of the process are in debug mode. */
extern atomic_int coir__debugging __attribute__((visibility("hidden")));

static inline bool coir__any_debugs(void)
{
    return atomic_load_explicit(&coir__debugging, memory_order_relaxed) > 0;
}

/* Tells debug mode of a call from a thread that does not run owner, the loop of its object (NULL:
 * not known). Returns code. */
__attribute__((cold)) int coir__misplaced(const struct coir_loop *owner,
                                          const struct coir_scope *about, int code);

/* Gives result, after which something seems to follow: so what came before is a call and no jump,
 * and the function that made it is on the stack. */
static inline __attribute__((always_inline)) int coir__stay(int result)
{
    __asm__ volatile("" : "+r"(result));
    return result;
}

/* The same as coir__misplaced, for the function that is to be found on the stack. */
static inline __attribute__((always_inline)) int coir__refuse(const struct coir_loop *owner,
                                                              const struct coir_scope *about,
                                                              int code)
{
    int r = coir__stay(coir__misplaced(owner, about, code));
    if (r >= 0)
        __builtin_unreachable(); /* so the usual ways need to keep nothing over this call */
    return r;
}

__attribute__((cold)) bool coir__runs_elsewhere(const struct coir_loop *loop,
                                                const struct coir_scope *about);

/* For calls that check nothing else, because a loop between two runs may be called too, and an
 * object closed after its loop: whether another thread runs loop, which may be gone, as far as
 * debug mode knows. It is told. */
static inline __attribute__((always_inline)) bool coir__elsewhere(const struct coir_loop *loop,
                                                                  const struct coir_scope *about)
{
    if (coir__likely(!coir__any_debugs()) || coir__loop == loop ||
        !coir__runs_elsewhere(loop, about))
        return false;
    __asm__ volatile("");
    return true;
}

#endif
