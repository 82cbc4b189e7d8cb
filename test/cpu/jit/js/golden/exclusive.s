885ffc01  ldaxr w1, [x0]
11000422  add w2, w1, #0x1
8803fc02  stlxr w3, w2, [x0]
35ffffa3  cbnz w3, 0x40000000
f8e400c5  ldaddal x4, x5, [x6]
88a77d28  cas w7, w8, [x9]
d65f03c0  ret
