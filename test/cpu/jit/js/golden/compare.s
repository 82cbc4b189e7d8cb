eb01001f  cmp x0, x1
54000108  b.hi 0x40000024
7100145f  cmp w2, #0x5
1a85d083  csel w3, w4, w5, le
fa431804  ccmp x0, #0x3, #0x4, ne
54000080  b.eq 0x40000024
b6400043  tbz x3, #40, 0x40000020
17fffff8  b 0x3ffffffc
