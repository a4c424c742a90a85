/* debug.h: what the files of debug mode share: the state of a loop in debug mode, what is kept of
 * each task, ticks, and walks over stacks.
 *
 * Everything is the loop's thread's, but for what the watchdog and its signal look at: since,
 * wanted, the sample, and what is under the watchdog's lock.
 */
#ifndef COIR_DEBUG_DEBUG_H
#define COIR_DEBUG_DEBUG_H

#include <signal.h>

#include <coir/debug.h>

#include "core/core.h"

#define COIR__FRAMES_MOST 32
#define COIR__SAMPLE_SIZE ((size_t)64 << 10)
#define COIR__WAIT_KINDS 8 /* the last one is all others */
#define COIR__HELD_MOST 6  /* locks that one task holds and debug mode knows of */

#if defined(__clang__)
#define COIR__UNCHECKED __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define COIR__UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined"), noinline))
#endif

/* ---- ticks: the processor's own counter, since two readings of the clock would cost more than the
 * rest of a step ---- */

static inline uint64_t coir__ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    uint64_t ticks;
    __asm__ volatile("rdtime %0" : "=r"(ticks));
    return ticks;
#endif
}

/* Measures the counter's speed, once for the process. */
void coir__ticks_measure(void);
uint64_t coir__ticks_of(coir_time duration); /* UINT64_MAX for COIR_FOREVER */
coir_time coir__ticks_time(uint64_t ticks);

/* ---- stacks ---- */

struct coir__frames {
    uintptr_t
        at[COIR__FRAMES_MOST]; /* the innermost first; all but that one are return addresses */
    size_t count;
    bool here; /* of the running code: it begins inside this room */
};

/* Registers by the numbers of the unwind tables, as far as they are known. */
#if defined(__x86_64__)
enum { COIR__FP = 6, COIR__SP = 7, COIR__REGISTERS = 17 };
#elif defined(__riscv)
enum { COIR__FP = 8, COIR__SP = 2, COIR__REGISTERS = 32 };
#else
enum { COIR__FP = 29, COIR__SP = 31, COIR__REGISTERS = 32 };
#endif
struct coir__registers {
    uintptr_t pc; /* where the function goes on, or was interrupted */
    bool interrupted;
    uint64_t known; /* a bit for each */
    uintptr_t value[COIR__REGISTERS];
};

/* Reads a word of a stack, or of a copy. Returns whether it is there. */
typedef bool (*coir__read_fn)(const void *memory, uintptr_t address, uintptr_t *ret_value);

/* Goes from a function to its caller. Returns 1, 0 for the first function of a stack, or a negative
 * code when there is no table that says so; then nothing has changed. */
int coir__unwind_step(struct coir__registers *registers, coir__read_fn read, const void *memory);

/* Whether address lies right behind a call. */
bool coir__call_before(uintptr_t address);
/* The function that the call before a return address called, by way of the linker's stub. It may
 * have jumped to another one, and not be on the stack. 0: not known. */
uintptr_t coir__call_target(uintptr_t address);

/* A stack that was taken while its thread was interrupted. The copy begins at its stack pointer. */
struct coir__sample {
    uint64_t step; /* since, when it was taken; 0: none */
    struct coir__registers registers;
    struct coir__frames chain;             /* of frame pointers, when there is one */
    uintptr_t chain_at[COIR__FRAMES_MOST]; /* where they lie */
    size_t length;
    char copy[COIR__SAMPLE_SIZE];
};

/* Files with names of functions, kept open for some look-ups. */
struct coir__symbols {
    struct coir__symbols_file {
        const void *base; /* where the program or library lies */
        const char *map;  /* its file; NULL: could not be read */
        size_t size;
    } files[8];
    size_t count;
};

/* The function that an address lies in. */
struct coir__symbol {
    char name[96];
    char module[48]; /* the library; empty: the program */
    bool known;      /* else name says where it lies */
};

void coir__symbols_close(struct coir__symbols *symbols);
void coir__symbol_find(struct coir__symbols *symbols, uintptr_t address,
                       struct coir__symbol *ret_symbol);

/* The stack of a task that is not running, of the running code (task: NULL outside tasks), or of a
 * sample. */
void coir__frames_parked(const struct coir_task *task, struct coir__frames *ret_frames);
void coir__frames_here(const struct coir_task *task, struct coir__frames *ret_frames);
/* The callers of the function with this frame. */
void coir__frames_from(const struct coir_task *task, const void *frame,
                       struct coir__frames *ret_frames);
/* Which frame of running code is that of the public function that was called, and its name as
 * programs write it. */
size_t coir__frames_call(const struct coir__frames *frames, struct coir__symbols *symbols,
                         struct coir__symbol *ret_symbol);
void coir__frames_sampled(const struct coir__sample *sample, struct coir__symbols *symbols,
                          struct coir__frames *ret_frames);
/* Takes a sample from a signal handler. */
void coir__sample_take(struct coir__sample *sample, uint64_t step, const void *ucontext,
                       uintptr_t low, uintptr_t high);
/* Writes a line for each frame of a task, each after a newline and indent spaces. hint, where it is
 * not NULL, gets what to do about a well-known blocking call, or NULL. Returns the length. */
