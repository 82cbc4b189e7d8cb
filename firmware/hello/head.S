// Image header, entry points of the first and of the other PEs, exception vectors.

#define STACK 16384

    .section .head, "ax"
    .globl _start
_start:
    // Header of the arm64 Image format (Linux: Documentation/arch/arm64/booting.rst).
    b       first_pe                // code0
    .long   0                       // code1
    .quad   0                       // text_offset
    .quad   _end - _start           // image_size
    .quad   0xa                     // flags: little-endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

// x0 = address of the device tree, MMU off, interrupts masked.
first_pe:
    mov     x19, x0
    // R_AARCH64_RELATIVE (1027) entries {offset, info, addend}: the word at base + offset becomes base + addend.
    adr     x0, _start
    adrp    x1, _rela
    add     x1, x1, :lo12:_rela
    adrp    x2, _rela_end
    add     x2, x2, :lo12:_rela_end
1:  cmp     x1, x2
    b.hs    2f
    ldp     x3, x4, [x1], #16
    ldr     x5, [x1], #8
    cmp     x4, #1027
    b.ne    1b
    add     x5, x5, x0
    str     x5, [x0, x3]
    b       1b
2:  adrp    x1, _bss
    add     x1, x1, :lo12:_bss
    adrp    x2, _bss_end
    add     x2, x2, :lo12:_bss_end
3:  cmp     x1, x2
    b.hs    4f
    stp     xzr, xzr, [x1], #16
    b       3b
4:  adrp    x1, first_stack + STACK
    add     x1, x1, :lo12:first_stack + STACK
    mov     sp, x1
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
    adrp    x1, vectors
    add     x1, x1, :lo12:vectors
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
    .balign 128
    sub     sp, sp, #272
    stp     x0, x1, [sp]
    mov     x0, #\kind
    b       common
    .endm

    .balign 2048
vectors:
    .irp    kind, 0,1,2,3, 4,5,6,7, 8,9,10,11, 12,13,14,15
    vector  \kind
    .endr

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
