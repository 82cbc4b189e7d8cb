a9bf7bfd  stp x29, x30, [sp, #-16]!
910003fd  mov x29, sp
90000000  adrp x0, 0x40000000
94000800  bl 0x4000200c
