/* switch_aarch64.S: the stack switch for the AArch64 procedure call standard.
 *
 * Keeps what a callee must keep (x19 to x30, d8 to d15) on the stack of the context that stops,
 * and the stack pointer in its record. The return address is signed before it is stored and
 * authenticated before it is used (a no-op where the processor does not know how). Returns by
 * ret, since branch targets without a landing pad may not be jumped to.
 *
 * Offsets in struct coir__context: sp 0, result 8.
 */
        .text

        .p2align 4
        .globl coir__switch_raw
        .hidden coir__switch_raw
        .type coir__switch_raw, %function
coir__switch_raw:                       /* x0: from, x1: to */
        .cfi_startproc
        hint #25                        /* paciasp */
        .cfi_negate_ra_state
        sub sp, sp, #160
        .cfi_def_cfa_offset 160
        stp x29, x30, [sp, #0]
        .cfi_offset x29, -160
        .cfi_offset x30, -152
        stp x19, x20, [sp, #16]
        stp x21, x22, [sp, #32]
        stp x23, x24, [sp, #48]
        stp x25, x26, [sp, #64]
        stp x27, x28, [sp, #80]
        stp d8, d9, [sp, #96]
        stp d10, d11, [sp, #112]
        stp d12, d13, [sp, #128]
        stp d14, d15, [sp, #144]
        mov x9, sp
        str x9, [x0]
        ldr x9, [x1]
        ldr w0, [x1, #8]
        mov sp, x9
        ldp x29, x30, [sp, #0]
        ldp x19, x20, [sp, #16]
        ldp x21, x22, [sp, #32]
        ldp x23, x24, [sp, #48]
        ldp x25, x26, [sp, #64]
        ldp x27, x28, [sp, #80]
        ldp d8, d9, [sp, #96]
        ldp d10, d11, [sp, #112]
        ldp d12, d13, [sp, #128]
        ldp d14, d15, [sp, #144]
        add sp, sp, #160
        .cfi_def_cfa_offset 0
        hint #29                        /* autiasp */
        .cfi_negate_ra_state
        ret
        .cfi_endproc
        .size coir__switch_raw, .-coir__switch_raw

/* Resumes a context without keeping the running one. */
        .p2align 4
        .globl coir__switch_to_raw
        .hidden coir__switch_to_raw
        .type coir__switch_to_raw, %function
coir__switch_to_raw:                    /* x0: to */
        .cfi_startproc
        hint #34                        /* bti c */
        .cfi_undefined x30
        ldr x9, [x0]
        ldr w0, [x0, #8]
        mov sp, x9
        ldp x29, x30, [sp, #0]
        ldp x19, x20, [sp, #16]
        ldp x21, x22, [sp, #32]
        ldp x23, x24, [sp, #48]
        ldp x25, x26, [sp, #64]
        ldp x27, x28, [sp, #80]
        ldp d8, d9, [sp, #96]
        ldp d10, d11, [sp, #112]
        ldp d12, d13, [sp, #128]
        ldp d14, d15, [sp, #144]
        add sp, sp, #160
        hint #29                        /* autiasp */
        ret
        .cfi_endproc
        .size coir__switch_to_raw, .-coir__switch_to_raw

/* Signs the return address of a new context for its stack: x0 is the stack pointer that it will
 * have, x1 the address. */
        .p2align 4
        .globl coir__sign_return
        .hidden coir__sign_return
        .type coir__sign_return, %function
coir__sign_return:
        .cfi_startproc
        hint #34                        /* bti c */
        mov x9, x30
        mov x10, sp
        mov sp, x0
        mov x30, x1
        hint #25                        /* paciasp */
        mov x0, x30
        mov sp, x10
        mov x30, x9
        ret
        .cfi_endproc
        .size coir__sign_return, .-coir__sign_return

/* Where a new task begins: x19 holds the task, and backtraces end here. */
        .p2align 4
        .globl coir__task_entry
        .hidden coir__task_entry
        .type coir__task_entry, %function
coir__task_entry:
        .cfi_startproc
        .cfi_undefined x30
        hint #36                        /* bti j */
        mov x0, x19
        bl coir__task_main
        brk #1
        .cfi_endproc
        .size coir__task_entry, .-coir__task_entry

/* Branch target identification and pointer authentication are both kept. */
        .section .note.gnu.property, "a"
        .p2align 3
        .long 4, 16, 5
        .asciz "GNU"
        .long 0xc0000000, 4, 3, 0
        .section .note.GNU-stack, "", %progbits
