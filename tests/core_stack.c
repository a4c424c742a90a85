/* core_stack.c: stacks: their classes, bounds and reuse, what an overflow does, and what a switch
 * keeps: registers always, floating-point control words where a loop is asked to.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "child.h"
#include "core/core.h"
#include "core/sys.h"
#include "core_kit.h"
#include "core_loop.h"
#include "under_valgrind.h"

#define NOT_INLINED __attribute__((noinline))

/* ---- classes and bounds ---- */

/* Uses the stack down to limit, four kilobytes at a time. */
static NOT_INLINED size_t use_down_to(const char *limit, size_t depth)
{
    volatile char frame[4096];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it is needed */
    frame[0] = frame[sizeof frame - 1] = (char)depth;
    if ((const char *)__builtin_frame_address(0) < limit)
        return depth;
    size_t deepest = use_down_to(limit, depth + 1);
    return frame[0] == frame[sizeof frame - 1] ? deepest : 0;
}

static int use_nearly_all(void *arg)
{
    size_t *size = arg;
    char *low, *high;
    coir__stack_bounds(coir__self(), &low, &high);
    COIR_EXPECT((char *)__builtin_frame_address(0) > low);
    COIR_EXPECT((char *)__builtin_frame_address(0) < high);
    COIR_EXPECT_EQ((uintptr_t)low % 4096, 0);
    *size = (size_t)(high - low);
    COIR_TRY(coir_yield());
    COIR_EXPECT_GT(use_down_to(low + 16384, 0), 0);
    COIR_TRY(coir_yield());
    return 0;
}

/* A sixteenth is guard. */
COIR_TEST(stack_classes)
{
    static const struct {
        size_t asked, class;
    } sizes[] = {{1, 65536},           {65536, 65536},      {65537, 262144},    {0, 262144},
                 {262144, 262144},     {262145, 1048576},   {1048577, 4194304}, {8000000, 16777216},
                 {67108864, 67108864}, {16777216, 16777216}};
    size_t size = 0;
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(sizes); i++) {
        coir_task *task;
        coir_spawn_opts opts = {.stack_size = sizes[i].asked};
        COIR_REQUIRE_OK(coir_spawn_with(&group, use_nearly_all, &size, &opts, &task));
        COIR_EXPECT_OK(joined(task));
        COIR_EXPECT_EQ(size, sizes[i].class / 16 * 15);
    }
}

COIR_TEST(stack_that_is_too_large)
{
    size_t size = 0;
    COIR_GROUP(group);
    coir_spawn_opts opts = {.stack_size = 67108865};
    COIR_EXPECT_CODE(coir_spawn_with(&group, use_nearly_all, &size, &opts, NULL), -EINVAL);
    opts.stack_size = SIZE_MAX;
    COIR_EXPECT_CODE(coir_spawn_with(&group, use_nearly_all, &size, &opts, NULL), -EINVAL);
}

COIR_TEST_TAGGED(stack_size_of_a_loop, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    size_t size = 0;
    opts.stack_size = 1 << 20;
    COIR_EXPECT_OK(coir_run(use_nearly_all, &size, &opts, NULL));
    COIR_EXPECT_EQ(size, (1 << 20) / 16 * 15);
}

static int check_alignment(void *arg)
{
    _Alignas(16) volatile char here[16] = {0};
    COIR_EXPECT_EQ((uintptr_t)here % 16, here[0]);
    COIR_EXPECT_EQ((uintptr_t)__builtin_frame_address(0) % 16, 0);
    COIR_EXPECT_EQ((uintptr_t)arg % 16, 0);
    return coir_yield();
}

