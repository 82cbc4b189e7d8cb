d3607c21  lsl x1, x1, #32
93c23442  ror x2, x2, #13
9bc57c83  umulh x3, x4, x5
9ac808e6  udiv x6, x7, x8
dac00d29  rev x9, x9
dac0116a  clz x10, x11
1ace0dac  sdiv w12, w13, w14
d4000001  svc #0x0
