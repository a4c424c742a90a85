/* misplaced.c: reports calls from a thread that does not run the loop of their object.
 *
 * The calls are refused where they come from, by code that comes here only on that way. A report
 * belongs to a loop: the caller's own, if that is in debug mode, is told at once; else the owner of
 * the object is told by a post, and if it is not known, some loop in debug mode. So a hook is
 * called by its loop's thread, as ever. Loops in debug mode are kept in a list under a lock: who
 * finds the owner there may touch it as long as the lock is held. Each line of a program is
 * reported once.
 */
#include <stdio.h>
#include <unistd.h>

#include "debug/debug.h"

#define TEXT 2600
#define LINES_MOST 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct coir__debug *first;
static _Atomic uintptr_t reported[LINES_MOST];

/* A report on its way to its loop. */
struct letter {
    coir_post_node node;
    struct coir_loop *loop;
    char text[TEXT];
};

/* ---- loops in debug mode ---- */

void coir__misplaced_join(struct coir__debug *debug)
{
    (void)pthread_mutex_lock(&lock);
    debug->next = first;
    first = debug;
    (void)atomic_fetch_add_explicit(&coir__debugging, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&lock);
}

void coir__misplaced_leave(struct coir__debug *debug)
{
    (void)pthread_mutex_lock(&lock);
    struct coir__debug **link = &first;
    while (*link != debug)
        link = &(*link)->next;
    *link = debug->next;
    (void)atomic_fetch_sub_explicit(&coir__debugging, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&lock);
}

void coir__misplaced_run(struct coir__debug *debug, bool begins)
{
    (void)pthread_mutex_lock(&lock);
    debug->runs_in = begins ? gettid() : 0;
    (void)pthread_getname_np(pthread_self(), debug->thread_name, sizeof debug->thread_name);
    (void)pthread_mutex_unlock(&lock);
}

static struct coir__debug *find(const struct coir_loop *loop)
{
    struct coir__debug *debug = first;
    while (debug != NULL && debug->loop != loop)
        debug = debug->next;
    return debug;
}

bool coir__misplaced_runs(const struct coir_loop *loop)
{
    (void)pthread_mutex_lock(&lock);
    const struct coir__debug *debug = find(loop);
    bool runs = debug != NULL && debug->runs_in != 0;
    (void)pthread_mutex_unlock(&lock);
    return runs;
}

/* ---- in words ---- */

static void describe_caller(char *text, size_t size)
{
    char name[16] = "", who[COIR__WHO + 8] = "";
    const struct coir_task *self = coir__self();
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    if (self != NULL) {
        (void)snprintf(who, sizeof who, "by task ");
        (void)coir__task_who(self, who + 8, sizeof who - 8);
    }
    (void)snprintf(text, size, "is called %s%sin thread %d '%s'%s", who, self != NULL ? " " : "",
                   gettid(), name, coir__loop == NULL ? ", which runs no loop" : "");
}

/* Now on the clock of another thread's loop. A virtual one may move at this moment: either value
 * will do. */
COIR__UNCHECKED static coir_time clock_elsewhere(const struct coir_loop *loop)
{
    return loop->opts.virtual_clock ? *(const volatile coir_time *)&loop->now : coir__clock();
}

/* A task is there as long as its loop is, and whoever named one to the library vouches for it. */
static void describe_object(const struct coir_scope *about, char *text, size_t size)
{
    const coir_site *site = about != NULL ? about->coir__site : NULL;
    if (about != NULL && about->coir__kind == COIR__SCOPE_TASK) {
        char who[COIR__WHO];
        const struct coir_task *task = about->coir__owner;
        (void)coir__task_who_at(task, clock_elsewhere(task->loop), who, sizeof who);
        (void)snprintf(text, size, "task %s", who);
    } else if (about != NULL && about->coir__kind == COIR__SCOPE_GROUP && site != NULL) {
        (void)snprintf(text, size, "group '%.40s' (%.64s:%d)", site->what != NULL ? site->what : "",
                       coir__file_name(site->file), site->line);
    } else {
        (void)snprintf(text, size, "the object");
    }
}