COIR_TEST(stacks_are_aligned)
{
    static _Alignas(16) const char item[100];
    COIR_GROUP(group);
    for (size_t size = 1; size < sizeof item; size++) {
        COIR_REQUIRE_OK(coir_spawn_copy(&group, check_alignment, item, size, NULL));
        COIR_REQUIRE_OK(coir_spawn(&group, check_alignment, (void *)(uintptr_t)item, NULL));
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- the cache ---- */

static int note_stack(void *arg)
{
    *(void **)arg = coir__self()->stack_low;
    return coir_yield();
}

COIR_TEST(stack_given_back_last_is_taken_first)
{
    void *first = NULL, *second = NULL, *third = NULL;
    struct coir_loop_stats before, after;
    coir_task *tasks[2];
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, note_stack, &first, &tasks[0]));
    COIR_REQUIRE_OK(coir_spawn(&group, note_stack, &second, &tasks[1]));
    COIR_REQUIRE_OK(coir_wait_all(tasks, 2));
    coir_loop_stats(NULL, &before);
    COIR_EXPECT_OK(joined(tasks[0]));
    COIR_EXPECT_OK(joined(tasks[1]));
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.stacks, before.stacks - 2);
    COIR_EXPECT_EQ(after.stacks_cached, before.stacks_cached + 2);
    COIR_REQUIRE_OK(coir_spawn(&group, note_stack, &third, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_PTR(third, second);
    COIR_EXPECT_NE((uintptr_t)first, (uintptr_t)second);
}

static int yield_once(void *arg)
{
    (void)arg;
    return coir_yield();
}

COIR_TEST(stacks_are_used_again)
{
    struct coir_loop_stats first = {0}, now;
    for (int round = 0; round < 5; round++) {
        COIR_GROUP(group);
        for (int i = 0; i < 300; i++)
            COIR_REQUIRE_OK(coir_spawn(&group, yield_once, NULL, NULL));
        COIR_REQUIRE_OK(coir_group_wait(&group));
        coir_loop_stats(NULL, &now);
        if (round == 0)
            first = now;
        COIR_EXPECT_EQ(now.stacks + now.stacks_cached, first.stacks + first.stacks_cached);
    }
}

#define SLEEPERS (100000 / (LESS * LESS))

static int sleep_a_day(void *arg)
{
    int *awake = arg;
    COIR_TRY(coir_sleep(COIR_SEC(86400)));
    ++*awake;
    return 0;
}

COIR_TEST_TAGGED(a_hundred_thousand_tasks_sleep, "no_torture,limit=60")
{
    int awake = 0;
    struct coir_loop_stats stats;
    coir_time start = coir_now();
    if (coir_info()->stack_limit != 0 && coir_info()->stack_limit < SLEEPERS)
        COIR_SKIP("this kernel does not allow so many guarded stacks");
    COIR_GROUP(group);
    for (int i = 0; i < SLEEPERS; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, sleep_a_day, &awake, NULL));
    SETTLE();
    coir_loop_stats(NULL, &stats);
    COIR_EXPECT_GE(stats.timers, SLEEPERS);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(awake, SLEEPERS);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(86400));
}

/* ---- overflow ---- */

static volatile int deepest = INT32_MAX;

static NOT_INLINED int recurse(int depth)
{
    volatile char frame[512];
    frame[0] = (char)depth;
    return depth < deepest ? recurse(depth + 1) + frame[0] : 0;
}

static int overflow(void *arg)
{
    return recurse(*(int *)arg);
}

enum { OVERFLOW_LINE = __LINE__ + 10 };
static int start_overflow(void *arg)
{
    int *generation = arg;
    coir_spawn_opts opts = {.stack_size = 65536, .name = "the deep one"};
    COIR_GROUP(group);
    for (; *generation > 0; --*generation) {
        COIR_TRY(coir_spawn_with(&group, yield_once, NULL, &opts, NULL));
        COIR_TRY(coir_sleep(1));
    }
    COIR_TRY(coir_spawn_with(&group, overflow, generation, &opts, NULL));
    return coir_group_wait(&group);
}

/* The n-th task on a stack overflows it. */
static int overflow_in_child(void *arg)
{
    coir_loop_opts opts = {.virtual_clock = true};
    return coir_run(start_overflow, arg, &opts, NULL) < 0;
}

