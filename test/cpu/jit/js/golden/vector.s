4f000420  movi v0.4s, #0x1
4ea28401  add v1.4s, v0.4s, v2.4s
6e201c23  eor v3.16b, v1.16b, v0.16b
4e183c61  mov x1, v3.d[1]
4eb1b824  addv s4, v1.4s
d65f03c0  ret