/* Under the lock: owner may be gone when it is not in the list. */
static void describe_owner(const struct coir_loop *owner, char *text, size_t size)
{
    const struct coir__debug *debug = find(owner);
    if (debug == NULL)
        (void)snprintf(text, size, "another loop");
    else if (debug->runs_in == 0)
        (void)snprintf(text, size, "a loop that does not run now");
    else
        (void)snprintf(text, size, "the loop of thread %d '%s'", debug->runs_in,
                       debug->thread_name);
}

static const char to_reach[] = "use coir_post, coir_call_on, coir_future_post, or a channel of "
                               "coir_channel_open_shared, which all threads may";
static const char to_wait[] = "only a task can do that: spawn one, or have coir_call_on run it";

static void describe(const struct coir_loop *owner, const struct coir_scope *about,
                     const char *call, const char *stack, char *text, size_t size)
{
    char caller[COIR__WHO + 96], object[COIR__WHO + 8], home[64], where[sizeof object + 80] = "";
    describe_caller(caller, sizeof caller);
    if (owner != NULL) {
        describe_object(about, object, sizeof object);
        describe_owner(owner, home, sizeof home);
        (void)snprintf(where, sizeof where, "; %s is of %s", object, home);
    }
    (void)snprintf(text, size, "%.60s %s%s:%s\n  hint: %s", call, caller, where, stack,
                   owner != NULL ? to_reach : to_wait);
}

/* ---- on its way ---- */

static void deliver(void *arg)
{
    struct letter *letter = arg;
    coir__report(letter->loop, COIR_REPORT_WRONG_THREAD, NULL, NULL, "%s", letter->text);
    coir__free_own(letter);
}

/* Under the lock. */
static void post(struct coir_loop *loop, const char *text)
{
    struct letter *letter = coir__alloc_own(sizeof *letter);
    if (letter == NULL)
        return;
    *letter = (struct letter){.loop = loop};
    (void)snprintf(letter->text, sizeof letter->text, "%s", text);
    if (coir_post(loop, &letter->node, deliver, letter) < 0)
        coir__free_own(letter); /* it is being closed */
}

/* Whether a line of the program is reported for the first time. */
static bool is_new(uintptr_t line)
{
    for (size_t i = 0; i < LINES_MOST; i++) {
        uintptr_t known = 0;
        if (atomic_compare_exchange_strong_explicit(&reported[i], &known, line,
                                                    memory_order_relaxed, memory_order_relaxed))
            return true;
        if (known == line)
            return false;
    }
    return false;
}

void coir__misplaced_report(const struct coir_loop *owner, const struct coir_scope *about)
{
    struct coir_loop *here = coir__loop;
    if (here != NULL && (owner == NULL || owner == here))
        return; /* a callback that would wait: the thread is the right one */
    struct coir__frames frames;
    struct coir__symbols symbols = {.count = 0};
    struct coir__symbol symbol;
    char stack[1536], text[TEXT];
    coir__frames_here(coir__self(), &frames);
    size_t call = coir__frames_call(&frames, &symbols, &symbol);
    if (call == frames.count)
        (void)snprintf(symbol.name, sizeof symbol.name, "a function of the library");
    (void)coir__frames_format(&frames, &symbols, 4, stack, sizeof stack, NULL);
    coir__symbols_close(&symbols);
    if (!is_new(call + 1 < frames.count ? frames.at[call + 1] : 1))
        return;
    (void)pthread_mutex_lock(&lock);
    describe(owner, about, symbol.name, stack, text, sizeof text);
    const struct coir__debug *told = owner != NULL ? find(owner) : first;
    if (told != NULL && (here == NULL || here->debug == NULL))
        post(told->loop, text);
    (void)pthread_mutex_unlock(&lock);
    if (here != NULL && here->debug != NULL)
        coir__report(here, COIR_REPORT_WRONG_THREAD, coir__self(), NULL, "%s", text);
}