static void expect_overflow(const struct child *child, int size)
{
    char what[192];
    (void)snprintf(what, sizeof what,
                   "coir: stack overflow: task 'the deep one' (0 s old, spawned at "
                   "core_stack.c:%d) overflowed its stack of %d bytes; give it more with",
                   OVERFLOW_LINE, size);
    COIR_EXPECT_CONTAINS(child->output, what);
}

/* Sanitizers have a handler of their own, which comes next. */
static bool ended_by_fault(const struct child *child)
{
    return LESS > 1 || (WIFSIGNALED(child->status) && WTERMSIG(child->status) == SIGSEGV);
}

COIR_TEST_TAGGED(overflow_names_the_task, "own_loop,no_torture")
{
    struct child child;
    int generation = 0;
    COIR_REQUIRE_EQ(child_run(&child, overflow_in_child, &generation), 0);
    expect_overflow(&child, 65536);
    COIR_EXPECT(ended_by_fault(&child));
}

static void *overflow_here(void *arg)
{
    (void)overflow_in_child(arg);
    return NULL;
}

static int overflow_in_thread(void *arg)
{
    pthread_t id;
    return pthread_create(&id, NULL, overflow_here, arg) == 0 && pthread_join(id, NULL) == 0;
}

COIR_TEST_TAGGED(overflow_in_another_thread, "own_loop,no_torture")
{
    struct child child;
    int generation = 0;
    COIR_REQUIRE_EQ(child_run(&child, overflow_in_thread, &generation), 0);
    expect_overflow(&child, 65536);
    COIR_EXPECT(ended_by_fault(&child));
}

COIR_TEST_TAGGED(guards_survive_reuse, "own_loop,no_torture")
{
    struct child child;
    int generation = 3;
    COIR_REQUIRE_EQ(child_run(&child, overflow_in_child, &generation), 0);
    expect_overflow(&child, 65536);
    COIR_EXPECT(ended_by_fault(&child));
}

static void previous_handler(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, "previous handler\n", 17);
    _exit(3);
}

static int overflow_with_handler(void *arg)
{
    struct sigaction action = {.sa_handler = previous_handler, .sa_flags = SA_ONSTACK};
    (void)sigaction(SIGSEGV, &action, NULL);
    return overflow_in_child(arg);
}

COIR_TEST_TAGGED(previous_handler_is_chained, "own_loop,no_torture")
{
    struct child child;
    int generation = 0;
    COIR_REQUIRE_EQ(child_run(&child, overflow_with_handler, &generation), 0);
    expect_overflow(&child, 65536);
    COIR_EXPECT_CONTAINS(child.output, "previous handler\n");
    COIR_EXPECT(WIFEXITED(child.status));
    COIR_EXPECT_EQ(WEXITSTATUS(child.status), 3);
}

static int follow_null(void *arg)
{
    int *volatile *where = arg;
    return **where;
}

static int fault_in_child(void *arg)
{
    coir_loop_opts opts = {.virtual_clock = true};
    return coir_run(follow_null, arg, &opts, NULL) < 0;
}

/* Another fault is none of ours. */
COIR_TEST_TAGGED(other_faults_are_left_alone, "own_loop,no_torture")
{
    SKIP_UNDER_VALGRIND("it ends the child with a code of its own");
    struct child child;
    int *volatile nowhere = NULL;
    COIR_REQUIRE_EQ(child_run(&child, fault_in_child, (void *)(uintptr_t)&nowhere), 0);
    COIR_EXPECT(strstr(child.output, "stack overflow: task") == NULL);
    COIR_EXPECT(ended_by_fault(&child));
}

static int no_markers(enum coir__sys_call call, size_t *length)
{
    (void)length;
    return call == COIR__SYS_MADVISE ? -EINVAL : 0;
}

