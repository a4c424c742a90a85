/* stack.c: memory for stacks: mapped in slabs, guarded, cached warm, and watched for overflow.
 *
 * Stacks come in classes of 64 KiB times a power of four. A slab is one mapping of many stacks of a
 * class, so a million of them are a handful of mappings. The lowest sixteenth of a stack is its
 * guard: a marker in the page table (MADV_GUARD_INSTALL, Linux 6.13 and later), which does not
 * split the mapping, or else mprotect, which does and is bounded by vm.max_map_count. A stack that
 * is given back goes on top of its class's list and stays as it is, pages included: a warm stack is
 * worth thousands of cycles. Slabs are unmapped when the loop closes.
 *
 * Layout, from the top: a few unused cache lines (so that the hot ends of stacks do not fall into
 * the same cache sets), the task record, the first frame, … , the guard.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"
#include "core/sys.h"

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define CLASSES COIR__STACK_CLASSES
#define CLASS_SIZE(class) ((size_t)65536 << (2 * (class)))
#define COLOURS 32 /* cache lines that the tops of neighbouring stacks are apart by */
#define LINE 64
/* Bytes of the first slab of a class; each further one is twice as large, up to… */
#define SLAB_FIRST ((size_t)2 << 20)
#define SLAB_LAST ((size_t)256 << 20)

/* Never less than a page, which is 64 KiB on some machines. */
static size_t guard_size(unsigned class_index)
{
    size_t page = coir__sys_page();
    size_t size = CLASS_SIZE(class_index) / 16;
    return size > page ? size : page;
}

struct slab {
    struct slab *next;
    char *memory;
    size_t size;
};

struct size_class {
    char *fresh, *fresh_end; /* the part of the newest slab that was never used */
    size_t slab_size;
};

struct coir__stacks {
    struct size_class classes[CLASSES];
    struct slab *slabs;
    uint64_t made;
};

/* ---- guards ---- */

static int guard_kind; /* 0: not probed, 1: markers, 2: mprotect; written once with the same value
                          by whoever is first */

/* Whether the kernel sees a page as unreadable: it is asked to read eight bytes from there. */
static bool unreadable(int counter, const void *page)
{
    return write(counter, page, 8) < 0 && errno == EFAULT;
}

/* Probes by effect: an emulator may accept the advice and do nothing. */
static int probe_guards(void)
{
    size_t page = coir__sys_page();
    char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 2;
    int counter = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool works = coir__sys_madvise(memory, page, MADV_GUARD_INSTALL) == 0 &&
                 unreadable(counter, memory) && !unreadable(counter, memory + page);
    (void)close(counter);
    (void)munmap(memory, 2 * page);
    return works ? 1 : 2;
}

static bool marks_guards(void)
{
    int kind = __atomic_load_n(&guard_kind, __ATOMIC_RELAXED);
    if (kind == 0) {
        kind = probe_guards();
        __atomic_store_n(&guard_kind, kind, __ATOMIC_RELAXED);
    }
    return kind == 1;
}

const char *coir__stack_guards(void)
{
    return marks_guards() ? "madvise" : "mprotect";
}

size_t coir__stack_limit(void)
{
    if (marks_guards())
        return 0;
    size_t maps = 65530;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    if (file != NULL) {
        char line[32];
        if (fgets(line, sizeof line, file) != NULL)
            maps = strtoul(line, NULL, 10);
        (void)fclose(file);
    }
    return maps / 2; /* a guard and the stack above it are a mapping each */
}

static bool install_guard(char *low, size_t size)
{
    if (marks_guards())
        return coir__sys_madvise(low, size, MADV_GUARD_INSTALL) == 0;
    return coir__sys_mprotect(low, size, PROT_NONE) == 0;
}

/* ---- slabs ---- */

struct coir__stacks *coir__stacks_open(void)
{
    struct coir__stacks *stacks = coir__alloc_own(sizeof *stacks);
    if (stacks != NULL)
        *stacks = (struct coir__stacks){0};
    return stacks;
}

void coir__stacks_close(struct coir__stacks *stacks)
{
    struct slab *slab = stacks->slabs;
    while (slab != NULL) {
        struct slab *next = slab->next;
        (void)munmap(slab->memory, slab->size);
        coir__free_own(slab);
        slab = next;
    }
    coir__free_own(stacks);
}