size_t coir__frames_format(const struct coir__frames *frames, struct coir__symbols *symbols,
                           int indent, char *text, size_t size, const char **ret_hint);

/* ---- locks and arguments ---- */

struct coir__orders; /* which lock was held while which other one was acquired */
struct coir__orders *coir__orders_open(void);
void coir__orders_close(struct coir__orders *orders);
void coir__order_wanted(struct coir_task *task, uint64_t *id);
void coir__order_taken(struct coir_task *task, uint64_t *id);
void coir__order_left(struct coir_task *task, uint64_t id);

/* ---- a task ---- */

/* Lies right below the record of a task that was spawned in debug mode: what every step touches is
 * the cache line next to the record. */
struct coir__debug_task {
    uint64_t held[COIR__HELD_MOST];
    struct {
        const struct coir__wait *wait;
        uint64_t time, times;
    } waits[COIR__WAIT_KINDS];

    struct coir_task *spawner;     /* its argument is on this one's stack; NULL: no such thing */
    uintptr_t lowest;              /* of the arguments of others on its own stack; 0: none */
    uint64_t left;                 /* when its last step ended: ticks, or the virtual clock */
    const struct coir__wait *wait; /* what it left for; NULL: others ran */
    uint64_t running, ready, longest;
    uint64_t counts; /* steps, and how many of held and of waits are in use: see below */
};
/* In one word, since parts of one that was just written are slow to read and to change. */
#define COIR__COUNT_KIND UINT64_C(1)
#define COIR__COUNT_HELD (UINT64_C(1) << 8)
#define COIR__COUNT_STEP (UINT64_C(1) << 16)

static inline unsigned coir__debug_kinds(const struct coir__debug_task *data)
{
    return data->counts & 0xff;
}

static inline unsigned coir__debug_held(const struct coir__debug_task *data)
{
    return (data->counts >> 8) & 0xff;
}

_Static_assert(sizeof(struct coir__debug_task) <= COIR__DEBUG_RESERVE, "room below the record");

/* How many bytes below its record are the stack of a task. */
static inline size_t coir__debug_reach(const struct coir_task *task)
{
    return (size_t)((const char *)task - task->stack_low);
}

static inline struct coir__debug_task *coir__debug_of(const struct coir_task *task)
{
    if (!(task->flags & COIR__TASK_DEBUGGED))
        return NULL;
    return (struct coir__debug_task *)(void *)((char *)(uintptr_t)task -
                                               sizeof(struct coir__debug_task));
}

/* Notes that the argument of task lies on the stack of self, which spawns it. */
void coir__argument_note(struct coir_task *task, struct coir__debug_task *data,
                         struct coir_task *self);
/* Frames below sp have been left by task. */
void coir__arguments_check(struct coir_task *task, struct coir__debug_task *data, uintptr_t sp);

/* ---- a loop ---- */

struct coir__debug {
    struct coir_loop *loop;
    _Atomic uint64_t since;       /* ticks at which the step began that runs now; 0: none does */
    uint64_t start;               /* the same, for the loop's thread */
    uint64_t slow;                /* ticks; longer steps are reported */
    const struct coir_task *task; /* whose step it is, once that is noted; else NULL */
    const uint64_t *clock;        /* what figures count in: start, or the virtual clock */
    int (*held_mutexes)(void);    /* of the calling thread; NULL: nobody counts them */
    struct coir__orders *orders;

    struct coir__debug *next; /* of all loops in debug mode; this and the next two: misplaced.c */
    pid_t runs_in;            /* the thread that runs the loop, or 0 */
    char thread_name[16];

    uintptr_t thread_low, thread_high; /* the stack of the loop's thread */
    struct coir__sample sample;
    _Atomic uint64_t wanted; /* the step that a sample was asked for */

    pid_t process; /* that has the watchdog */
    pthread_t watchdog;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, attached; /* the rest is under lock */
    pthread_t thread;    /* of the loop, while attached */
    pid_t tid;           /* the same, as the kernel calls it */
    coir_time look_every;
};

int coir__watchdog_start(struct coir__debug *debug);
void coir__watchdog_stop(struct coir__debug *debug);
void coir__watchdog_attach(struct coir__debug *debug);
void coir__watchdog_detach(struct coir__debug *debug);
void coir__watchdog_set(struct coir__debug *debug, coir_time slow_step);

/* Of all loops in debug mode, which can be asked for from any thread. */
void coir__misplaced_join(struct coir__debug *debug);
void coir__misplaced_leave(struct coir__debug *debug);
void coir__misplaced_run(struct coir__debug *debug, bool begins); /* on the calling thread */
bool coir__misplaced_runs(const struct coir_loop *loop);
void coir__misplaced_report(const struct coir_loop *owner, const struct coir_scope *about);

/* Reports a step of task (NULL: of the loop itself) that took so many ticks. */
void coir__report_slow_step(struct coir__debug *debug, struct coir_task *task, uint64_t took);

void coir__dump(struct coir_loop *loop, int fd);
bool coir__dump_here(struct coir_loop *loop, int fd, const void *ucontext, bool anyway);

#endif