/* As on kernels before 6.13. */
COIR_TEST_TAGGED(guards_by_mprotect, "own_loop,no_torture")
{
    struct child child;
    int generation = 2, value = 0;
    coir__sys_fault = no_markers;
    const char *guards = coir_info()->guards;
    if (strcmp(guards, "madvise") == 0) {
        coir__sys_fault = NULL;
        COIR_SKIP("this process knows already what the kernel can do");
    }
    COIR_EXPECT_STR(guards, "mprotect");
    COIR_EXPECT_GT(coir_info()->stack_limit, 1000);
    COIR_EXPECT_CONTAINS(coir_info()->text, "guarded by mprotect, at most ");
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_EXPECT_OK(coir_run(sleep_a_day, &value, &opts, NULL));
    COIR_REQUIRE_EQ(child_run(&child, overflow_in_child, &generation), 0);
    coir__sys_fault = NULL;
    expect_overflow(&child, 65536);
    COIR_EXPECT(ended_by_fault(&child));
}

/* As on machines with pages of 64 KiB: a guard is a page at least, and a stack four of them. */
COIR_TEST_TAGGED(guards_of_large_pages, "own_loop,no_torture")
{
    static const struct {
        size_t asked, usable;
    } sizes[] = {{1, 3 << 16}, {65536, 3 << 16}, {262144, 3 << 16}, {262145, 15 << 16}};
    struct child child;
    int generation = 0;
    coir_loop_opts opts = coir_test_loop_opts();
    coir__sys_pretended_page = 65536;
    for (size_t i = 0; i < COIR_COUNT(sizes); i++) {
        size_t size = 0;
        opts.stack_size = sizes[i].asked;
        COIR_EXPECT_OK(coir_run(use_nearly_all, &size, &opts, NULL));
        COIR_EXPECT_EQ(size, sizes[i].usable);
    }
    int r = child_run(&child, overflow_in_child, &generation);
    coir__sys_pretended_page = 0;
    COIR_REQUIRE_EQ(r, 0);
    expect_overflow(&child, 262144);
    COIR_EXPECT(ended_by_fault(&child));
}

/* ---- the stack for signals ---- */

static char own_signal_stack[65536];

static int note_signal_stack(void *arg)
{
    return sigaltstack(NULL, arg);
}

static int set_signal_stack(void *arg)
{
    stack_t own = {.ss_sp = own_signal_stack, .ss_size = sizeof own_signal_stack};
    (void)arg;
    return sigaltstack(&own, NULL);
}

/* A run lends the thread a signal stack and takes it back, unless the thread has one of its own,
 * before the run or since. */
COIR_TEST_TAGGED(signal_stack_of_a_thread_is_left_as_it_was, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    stack_t original, none = {.ss_flags = SS_DISABLE}, inside = none, after;
    COIR_REQUIRE_OK(sigaltstack(&none, &original));
    for (int i = 0; i < 2; i++) {
        COIR_EXPECT_OK(coir_run(note_signal_stack, &inside, &opts, NULL));
        COIR_EXPECT_EQ(inside.ss_flags & SS_DISABLE, 0);
        COIR_EXPECT_OK(sigaltstack(NULL, &after));
        COIR_EXPECT_EQ(after.ss_flags & SS_DISABLE, SS_DISABLE);
    }
    COIR_EXPECT_OK(coir_run(set_signal_stack, NULL, &opts, NULL));
    COIR_EXPECT_OK(sigaltstack(NULL, &after));
    COIR_EXPECT_PTR(after.ss_sp, own_signal_stack);
    COIR_EXPECT_OK(coir_run(note_signal_stack, &inside, &opts, NULL));
    COIR_EXPECT_PTR(inside.ss_sp, own_signal_stack);
    COIR_EXPECT_OK(sigaltstack(NULL, &after));
    COIR_EXPECT_PTR(after.ss_sp, own_signal_stack);
    COIR_EXPECT_EQ(after.ss_size, sizeof own_signal_stack);
    (void)sigaltstack(&original, NULL);
}

/* ---- what a switch keeps ---- */

