/* debug_frames.c: walks over stacks begin with registers and words that may be anything, and read
 * nothing that is not there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <coir/coir.h>
#include <coir/testing.h>

#include "debug/debug.h"

static void set_registers(ucontext_t *context, uintptr_t sp, uintptr_t fp)
{
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
    context->uc_mcontext.gregs[REG_RBP] = (greg_t)fp;
#elif defined(__riscv)
    context->uc_mcontext.__gregs[2] = sp;
    context->uc_mcontext.__gregs[8] = fp;
#else
    context->uc_mcontext.sp = sp;
    context->uc_mcontext.regs[29] = fp;
#endif
}

/* Compilers keep in the frame pointer whatever they like, where they are told to keep none. */
COIR_TEST_TAGGED(a_frame_pointer_may_be_anything, "no_torture")
{
    uintptr_t stack[64] = {0};
    uintptr_t low = (uintptr_t)stack, high = (uintptr_t)(stack + 64);
    const uintptr_t values[] = {0,
                                1,
                                8,
                                16,
                                4096,
                                low - 8,
                                low + 4,
                                high - 8,
                                high - 4,
                                high,
                                high + 8,
                                UINTPTR_MAX / 2 + 1,
                                UINTPTR_MAX - 31,
                                UINTPTR_MAX - 15,
                                UINTPTR_MAX - 7,
                                UINTPTR_MAX};
    struct coir__sample *sample = malloc(sizeof *sample);
    COIR_REQUIRE(sample != NULL);
    for (size_t i = 0; i < COIR_COUNT(values); i++) {
        ucontext_t context = {0};
        struct coir__frames frames;
        struct coir__symbols symbols = {.count = 0};
        set_registers(&context, low, values[i]);
        coir__sample_take(sample, 1, &context, low, high);
        COIR_EXPECT_EQ(sample->chain.count, 0);
        COIR_EXPECT_EQ(sample->length, sizeof stack);
        coir__frames_sampled(sample, &symbols, &frames);
        COIR_EXPECT_EQ(frames.count, 0);
        coir__symbols_close(&symbols);
    }
    free(sample);
}

COIR_TEST_TAGGED(a_return_address_may_be_anything, "no_torture")
{
    int local = 0;
    uintptr_t program = (uintptr_t)__builtin_return_address(0);
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    COIR_REQUIRE(page != MAP_FAILED);
    const uintptr_t values[] = {0,
                                1,
                                5,
                                4096,
                                (uintptr_t)&local,
                                (uintptr_t)page,
                                (uintptr_t)page + 64,
                                (uintptr_t)page + 4096,
                                UINTPTR_MAX / 2 + 4,
                                UINTPTR_MAX - 3,
                                UINTPTR_MAX};
    for (size_t i = 0; i < COIR_COUNT(values); i++) {
        COIR_EXPECT(!coir__call_before(values[i]));
        COIR_EXPECT_EQ(coir__call_target(values[i]), 0);
    }
    COIR_EXPECT(coir__call_before(program));
    COIR_EXPECT_EQ(munmap(page, 4096), 0);
}

/* Whatever stands in front of an address of the program, it is not followed out of it. */
COIR_TEST_TAGGED(all_code_can_be_asked_for_its_calls, "no_torture")
{
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    size_t calls = 0, targets = 0;
    for (uintptr_t at = here - 20000; at < here + 20000; at++) {
        calls += coir__call_before(at);
        targets += coir__call_target(at) != 0;
    }
    COIR_EXPECT_GT(calls, 100);
    COIR_EXPECT_LT(targets, calls);
}
