// Image header, entry of both PEs, exception vectors of EL2 and EL1, and run_asm: the way from the monitor (C, EL2) into a test.

#include "offsets.h"

#define STACK 32768
#include "../start.S"

    image_header first_pe

first_pe:
    adr     x1, _bss
    address x2, _bss_end
    address x1, _bss
    clear
    msr     spsel, #1
    use_stack first_stack
    bl      set_vectors
    bl      tests_main
3:  wfi
    b       3b

// Entry of the second PE, by PSCI CPU_ON.
    .globl second_pe
second_pe:
    msr     spsel, #1
    use_stack second_stack
    mov     x19, x0
    bl      set_vectors
    mov     x0, x19
    bl      second_main
4:  wfi
    b       4b

set_vectors:
    address x1, el2_vectors
    msr     vbar_el2, x1
    msr     tpidr_el2, xzr
    isb
    ret

// void run_asm(struct run *): enters the code at r->pc with PSTATE r->spsr; comes back with the first exception taken to EL2.
    .globl run_asm
run_asm:
    sub     sp, sp, #96
    stp     x19, x20, [sp]
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    mov     x1, sp
    str     x1, [x0, #RUN_SAVED_SP]
    msr     tpidr_el2, x0
    ldr     x1, [x0, #RUN_PC]
    msr     elr_el2, x1
    ldr     x1, [x0, #RUN_SPSR]
    msr     spsr_el2, x1
    ldr     x1, [x0, #RUN_SP0]
    msr     sp_el0, x1
    ldr     x1, [x0, #RUN_SP1]
    msr     sp_el1, x1
    ldp     x2, x3, [x0, #16]
    ldp     x4, x5, [x0, #32]
    ldp     x6, x7, [x0, #48]
    ldp     x0, x1, [x0]
    eret

    .macro  el2_vector kind
    msr     tpidrro_el0, x0         // the one scratch register that no test looks at
    mrs     x0, tpidr_el2
    cbz     x0, unexpected
    str     x1, [x0, #8]
    mov     x1, #\kind * 0x80
    b       common
    .endm

    .text
    .balign 2048
el2_vectors:
    vector_table el2_vector

common:
    str     x1, [x0, #RUN_VECTOR]
    mrs     x1, tpidrro_el0
    str     x1, [x0]
    stp     x2, x3, [x0, #16]
    stp     x4, x5, [x0, #32]
    stp     x6, x7, [x0, #48]
    mrs     x1, esr_el2
    mrs     x2, far_el2
    stp     x1, x2, [x0, #RUN_ESR2]
    mrs     x1, elr_el2
    mrs     x2, spsr_el2
    stp     x1, x2, [x0, #RUN_ELR2]
    mrs     x1, hpfar_el2
    str     x1, [x0, #RUN_HPFAR]
    mrs     x3, hcr_el2
    tbnz    x3, #34, 1f
    mrs     x1, esr_el1
    mrs     x2, far_el1
    mrs     x4, elr_el1
    mrs     x5, spsr_el1
    b       2f
1:  mrs     x1, S3_5_C5_C2_0        // ESR_EL12
    mrs     x2, S3_5_C6_C0_0        // FAR_EL12
    mrs     x4, S3_5_C4_C0_1        // ELR_EL12
    mrs     x5, S3_5_C4_C0_0        // SPSR_EL12
2:  stp     x1, x2, [x0, #RUN_ESR1]
    stp     x4, x5, [x0, #RUN_ELR1]
    mrs     x1, sp_el0
    str     x1, [x0, #RUN_SP0]
    ldr     x1, [x0, #RUN_SAVED_SP]
    mov     sp, x1
    msr     tpidr_el2, xzr
    ldp     x19, x20, [sp]
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    add     sp, sp, #96
    ret

// An exception in the monitor itself.
unexpected:
    address x0, first_stack + STACK
    mov     sp, x0
    msr     sctlr_el2, xzr
    isb
    mrs     x0, esr_el2
    mrs     x1, elr_el2
    mrs     x2, far_el2
    b       monitor_fault

// Vectors of EL1: nothing is touched, the kind of the exception goes to EL2 in the immediate of an HVC.
    .macro  el1_vector kind
    hvc     #0x100 + \kind
    .endm

    .section .snip.vectors, "ax"
    .balign 2048
    .globl  el1_vectors
el1_vectors:
    vector_table el1_vector
    .balign 4096
    .globl  generated
generated:                          // code made at run time
    .skip   4096

    .bss
    .balign 16
first_stack:
    .skip   STACK
second_stack:
    .skip   STACK
