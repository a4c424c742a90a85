/* switch.c: contexts around the assembler switch: making one, and telling the sanitizers.
 *
 * A build without sanitizers calls coir__switch_raw itself (see core.h); AddressSanitizer and
 * ThreadSanitizer must be told of every change of stack, before and after it, which the functions
 * here do. Nobody else touches a context's stack pointer.
 */
#include <string.h>

#include "core/core.h"

#if defined(__SANITIZE_ADDRESS__)
#define COIR__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COIR__ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define COIR__TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define COIR__TSAN 1
#endif

#ifdef COIR__ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef COIR__TSAN
#include <sanitizer/tsan_interface.h>
#endif

void coir__task_entry(void);

#if defined(COIR__SANITIZED) || !defined(__x86_64__)
static void make_fiber(struct coir_task *task)
{
    (void)task;
#ifdef COIR__TSAN
    task->fiber = __tsan_create_fiber(0);
#endif
}
#endif

_Static_assert(offsetof(struct coir__context, sp) == 0, "known to switch_*.S");
_Static_assert(offsetof(struct coir__context, result) == 8, "known to switch_*.S");

#if defined(__x86_64__)

#ifdef COIR__SANITIZED
void coir__context_make(struct coir_task *task, char *top)
{
    void **sp = (void **)(void *)top - 7;
    sp[0] = (void *)(uintptr_t)coir__task_entry;
    sp[5] = task; /* rbx */
    sp[6] = NULL; /* rbp: frame-pointer walks end here */
    task->context.sp = sp;
    make_fiber(task);
}
#endif

#elif defined(__aarch64__)

void *coir__sign_return(void *sp, void *address);

void coir__context_make(struct coir_task *task, char *top)
{
    void **sp = (void **)(void *)(top - 160);
    sp[0] = NULL; /* x29: frame-pointer walks end here */
    sp[1] = coir__sign_return(top, (void *)(uintptr_t)coir__task_entry);
    sp[2] = task; /* x19 */
    task->context.sp = sp;
    make_fiber(task);
}

#elif defined(__riscv)

void coir__context_make(struct coir_task *task, char *top)
{
    void **sp = (void **)(void *)(top - 208);
    sp[0] = NULL; /* s0: frame-pointer walks end here */
    sp[1] = (void *)(uintptr_t)coir__task_entry;
    sp[2] = task; /* s1 */
    task->context.sp = sp;
    make_fiber(task);
}

#else
#error "coir has stack switches for x86-64, aarch64 and riscv64"
#endif

struct fp_control {
#if defined(__x86_64__)
    uint32_t mxcsr;
    uint16_t x87;
#elif defined(__aarch64__)
    uint64_t fpcr;
#else
    uint64_t frm; /* the rounding mode; there is nothing else to control */
#endif
};

static struct fp_control fp_read(void)
{
    struct fp_control words;
#if defined(__x86_64__)
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(words.mxcsr), "=m"(words.x87));
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(words.fpcr));
#else
    __asm__ volatile("frrm %0" : "=r"(words.frm));
#endif
    return words;
}

static void fp_write(struct fp_control words)
{
#if defined(__x86_64__)
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(words.mxcsr), "m"(words.x87));
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(words.fpcr));
#else
    __asm__ volatile("fsrm %0" : : "r"(words.frm));
#endif
}

int coir__switch_fp(struct coir__context *from, struct coir__context *to)
{
    struct fp_control words = fp_read();
    int result = coir__switch(from, to);
    fp_write(words);
    return result;
}

void coir__context_default_fp(void)
{
#if defined(__x86_64__)
    fp_write((struct fp_control){.mxcsr = 0x1f80,
                                 .x87 = 0x037f}); /* what the ABI says a program starts with */
#else
    fp_write((struct fp_control){0});
#endif
}

#ifdef COIR__SANITIZED

/* For all that runs while the sanitizer believes itself on one stack and the processor is on the
 * other: instrumented, it would keep its variables in the fake stack that it gives up. */
#if defined(__clang__)
#define COIR__UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define COIR__UNINSTRUMENTED __attribute__((no_sanitize("address", "thread"), noinline))
#endif

/* The loop and the task of a context; task is NULL for the loop's own. */
COIR__UNINSTRUMENTED static struct coir_loop *owner(struct coir__context *context,
                                                    struct coir_task **ret_task)
{
    struct coir_loop *loop = coir__loop;
    *ret_task =
        context == &loop->context ? NULL : coir__container(context, struct coir_task, context);
    return loop;
}

COIR__UNINSTRUMENTED static void announce(struct coir_task *from, void **fake, struct coir_task *to,
                                          struct coir_loop *loop)
{
    (void)from, (void)fake, (void)to, (void)loop;
#ifdef COIR__ASAN
    const void *bottom = loop->thread_stack;
    size_t size = loop->thread_stack_size;
    if (to != NULL) {
        char *low, *high;
        coir__stack_bounds(to, &low, &high);
        bottom = low;
        size = (size_t)(high - low);
    }
    __sanitizer_start_switch_fiber(fake, bottom, size);
#endif
}

/* First thing on the stack that was switched to. */
COIR__UNINSTRUMENTED static void arrived(struct coir_loop *loop, struct coir_task *task, void *fake)
{
    (void)loop, (void)task, (void)fake;
#ifdef COIR__ASAN
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(fake, &bottom, &size);
    if (task != NULL &&
        loop->thread_stack == NULL) { /* the first switch of a run comes from the thread */
        loop->thread_stack = bottom;
        loop->thread_stack_size = size;
    }
#endif
#ifdef COIR__TSAN
    if (loop->dead_fiber != NULL)
        __tsan_destroy_fiber(loop->dead_fiber);
    loop->dead_fiber = NULL;
#endif
}

COIR__UNINSTRUMENTED int coir__switch(struct coir__context *from, struct coir__context *to)
{
    struct coir_task *leaving, *entering;
    struct coir_loop *loop = owner(from, &leaving);
    (void)owner(to, &entering);
    void **fake = leaving != NULL ? &leaving->fake : &loop->fake;
    announce(leaving, fake, entering, loop);
#ifdef COIR__TSAN
    __tsan_switch_to_fiber(entering != NULL ? entering->fiber : loop->thread_fiber, 0);
#endif
    int result = coir__switch_raw(from, to);
    arrived(loop, leaving, *fake);
    return result;
}

COIR__UNINSTRUMENTED _Noreturn void coir__switch_final(struct coir_task *from,
                                                       struct coir__context *to)
{
    struct coir_task *entering;
    struct coir_loop *loop = owner(to, &entering);
    announce(from, NULL, entering, loop);
#ifdef COIR__TSAN
    loop->dead_fiber = from->fiber;
    __tsan_switch_to_fiber(entering != NULL ? entering->fiber : loop->thread_fiber, 0);
#endif
    coir__switch_to_raw(to);
}

void coir__context_entered(struct coir_task *task)
{
    arrived(task->loop, task, NULL);
}

void coir__context_thread(struct coir_loop *loop)
{
    (void)loop;
#ifdef COIR__ASAN
    loop->thread_stack = NULL;
#endif
#ifdef COIR__TSAN
    loop->thread_fiber = __tsan_get_current_fiber();
#endif
}

#else

void coir__context_thread(struct coir_loop *loop)
{
    (void)loop;
}

#endif
