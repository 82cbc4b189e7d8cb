1e620820  fmul d0, d1, d2
1e632000  fcmp d0, d3
54000044  b.mi 0x40000010
9e780000  fcvtzs x0, d0
9e620001  scvtf d1, x0
d65f03c0  ret
