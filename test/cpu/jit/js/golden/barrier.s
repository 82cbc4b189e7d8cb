91000400  add x0, x0, #0x1
d5033bbf  dmb ish
d5033fdf  isb