#if defined(__x86_64__)
/* Fills the registers that a callee keeps, calls fn, and returns how many have changed. */
int coir_test_registers(uint64_t pattern, int (*fn)(void));
__asm__(".text\n"
        "coir_test_registers:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n"
        "    pushq %r15\n    pushq %rdi\n"
        "    movq %rdi, %rbx\n    leaq 1(%rdi), %r12\n    leaq 2(%rdi), %r13\n"
        "    leaq 3(%rdi), %r14\n    leaq 4(%rdi), %r15\n    leaq 5(%rdi), %rbp\n"
        "    call *%rsi\n"
        "    popq %rdi\n    xorl %eax, %eax\n"
        "    cmpq %rdi, %rbx\n    setne %cl\n    addb %cl, %al\n"
        "    incq %rdi\n    cmpq %rdi, %r12\n    setne %cl\n    addb %cl, %al\n"
        "    incq %rdi\n    cmpq %rdi, %r13\n    setne %cl\n    addb %cl, %al\n"
        "    incq %rdi\n    cmpq %rdi, %r14\n    setne %cl\n    addb %cl, %al\n"
        "    incq %rdi\n    cmpq %rdi, %r15\n    setne %cl\n    addb %cl, %al\n"
        "    incq %rdi\n    cmpq %rdi, %rbp\n    setne %cl\n    addb %cl, %al\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n"
        "    popq %rbp\n    ret\n");
