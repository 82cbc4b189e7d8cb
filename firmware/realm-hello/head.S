// Entry of realm-hello: an arm64 Image that runs in a realm, at EL1 with the MMU off, wherever it is loaded (4 KiB aligned).

#include "../start.S"

  image_header start

start:
  adrp  x1, stack_top
  add   sp, x1, :lo12:stack_top
  bl    realm_main
  b     .

// Second PE: x0 = context = top of its stack.
  .global secondary_start
secondary_start:
  mov   sp, x0
  bl    secondary_main
  b     .

// uint64_t smc(uint64_t regs[9]): SMC with x0..x8 from regs, which receive the results. Returns x0.
  .text
  .global smc
smc:
  stp   x29, x30, [sp, #-32]!
  str   x0, [sp, #16]
  mov   x9, x0
  ldp   x0, x1, [x9]
  ldp   x2, x3, [x9, #16]
  ldp   x4, x5, [x9, #32]
  ldp   x6, x7, [x9, #48]
  ldr   x8, [x9, #64]
  smc   #0
  ldr   x9, [sp, #16]
  stp   x0, x1, [x9]
  stp   x2, x3, [x9, #16]
  stp   x4, x5, [x9, #32]
  stp   x6, x7, [x9, #48]
  str   x8, [x9, #64]
  ldp   x29, x30, [sp], #32
  ret

  .bss
  .balign 4096
  .skip 4096
  .global stack_top
stack_top:
  .skip 4096
  .global second_stack_top
second_stack_top:
