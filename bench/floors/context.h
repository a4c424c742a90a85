/* The least stack switch of x86-64 System V, for the floors only: callee-saved registers, and out
 * by an indirect jump, because a `ret` into another stack is always mispredicted. The library's
 * own switch is not this one. */
#ifndef COIR_BENCH_CONTEXT_H
#define COIR_BENCH_CONTEXT_H

#ifndef __x86_64__
#error "the floors are written for x86-64 only"
#endif

#include <stdint.h>

/* Saves the running stack in *from and continues the one saved in `to`. */
void context_switch(void **from, void *to);

/* Makes a stack that calls entry(arg) when first switched to; `entry` must never return. */
void *context_make(char *stack_top, void (*entry)(void *), void *arg);

/* The switch inlined: stack pointer, frame pointer and program counter; the compiler saves what
 * else lives. Build with -mno-red-zone, and keep what both sides share in variables with external
 * linkage: gcc keeps a static whose address is never taken in a register over this, in spite of
 * the clobber. */
static inline __attribute__((always_inline)) void context_switch_inline(void **from, void *to)
{
    register void **a __asm__("rdi") = from;
    register void *b __asm__("rsi") = to;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n"
                     "pushq %%rbp\n"
                     "pushq %%rax\n"
                     "movq %%rsp, (%%rdi)\n"
                     "movq %%rsi, %%rsp\n"
                     "popq %%rax\n"
                     "jmpq *%%rax\n"
                     "1: popq %%rbp\n"
                     : "+r"(a), "+r"(b)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       "memory", "cc");
}

#endif
