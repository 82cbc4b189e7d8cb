// Image header and entry: to EL1, stack, bss, vectors, MMU and caches, then bench().

#define STACK 65536
#include "../start.S"

    image_header entry

// MMU off, interrupts masked, EL1 or EL2.
entry:
    mrs     x19, CurrentEL
    cmp     x19, #8
    cset    x19, eq                 // did we start at EL2?
    b.ne    at_el1
    mov     x0, #1 << 31            // HCR_EL2.RW: EL1 is AArch64; no traps, no stage 2
    msr     hcr_el2, x0
    mov     x0, #0x33ff             // CPTR_EL2: only what is RES1; FP is not trapped
    msr     cptr_el2, x0
    mov     x0, #3                  // CNTHCTL_EL2: EL1 reads counter and timer
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #9                  // ICC_SRE_EL2: Enable, SRE
    msr     S3_4_C12_C9_5, x0
    isb
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    ldr     x0, =0x30d00800         // SCTLR_EL1: RES1 bits, so MMU and caches off
    msr     sctlr_el1, x0
    mov     x0, #0x3c5              // EL1h, interrupts masked
    msr     spsr_el2, x0
    adr     x0, at_el1
    msr     elr_el2, x0
    eret

at_el1:
    relocate
    clear_bss
    use_stack stack
    address x1, vectors
    msr     vbar_el1, x1
    mov     x0, #3 << 20            // CPACR_EL1.FPEN
    msr     cpacr_el1, x0
    msr     fpcr, xzr
    adrp    x1, started_at_el2
    str     x19, [x1, :lo12:started_at_el2]
    bl      mmu_on
    bl      bench
5:  wfi
    b       5b

// Addresses of 39 bits, a level 1 table with blocks of 1 GiB, flat: the first one devices, the others memory. The program itself stands in
// pages of 4 KiB (a level 2 and a level 3 table for the 2 MiB at its start), as the code of an operating system does.
mmu_on:
    address x0, level1
    ldr     x1, =0x60000000000401   // block, AF, AttrIndx 0, UXN, PXN
    str     x1, [x0]
    mov     x1, #0x705              // block, AF, inner shareable, AttrIndx 1
    mov     x2, #1
1:  orr     x3, x1, x2, lsl #30
    str     x3, [x0, x2, lsl #3]
    add     x2, x2, #1
    cmp     x2, #512
    b.ne    1b

    adr     x4, _start
    address x5, level2
    orr     x3, x5, #3              // the 1 GiB around _start: a table of blocks of 2 MiB
    ubfx    x2, x4, #30, #9
    str     x3, [x0, x2, lsl #3]
    and     x6, x4, #~0x3fffffff
    mov     x2, #0
2:  add     x3, x6, x2, lsl #21
    orr     x3, x3, x1
    str     x3, [x5, x2, lsl #3]
    add     x2, x2, #1
    cmp     x2, #512
    b.ne    2b

    address x7, level3
    orr     x3, x7, #3              // the 2 MiB around _start: a table of pages
    ubfx    x2, x4, #21, #9
    str     x3, [x5, x2, lsl #3]
    and     x6, x4, #~0x1fffff
    mov     x1, #0x707
    mov     x2, #0
3:  add     x3, x6, x2, lsl #12
    orr     x3, x3, x1
    str     x3, [x7, x2, lsl #3]
    add     x2, x2, #1
    cmp     x2, #512
    b.ne    3b

    mov     x1, #0xff00             // MAIR_EL1: 0 Device-nGnRnE, 1 Normal write-back
    msr     mair_el1, x1
    ldr     x1, =0x200803519        // TCR_EL1: T0SZ 25, 4 KiB, write-back, inner shareable, EPD1, IPS 40 bits
    msr     tcr_el1, x1
    msr     ttbr0_el1, x0
    dsb     sy
    tlbi    vmalle1
    ic      iallu
    dsb     sy
    isb
    ldr     x1, =0x30d0181d         // SCTLR_EL1: RES1 bits, M, C, I, SA, SA0
    msr     sctlr_el1, x1
    isb
    ret

// No exception is expected: trap(kind, ESR, ELR, FAR) says so and switches off.
    .macro  vector kind
    mov     x0, #\kind
    mrs     x1, esr_el1
    mrs     x2, elr_el1
    mrs     x3, far_el1
    b       trap
    .endm

    .balign 2048
vectors:
    vector_table vector

    .ltorg

    .bss
    .globl  started_at_el2
    .balign 4096
level1:
    .skip   4096
level2:
    .skip   4096
level3:
    .skip   4096
stack:
    .skip   STACK
started_at_el2:
    .skip   16
