f8408403  ldr x3, [x0], #8
8b030042  add x2, x2, x3
f1000421  subs x1, x1, #0x1
54ffffa1  b.ne 0x40000000
d65f03c0  ret