#elif defined(__aarch64__)
/* As above; the frame pointer is not among them, as all operands are found by it. */
static NOT_INLINED int coir_test_registers(uint64_t pattern, int (*fn)(void))
{
    uint64_t wrong;
    __asm__ volatile(
        "ldr x9, %[pattern]\n"
        ".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28\n add x\\n, x9, #\\n\n .endr\n"
        ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n add x10, x9, #\\n\n fmov d\\n, x10\n .endr\n"
        "ldr x10, %[fn]\n blr x10\n"
        "ldr x9, %[pattern]\n mov x11, #0\n"
        ".irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28\n"
        "add x10, x9, #\\n\n cmp x10, x\\n\n cinc x11, x11, ne\n .endr\n"
        ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "add x10, x9, #\\n\n fmov x12, d\\n\n cmp x10, x12\n cinc x11, x11, ne\n .endr\n"
        "str x11, %[wrong]\n"
        : [wrong] "=m"(wrong)
        : [pattern] "m"(pattern), [fn] "m"(fn)
        : "memory", "cc", "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
          "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24",
          "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8",
          "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21",
          "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
    return (int)wrong;
}
#else
/* As above; the frame pointer is not among them, as all operands are found by it. */
static NOT_INLINED int coir_test_registers(uint64_t pattern, int (*fn)(void))
{
    uint64_t wrong;
    __asm__ volatile("ld t0, %[pattern]\n fmv.d.x fs0, t0\n"
                     ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "addi s\\n, t0, \\n\n fmv.d.x fs\\n, s\\n\n .endr\n"
                     "ld t1, %[fn]\n jalr t1\n"
                     "ld t0, %[pattern]\n fmv.x.d t1, fs0\n xor t1, t1, t0\n snez t3, t1\n"
                     ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
                     "addi t1, t0, \\n\n xor t2, t1, s\\n\n snez t2, t2\n add t3, t3, t2\n"
                     "fmv.x.d t2, fs\\n\n xor t2, t1, t2\n snez t2, t2\n add t3, t3, t2\n .endr\n"
                     "sd t3, %[wrong]\n"
                     : [wrong] "=m"(wrong)
                     : [pattern] "m"(pattern), [fn] "m"(fn)
                     : "memory", "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a0", "a1", "a2",
                       "a3", "a4", "a5", "a6", "a7", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8",
                       "s9", "s10", "s11", "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7",
                       "ft8", "ft9", "ft10", "ft11", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
                       "fa6", "fa7", "fs0", "fs1", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8",
                       "fs9", "fs10", "fs11");
    return (int)wrong;
}
#endif

static int yield_somehow(void)
{
    return coir_yield();
}

static int sleep_somehow(void)
{
    return coir_sleep(10);
}

static int keep_registers(void *arg)
{
    uint64_t pattern = UINT64_C(0x0123456789abcdef) * (uint64_t) * (int *)arg;
    for (unsigned i = 0; i < 200; i++) {
        COIR_EXPECT_EQ(coir_test_registers(pattern + i, yield_somehow), 0);
        COIR_EXPECT_EQ(coir_test_registers(~pattern + i, sleep_somehow), 0);
    }
    return 0;
}

COIR_TEST_TAGGED(registers_survive_switches, "no_torture")
{
    int numbers[] = {1, 2, 3, 4, 5};
    COIR_EXPECT_OK(coir_map(keep_registers, numbers, 5, sizeof numbers[0], NULL));
}

/* The rounding mode: upwards, or to the nearest. */
static void round_upwards(bool upwards)
{
#if defined(__x86_64__)
    uint32_t mxcsr = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(upwards ? mxcsr | 0x4000 : mxcsr & ~0x6000U);
    uint16_t word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    word = (uint16_t)(upwards ? word | 0x800 : word & ~0xc00U);
    __asm__ volatile("fldcw %0" : : "m"(word));
#elif defined(__riscv)
    __asm__ volatile("fsrm %0" : : "r"(upwards ? 3UL : 0UL));
#else
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = upwards ? fpcr | 0x400000 : fpcr & ~UINT64_C(0xc00000);
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
#endif
}

static bool rounds_upwards(void)
{
#if defined(__x86_64__)
    uint16_t word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    bool x87 = (word & 0xc00) == 0x800;
    COIR_EXPECT_EQ(x87, (__builtin_ia32_stmxcsr() & 0x6000) == 0x4000);
    return x87;
#elif defined(__riscv)
    uint64_t mode;
    __asm__ volatile("frrm %0" : "=r"(mode));
    return mode == 3;
#else
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (fpcr & 0xc00000) == 0x400000;
#endif
}

struct rounding {
    bool other, callback, fresh, kept;
};

static int look_at_rounding(void *arg)
{
    *(bool *)arg = rounds_upwards();
    return 0;
}

static void look_in_callback(void *arg)
{
    *(bool *)arg = rounds_upwards();
}

/* Was there before the other one changed its mode. */
static int look_later(void *arg)
{
    struct rounding *rounding = arg;
    COIR_TRY(coir_sleep(10));
    rounding->other = rounds_upwards();
    return 0;
}

static int change_rounding(void *arg)
{
    struct rounding *rounding = arg;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, look_later, rounding, NULL));
    COIR_TRY(coir_sleep(5));
    round_upwards(true);
    COIR_TRY(coir_call_soon(coir_loop_current(), look_in_callback, &rounding->callback, NULL));
    COIR_TRY(coir_sleep(1));
    COIR_TRY(coir_spawn(&group, look_at_rounding, &rounding->fresh, NULL));
    COIR_TRY(coir_sleep(20));
    rounding->kept = rounds_upwards();
    return coir_group_wait(&group); /* ends with the mode changed */
}

COIR_TEST_TAGGED(rounding_is_a_tasks_own_where_asked_for, "own_loop")
{
    struct rounding rounding = {.kept = false};
    coir_loop_opts opts = coir_test_loop_opts();
    opts.fp_control = true;
    int r = coir_run(change_rounding, &rounding, &opts, NULL);
    bool after = rounds_upwards();
    round_upwards(false);
    COIR_EXPECT_OK(r);
    COIR_EXPECT(rounding.kept);
    COIR_EXPECT(!rounding.other);
    COIR_EXPECT(!rounding.fresh);
    COIR_EXPECT(!rounding.callback);
    COIR_EXPECT(!after);
}

/* Without the option it is the thread's, as documented: a switch does not pay for it. */
COIR_TEST_TAGGED(rounding_is_the_threads_otherwise, "own_loop")
{
    struct rounding rounding = {.kept = false};
    coir_loop_opts opts = coir_test_loop_opts();
    int r = coir_run(change_rounding, &rounding, &opts, NULL);
    round_upwards(false);
    COIR_EXPECT_OK(r);
    COIR_EXPECT(rounding.kept);
    COIR_EXPECT(rounding.other);
}
