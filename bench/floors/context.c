/* The floors' stack switch; see context.h. Owns no state: a saved context is its stack pointer,
 * and everything else lies on its stack. */
#include "context.h"

__asm__(".text\n"
        ".p2align 4\n"
        ".globl context_switch\n"
        ".type context_switch, @function\n"
        "context_switch:\n"
        "    popq %rdx\n" /* where to come back to */
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    pushq %rdx\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %rdx\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    jmpq *%rdx\n"
        ".size context_switch, .-context_switch\n"
        ".p2align 4\n"
        ".globl context_entry\n"
        ".hidden context_entry\n"
        ".type context_entry, @function\n"
        "context_entry:\n"
        "    movq %r12, %rdi\n"
        "    callq *%rbx\n"
        "    ud2\n"
        ".size context_entry, .-context_entry\n");

extern char context_entry[] __attribute__((visibility("hidden")));

void *context_make(char *stack_top, void (*entry)(void *), void *arg)
{
    uint64_t *sp = (uint64_t *)((uintptr_t)stack_top & ~(uintptr_t)15);
    *--sp = 0; /* keeps the stack aligned at entry */
    *--sp = 0;
    *--sp = 0;               /* rbp */
    *--sp = (uint64_t)entry; /* rbx */
    *--sp = (uint64_t)arg;   /* r12 */
    *--sp = 0;               /* r13 */
    *--sp = 0;               /* r14 */
    *--sp = 0;               /* r15 */
    *--sp = (uint64_t)context_entry;
    return sp;
}
