// Image header, entry points of the first and of the other PEs, exception vectors.

#define STACK 16384
#include "../start.S"

    image_header first_pe

// x0 = address of the device tree, MMU off, interrupts masked.
first_pe:
    mov     x19, x0
    relocate
    clear_bss
    use_stack first_stack
    bl      set_vectors
    mov     x0, x19
    bl      hello
5:  wfi
    b       5b

// Entry of the other PEs: x0 = struct other_pe {stack, ...}.
    .globl other_pe_entry
other_pe_entry:
    ldr     x1, [x0]
    mov     sp, x1
    mov     x19, x0
    bl      set_vectors
    mov     x0, x19
    bl      other_pe_main
6:  wfi
    b       6b

set_vectors:
    address x1, vectors
    mrs     x2, CurrentEL
    cmp     x2, #8
    b.ne    7f
    msr     vbar_el2, x1
    isb
    ret
7:  msr     vbar_el1, x1
    isb
    ret

// ---- exceptions: everything is saved, trap(frame, kind) looks at it, everything is restored -----------------------------------

    .macro  vector kind
    sub     sp, sp, #272
    stp     x0, x1, [sp]
    mov     x0, #\kind
    b       common
    .endm

    .balign 2048
vectors:
    vector_table vector

common:
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    str     x30, [sp, #240]
    mov     x1, x0
    mrs     x2, CurrentEL
    cmp     x2, #8
    b.ne    1f
    mrs     x3, elr_el2
    mrs     x4, spsr_el2
    b       2f
1:  mrs     x3, elr_el1
    mrs     x4, spsr_el1
2:  stp     x3, x4, [sp, #248]
    mov     x0, sp
    bl      trap
    ldp     x3, x4, [sp, #248]
    mrs     x2, CurrentEL
    cmp     x2, #8
    b.ne    3f
    msr     elr_el2, x3
    msr     spsr_el2, x4
    b       4f
3:  msr     elr_el1, x3
    msr     spsr_el1, x4
4:  ldp     x0, x1, [sp]
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x19, [sp, #144]
    ldp     x20, x21, [sp, #160]
    ldp     x22, x23, [sp, #176]
    ldp     x24, x25, [sp, #192]
    ldp     x26, x27, [sp, #208]
    ldp     x28, x29, [sp, #224]
    ldr     x30, [sp, #240]
    add     sp, sp, #272
    eret

    .bss
    .balign 16
first_stack:
    .skip   STACK
