1e222820  fadd s0, s1, s2
1e23c040  fcvt h0, s2
1e24c005  frintp s5, s0
d65f03c0  ret