static bool add_slab(struct coir__stacks *stacks, unsigned class_index)
{
    struct size_class *class = &stacks->classes[class_index];
    size_t size = class->slab_size == 0 ? SLAB_FIRST : class->slab_size * 2;
    size = size > SLAB_LAST ? SLAB_LAST : size;
    size = size < CLASS_SIZE(class_index) ? CLASS_SIZE(class_index) : size;
    struct slab *slab = coir__alloc_own(sizeof *slab);
    if (slab == NULL)
        return false;
    char *memory =
        coir__sys_mmap(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    if (memory == NULL) {
        coir__free_own(slab);
        return false;
    }
    *slab = (struct slab){stacks->slabs, memory, size};
    stacks->slabs = slab;
    class->slab_size = size;
    class->fresh = memory;
    class->fresh_end = memory + size;
    return true;
}

/* The memory of the new record is zero; what is set here stays as it is in every task that will use
 * the stack. */
struct coir_task *coir__stack_carve(struct coir_loop *loop, unsigned class_index)
{
    if (class_index >= CLASSES)
        return NULL;
    struct coir__stacks *stacks = loop->stacks;
    struct size_class *class = &stacks->classes[class_index];
    if (class->fresh == class->fresh_end && !add_slab(stacks, class_index))
        return NULL;
    char *low = class->fresh;
    size_t size = CLASS_SIZE(class_index);
    if (!install_guard(low, guard_size(class_index)))
        return NULL;
    class->fresh += size;
    (void)VALGRIND_STACK_REGISTER(low + guard_size(class_index), low + size);
    size_t colour = stacks->made++ % COLOURS * LINE;
    size_t record = (sizeof(struct coir_task) + LINE - 1) / LINE * LINE;
    struct coir_task *task = (struct coir_task *)(void *)(low + size - colour - record);
    task->loop = loop;
    task->stack_low = low;
    task->stack_class = class_index;
    task->scope = &task->own;
    task->own.coir__kind = COIR__SCOPE_TASK;
    task->own.coir__owner = task;
    return task;
}

unsigned coir__stack_class(size_t size)
{
    unsigned class_index = 0;
    while (class_index < CLASSES && (CLASS_SIZE(class_index) < size ||
                                     CLASS_SIZE(class_index) < 4 * guard_size(class_index)))
        class_index++;
    return class_index;
}

void coir__stack_bounds(const struct coir_task *task, char **ret_low, char **ret_high)
{
    *ret_low = task->stack_low + guard_size(task->stack_class);
    *ret_high = task->stack_low + CLASS_SIZE(task->stack_class);
}

void coir__stacks_count(const struct coir_loop *loop, uint64_t *ret_used, uint64_t *ret_cached)
{
    *ret_used = loop->tasks + loop->handles; /* each has one, running or ended */
    *ret_cached = loop->stacks->made - *ret_used;
}

/* ---- overflow ---- */

#define SIGNAL_STACK ((size_t)64 << 10)

static struct sigaction previous_handler;
static atomic_flag watching = ATOMIC_FLAG_INIT;
static _Thread_local void *signal_stack;

static void report_overflow(struct coir_loop *loop, struct coir_task *task)
{
    char text[320], who[COIR__WHO];
    (void)coir__task_who(task, who, sizeof who);
    (void)snprintf(text, sizeof text,
                   "task %s overflowed its stack of %zu bytes; give it more with "
                   "coir_spawn_opts.stack_size",
                   who, CLASS_SIZE(task->stack_class));
    coir_report report = {.kind = COIR_REPORT_OVERFLOW, .text = text, .task = task};
    if (loop->opts.report != NULL)
        loop->opts.report(&report, loop->opts.report_arg);
    else
        coir_report_to_stderr(&report, NULL);
}

/* Runs on the signal stack. Names the task when the fault lies in its guard, then leaves the signal
 * to whoever had it before: the faulting instruction runs again under that disposition. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    struct coir_loop *loop = coir__loop;
    struct coir_task *task = loop != NULL ? loop->current : NULL;
    const char *address = info->si_addr;
    if (task != NULL && address >= task->stack_low &&
        address < task->stack_low + guard_size(task->stack_class))
        report_overflow(loop, task);
    (void)context;
    (void)sigaction(number, &previous_handler, NULL);
    if (info->si_code <= 0) /* sent by somebody, not by an instruction that will fault again */
        (void)raise(number);
}

void coir__stack_watch_thread(void)
{
    stack_t current;
    if (sigaltstack(NULL, &current) == 0 && (current.ss_flags & SS_DISABLE) != 0) {
        signal_stack = malloc(SIGNAL_STACK); /* the thread's, not a loop's: outside the account */
        stack_t wanted = {.ss_sp = signal_stack, .ss_size = SIGNAL_STACK};
        if (signal_stack == NULL || sigaltstack(&wanted, NULL) < 0) {
            free(signal_stack);
            signal_stack = NULL;
            return;
        }
    }
    if (atomic_flag_test_and_set(&watching))
        return;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGSEGV, &action, &previous_handler);
}

void coir__stack_unwatch_thread(void)
{
    if (signal_stack == NULL)
        return;
    stack_t current, none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(NULL, &current) == 0 && current.ss_sp == signal_stack)
        (void)sigaltstack(&none, NULL); /* else somebody has put another in its place */
    free(signal_stack);
    signal_stack = NULL;
}
