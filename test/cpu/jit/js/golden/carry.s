ab020004  adds x4, x0, x2
ba030025  adcs x5, x1, x3
1a9f37e6  cset w6, cs
14000010  b 0x4000004c
