// Entry at EL3, exception vectors of EL3, the way into a lower state and back, and the page that all states share.

#include "layout.h"

#define STACK 16384
#include "../start.S"

    .section .head, "ax"
    .globl _start
_start:
    msr     daifset, #15
    address x1, vectors_el3
    msr     vbar_el3, x1
    msr     tpidr_el3, xzr
    msr     spsel, #1
    use_stack stack
    isb
    clear_bss
    bl      main
3:  wfi
    b       3b

// void enter(struct context *): leaves EL3 (or stays there) by ERET, comes back with the next exception that EL3 takes.
    .text
    .globl enter
enter:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    msr     tpidr_el3, x0
    ldp     x1, x2, [x0, #CTX_ELR]
    msr     elr_el3, x1
    msr     spsr_el3, x2
    mov     x17, x0
    ldp     x0, x1, [x17, #CTX_X0]
    ldp     x2, x3, [x17, #CTX_X0 + 16]
    ldp     x4, x5, [x17, #CTX_X0 + 32]
    ldp     x6, x7, [x17, #CTX_X0 + 48]
    ldp     x8, x9, [x17, #CTX_X0 + 64]
    eret

    .macro  vector_el3 n
    mov     x18, #\n
    b       taken_el3
    .endm

    .balign 2048
vectors_el3:
    vector_table vector_el3

taken_el3:
    mrs     x17, tpidr_el3
    cbz     x17, lost
    msr     tpidr_el3, xzr
    stp     x0, x1, [x17, #CTX_X0]
    stp     x8, x9, [x17, #CTX_X0 + 64]
    stp     x10, x11, [x17, #CTX_X0 + 80]
    stp     x12, x13, [x17, #CTX_X0 + 96]
    stp     x14, x15, [x17, #CTX_X0 + 112]
    mrs     x0, elr_el3
    mrs     x1, spsr_el3
    stp     x0, x1, [x17, #CTX_ELR]
    mrs     x0, esr_el3
    mrs     x1, far_el3
    stp     x18, x0, [x17, #CTX_VECTOR]
    str     x1, [x17, #CTX_FAR]
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret

// An exception of the program itself.
lost:
    mrs     x0, esr_el3
    mrs     x1, elr_el3
    mrs     x2, far_el3
    b       unexpected

// ---- the shared page: mapped read-only and executable at VA_SHARED in every regime ------------------------------------------------------

    .section .shared, "ax"
    .balign 4096
    .globl  shared_page
    .macro  vector_low n
    mov     x10, #\n
    b       taken_low
    .endm

shared_page: // also VBAR_EL1 and VBAR_EL2
    vector_table vector_low
taken_low:
    mrs     x15, CurrentEL
    tbnz    x15, #3, 1f
    mrs     x11, esr_el1
    mrs     x12, elr_el1
    mrs     x13, far_el1
    smc     #1
1:  mrs     x11, esr_el2
    mrs     x12, elr_el2
    mrs     x13, far_el2
    smc     #2

// x0 = value, x1 = address, x9 = 1 when the way back is SVC (EL0). The instruction under test is labelled try_<name>.
    .macro  stub name, insn:vararg
    .globl  stub_\name, try_\name
stub_\name:
try_\name:
    \insn
    b       back
    .endm

    stub    load,     ldr x0, [x1]
    stub    store,    str x0, [x1]
    stub    fetch,    blr x1
    stub    atomic,   .inst 0xf8200020           // ldadd x0, x0, [x1]
    stub    pair,     ldp x0, x2, [x1]
    stub    zva,      dc zva, x1
    stub    unpriv,   ldtr x0, [x1]
    stub    clean,    dc civac, x1
    stub    prefetch, prfm pldl1keep, [x1]
    .macro  at_stub name, op
    .globl  stub_\name, try_\name
stub_\name:
try_\name:
    at      \op, x1
    isb
    mrs     x0, par_el1
    b       back
    .endm
    at_stub at_e1r,  s1e1r
    at_stub at_e1w,  s1e1w
    at_stub at_e0r,  s1e0r
    at_stub at_e2r,  s1e2r
    at_stub at_e2w,  s1e2w
    at_stub at_e3r,  s1e3r
    at_stub at_s12r, s12e1r
back:
    cbnz    x9, 2f
    smc     #0
2:  svc     #0
    .balign 4096

// What the page under test holds: a function that returns TARGET_VALUE's low half.
    .section .rodata
    .globl  target_code
    .balign 8
target_code:
    mov     x0, #0x77
    ret

    .bss
    .balign 16
stack:
    .skip   STACK
