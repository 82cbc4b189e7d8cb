91000400  add x0, x0, #0x1
d5033bbf  dmb ish
d5033fdf  isb
d50b7e20  dc civac, x0
