/* switch_riscv64.S: the stack switch for 64-bit RISC-V with hardware doubles (lp64d).
 *
 * Keeps what a callee must keep (s0 to s11, fs0 to fs11) and the return address on the stack of the
 * context that stops, and the stack pointer in its record. It leaves by a jump through t1, which no
 * predictor takes for a return (ra and t0 are what it watches): the return-address stack knows
 * nothing of the other context.
 *
 * Offsets in struct coir__context: sp 0, result 8. The frame pointer (s0) lies at 0 and the return
 * address at 8 of what is saved; frames.c and coir__context_make() know that.
 */
#if __riscv_xlen != 64 || !defined(__riscv_float_abi_double)
#error "coir has a stack switch for RISC-V with 64 bits and the ABI lp64d"
#endif

#define SAVED 208

        .macro each_saved do            /* the register, its kind, and where it lies */
        \do s0, , 0
        \do ra, , 8
        \do s1, , 16
        \do s2, , 24
        \do s3, , 32
        \do s4, , 40
        \do s5, , 48
        \do s6, , 56
        \do s7, , 64
        \do s8, , 72
        \do s9, , 80
        \do s10, , 88
        \do s11, , 96
        \do fs0, f, 104
        \do fs1, f, 112
        \do fs2, f, 120
        \do fs3, f, 128
        \do fs4, f, 136
        \do fs5, f, 144
        \do fs6, f, 152
        \do fs7, f, 160
        \do fs8, f, 168
        \do fs9, f, 176
        \do fs10, f, 184
        \do fs11, f, 192
        .endm

        .macro save register, kind, at
        \kind\()sd \register, \at(sp)
        .cfi_offset \register, \at - SAVED
        .endm

        .macro load register, kind, at
        .ifc \register, ra
        ld t1, \at(sp)
        .else
        \kind\()ld \register, \at(sp)
        .endif
        .endm

        .macro loaded register, kind, at
        .ifc \register, ra
        .cfi_register ra, t1
        .else
        .cfi_restore \register
        .endif
        .endm

        .text

        .p2align 4
        .globl coir__switch_raw
        .hidden coir__switch_raw
        .type coir__switch_raw, @function
coir__switch_raw:                       /* a0: from, a1: to */
        .cfi_startproc
        addi sp, sp, -SAVED
        .cfi_def_cfa_offset SAVED
        each_saved save
        sd sp, 0(a0)
        ld sp, 0(a1)
        lw a0, 8(a1)
        each_saved load
        each_saved loaded
        addi sp, sp, SAVED
        .cfi_def_cfa_offset 0
        jr t1
        .cfi_endproc
        .size coir__switch_raw, .-coir__switch_raw

/* Resumes a context without keeping the running one. */
        .p2align 4
        .globl coir__switch_to_raw
        .hidden coir__switch_to_raw
        .type coir__switch_to_raw, @function
coir__switch_to_raw:                    /* a0: to */
        .cfi_startproc
        .cfi_undefined ra
        ld sp, 0(a0)
        lw a0, 8(a0)
        each_saved load
        addi sp, sp, SAVED
        jr t1
        .cfi_endproc
        .size coir__switch_to_raw, .-coir__switch_to_raw

/* Where a new task begins: s1 holds the task, the stack is aligned, and backtraces end here. */
        .p2align 4
        .globl coir__task_entry
        .hidden coir__task_entry
        .type coir__task_entry, @function
coir__task_entry:
        .cfi_startproc
        .cfi_undefined ra
        mv a0, s1
        call coir__task_main
        ebreak
        .cfi_endproc
        .size coir__task_entry, .-coir__task_entry

        .section .note.GNU-stack, "", @progbits
