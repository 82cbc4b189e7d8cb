// Ways to copy and to clear memory. x0 to, x1 from, x2 bytes; forms with a unit take a multiple of it, at least one.

    .text

    // 64 bytes a round through X registers.
    .globl copy_x
copy_x:
    ldp     x3, x4, [x1]
    ldp     x5, x6, [x1, #16]
    ldp     x7, x8, [x1, #32]
    ldp     x9, x10, [x1, #48]
    add     x1, x1, #64
    stp     x3, x4, [x0]
    stp     x5, x6, [x0, #16]
    stp     x7, x8, [x0, #32]
    stp     x9, x10, [x0, #48]
    add     x0, x0, #64
    subs    x2, x2, #64
    b.ne    copy_x
    ret

    // 128 bytes a round through Q registers.
    .globl copy_q
copy_q:
    ldp     q0, q1, [x1]
    ldp     q2, q3, [x1, #32]
    ldp     q4, q5, [x1, #64]
    ldp     q6, q7, [x1, #96]
    add     x1, x1, #128
    stp     q0, q1, [x0]
    stp     q2, q3, [x0, #32]
    stp     q4, q5, [x0, #64]
    stp     q6, q7, [x0, #96]
    add     x0, x0, #128
    subs    x2, x2, #128
    b.ne    copy_q
    ret

    // 64 bytes a round, from the end, with writeback.
    .globl copy_back
copy_back:
    add     x0, x0, x2
    add     x1, x1, x2
1:  ldp     q0, q1, [x1, #-32]!
    ldp     q2, q3, [x1, #-32]!
    stp     q0, q1, [x0, #-32]!
    stp     q2, q3, [x0, #-32]!
    subs    x2, x2, #64
    b.ne    1b
    ret

    // 64 bytes a round by structure loads and stores.
    .globl copy_ld1
copy_ld1:
    ld1     {v0.16b-v3.16b}, [x1], #64
    st1     {v0.16b-v3.16b}, [x0], #64
    subs    x2, x2, #64
    b.ne    copy_ld1
    ret

    // Byte by byte.
    .globl copy_bytes
copy_bytes:
    ldrb    w3, [x1], #1
    strb    w3, [x0], #1
    subs    x2, x2, #1
    b.ne    copy_bytes
    ret

    // Any number of bytes, as libraries do it: by size, with accesses that overlap.
    .globl copy_any
copy_any:
    add     x4, x1, x2
    add     x5, x0, x2
    cmp     x2, #16
    b.lo    2f
    cmp     x2, #32
    b.hi    4f
    ldr     q0, [x1]
    ldr     q1, [x4, #-16]
    str     q0, [x0]
    str     q1, [x5, #-16]
    ret
2:  tbz     x2, #3, 3f
    ldr     x6, [x1]
    ldr     x7, [x4, #-8]
    str     x6, [x0]
    str     x7, [x5, #-8]
    ret
3:  cbz     x2, 7f
    lsr     x8, x2, #1
    tbnz    x2, #2, 5f
    ldrb    w6, [x1]
    ldrb    w7, [x4, #-1]
    ldrb    w9, [x1, x8]
    strb    w6, [x0]
    strb    w9, [x0, x8]
    strb    w7, [x5, #-1]
    ret
5:  ldr     w6, [x1]
    ldr     w7, [x4, #-4]
    str     w6, [x0]
    str     w7, [x5, #-4]
    ret
4:  ldp     q2, q3, [x4, #-32]      // the last 32 bytes; the rest in steps of 32
    sub     x2, x2, #32
6:  ldp     q0, q1, [x1], #32
    stp     q0, q1, [x0], #32
    subs    x2, x2, #32
    b.hi    6b
    stp     q2, q3, [x5, #-32]
7:  ret

    // x0 to, x1 bytes, x2 byte: by STP of Q registers, 64 bytes a round.
    .globl fill
fill:
    dup     v0.16b, w2
1:  stp     q0, q0, [x0], #32
    stp     q0, q0, [x0], #32
    subs    x1, x1, #64
    b.ne    1b
    ret

    // x0 to (aligned), x1 bytes: by DC ZVA, whatever the size of its block.
    .globl zero
zero:
    mrs     x3, dczid_el0
    mov     x4, #4
    and     x3, x3, #15
    lsl     x4, x4, x3
1:  dc      zva, x0
    add     x0, x0, x4
    subs    x1, x1, x4
    b.hi    1b
    ret
