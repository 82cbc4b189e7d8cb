a8c27bfd  ldp x29, x30, [sp], #32
b8a37841  ldrsw x1, [x2, x3, lsl #2]
39000081  strb w1, [x4]
3dc004a0  ldr q0, [x5, #16]
3d8000c0  str q0, [x6]
b8400907  ldtr w7, [x8]
d65f03c0  ret
