// What the programs begin with: macros for the assembler. Each program has a head.S of its own, which defines STACK, the bytes of a stack.

// Header of the arm64 Image format (Linux: Documentation/arch/arm64/booting.rst): 64 bytes, the first instruction goes to \entry.
    .macro  image_header entry
    .section .head, "ax"
    .globl _start
_start:
    b       \entry                  // code0
    .long   0                       // code1
    .quad   0                       // text_offset
    .quad   _end - _start           // image_size
    .quad   0xa                     // flags: little-endian, 4 KiB pages, anywhere in memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0
    .endm

    .macro  address register, symbol:vararg
    adrp    \register, \symbol
    add     \register, \register, :lo12:\symbol
    .endm

// R_AARCH64_RELATIVE (1027) entries {offset, info, addend}: the word at base + offset becomes base + addend. x0: base, x1 to x5 are lost.
    .macro  relocate
    adr     x0, _start
    address x1, _rela
    address x2, _rela_end
1:  cmp     x1, x2
    b.hs    2f
    ldp     x3, x4, [x1], #16
    ldr     x5, [x1], #8
    cmp     x4, #1027
    b.ne    1b
    add     x5, x5, x0
    str     x5, [x0, x3]
    b       1b
2:
    .endm

// From x1 to x2, 16 bytes at a time.
    .macro  clear
1:  cmp     x1, x2
    b.hs    2f
    stp     xzr, xzr, [x1], #16
    b       1b
2:
    .endm

    .macro  clear_bss
    address x1, _bss
    address x2, _bss_end
    clear
    .endm

// SP: the end of the STACK bytes at \name. x1 is lost.
    .macro  use_stack name
    address x1, \name + STACK
    mov     sp, x1
    .endm

// Sixteen entries of 128 bytes: \entry with the number of each.
    .macro  vector_table entry
    .irp    kind, 0,1,2,3, 4,5,6,7, 8,9,10,11, 12,13,14,15
    .balign 128
    \entry  \kind
    .endr
    .endm
