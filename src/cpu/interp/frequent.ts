// Instructions that code executes often before it is worth translating, most frequent first: measured over boots of Debian 6.12, 98 of
// 100 interpreted ones have the form of one of these. Each word stands for all that its handler executes.

export const frequentWords: readonly number[] = [
  0xaa0003f5, // mov x21, x0
  0xf94002c0, // ldr x0, [x22]
  0x91000000, // add x0, x0, #0x0
  0xeb01001f, // cmp x0, x1
  0x8b020000, // add x0, x0, x2
  0x54000041, // b.ne 0x8
  0xd3504c63, // ubfx x3, x3, #16, #4
  0xa9017bfd, // stp x29, x30, [sp, #16]
  0x94005ff2, // bl 0x17fc8
  0xd503201f, // nop
  0x2a0503f8, // mov w24, w5
  0x0b0200c6, // add w6, w6, w2
  0x54000040, // b.eq 0x8
  0xa9417bfd, // ldp x29, x30, [sp, #16]
  0x9100a3ee, // add x14, sp, #0x28
  0xd2800082, // mov x2, #0x4
  0xd65f03c0, // ret
  0xb9400000, // ldr w0, [x0]
  0x52800007, // mov w7, #0x0
  0x71000cbf, // cmp w5, #0x3
  0x4a000080, // eor w0, w4, w0
  0xf94053e0, // ldr x0, [sp, #160]
  0x1474483b, // b 0x1d120ec
  0xb4000180, // cbz x0, 0x30
  0xf90002c1, // str x1, [x22]
  0x6b03001f, // cmp w0, w3
  0xcb130294, // sub x20, x20, x19
  0xd503233f, // paciasp
  0xd50323bf, // autiasp
  0xf90017e0, // str x0, [sp, #40]
  0x13814021, // ror w1, w1, #16
  0xf8626803, // ldr x3, [x0, x2]
  0x11006ce0, // add w0, w7, #0x1b
  0x36000040, // tbz w0, #0, 0x8
  0xf100227f, // cmp x19, #0x8
  0xa9be7bfd, // stp x29, x30, [sp, #-32]!
  0x350000e5, // cbnz w5, 0x1c
  0xa8c17bfd, // ldp x29, x30, [sp], #16
  0xca0500c6, // eor x6, x6, x5
  0x92400273, // and x19, x19, #0x1
  0x12001ce8, // and w8, w7, #0xff
  0x54000048, // b.hi 0x8
  0x34fffd00, // cbz w0, 0xffffffffffffffa0
  0xb5000093, // cbnz x19, 0x10
  0x3967b000, // ldrb w0, [x0, #2540]
  0x90001860, // adrp x0, 0x30c000
  0x540000a9, // b.ls 0x14
  0x9bb87eb5, // umull x21, w21, w24
  0x93586c21, // sbfx x1, x1, #24, #4
  0xb9000102, // str w2, [x8]
  0x37c800b3, // tbnz w19, #25, 0x14
  0xf8206883, // str x3, [x4, x0]
  0x4b160263, // sub w3, w19, w22
  0xcadefc39, // eor x25, x1, x30, ror #63
  0xf27e027f, // tst x19, #0x4
  0x8a010000, // and x0, x0, x1
  0xa9400c02, // ldp x2, x3, [x0]
  0xb2400000, // orr x0, x0, #0x1
  0x54ffffa3, // b.cc 0xfffffffffffffff4
  0xf86378e4, // ldr x4, [x7, x3, lsl #3]
  0x9a9f2673, // csinc x19, x19, xzr, cs
  0x9a951013, // csel x19, x0, x21, ne
  0xa9000415, // stp x21, x1, [x0]
  0x54000062, // b.cs 0xc
  0x51000421, // sub w1, w1, #0x1
  0xd1000443, // sub x3, x2, #0x1
  0x53105442, // ubfx w2, w2, #16, #6
  0xb94087e8, // ldr w8, [sp, #132]
  0xd63f0040, // blr x2
  0x4ac47063, // eor w3, w3, w4, ror #28
  0x8ad6caf7, // and x23, x23, x22, ror #50
  0xb874787e, // ldr w30, [x3, x20, lsl #2]
  0x3100041f, // cmn w0, #0x1
  0xaaf1aff7, // mvn x23, x17, ror #43
  0x0a1b027b, // and w27, w19, w27
  0x8b244024, // add x4, x1, w4, uxtw
  0x29441261, // ldp w1, w4, [x19, #32]
  0xd100c3ff, // sub sp, sp, #0x30
  0x910283ff, // add sp, sp, #0xa0
  0xf85f8087, // ldur x7, [x4, #-8]
  0x9ac72667, // lsr x7, x19, x7
  0x9ac32042, // lsl x2, x2, x3
  0x3864c8e4, // ldrb w4, [x7, w4, sxtw]
  0xb90087e8, // str w8, [sp, #132]
  0xaa41a821, // orr x1, x1, x1, lsr #42
  0xb8616801, // ldr w1, [x0, x1]
  0x91400400, // add x0, x0, #0x1, lsl #12
  0xf8337a80, // str x0, [x20, x19, lsl #3]
  0x8b440c00, // add x0, x0, x4, lsr #3
  0x39000006, // strb w6, [x0]
  0xf8408406, // ldr x6, [x0], #8
  0xab1a0037, // adds x23, x1, x26
  0x9a853084, // csel x4, x4, x5, cc
  0x7940040c, // ldrh w12, [x0, #2]
  0x38401c62, // ldrb w2, [x3, #1]!
  0xb800843f, // str wzr, [x1], #8
  0x93c3d063, // ror x3, x3, #52
  0x9a9f97e1, // cset x1, hi
  0xf2e01d09, // movk x9, #0xe8, lsl #48
  0x38401406, // ldrb w6, [x0], #1
  0x4a4f0c84, // eor w4, w4, w15, lsr #3
  0xdac00c84, // rev x4, x4
  0x54fffbad, // b.le 0xffffffffffffff74
  0xf81f80a7, // stur x7, [x5, #-8]
  0x9a9303f3, // csel x19, xzr, x19, eq
  0x38786a80, // ldrb w0, [x20, x24]
  0xea250084, // bics x4, x4, x5
  0x12800107, // mov w7, #0xfffffff7
  0x9b047c25, // mul x5, x1, x4
  0xf2c06000, // movk x0, #0x300, lsl #32
  0x5400074c, // b.gt 0xe8
  0x2904358e, // stp w14, w13, [x12, #32]
  0x9a070063, // adc x3, x3, x7
  0xca404000, // eor x0, x0, x0, lsr #16
  0x5ac00800, // rev w0, w0
  0x6a0002df, // tst w22, w0
  0xb860d820, // ldr w0, [x1, w0, sxtw #2]
  0x321f77e0, // mov w0, #0x7ffffffe
  0xd5033f9f, // dsb sy
  0xf861d813, // ldr x19, [x0, w1, sxtw #3]
  0xfa4012c2, // ccmp x22, x0, #0x2, ne
  0x720014a9, // ands w9, w5, #0x3f
  0x52a06001, // mov w1, #0x3000000
  0xd508871f, // tlbi vmalle1
  0x1a9f07e0, // cset w0, ne
  0xf8615841, // ldr x1, [x2, w1, uxtw #3]
  0xd5033fdf, // isb
  0xd503245f, // bti c
  0xb8206841, // str w1, [x2, x0]
  0xf8008464, // str x4, [x3], #8
  0xf140045f, // cmp x2, #0x1, lsl #12
  0x1ac52125, // lsl w5, w9, w5
  0x1a9f17e0, // cset w0, eq
  0x54ffffaa, // b.ge 0xfffffffffffffff4
  0x79101001, // strh w1, [x0, #2056]
  0x8a230021, // bic x1, x1, x3
  0x9bc17c41, // umulh x1, x2, x1
  0x089ffc1f, // stlrb wzr, [x0]
  0x7a4a1ac4, // ccmp w22, #0xa, #0x4, ne
  0xfa472060, // ccmp x3, x7, #0x0, cs
  0xcb803260, // sub x0, x19, x0, asr #12
  0xb81fc0a8, // stur w8, [x5, #-4]
  0x92806001, // mov x1, #0xfffffffffffffcff
  0xb8f902a1, // ldaddal w25, w1, [x21]
  0xf2b00000, // movk x0, #0x8000, lsl #16
  0x72ba01a3, // movk w3, #0xd00d, lsl #16
  0x88e17c40, // casa w1, w0, [x2]
  0x29087fe2, // stp w2, wzr, [sp, #64]
  0x5400018b, // b.lt 0x30
  0x7a451060, // ccmp w3, w5, #0x0, ne
  0x52000106, // eor w6, w8, #0x1
  0xea03003f, // tst x1, x3
  0xdac01084, // clz x4, x4
  0xb980a6a0, // ldrsw x0, [x21, #164]
  0x9a96d35b, // csel x27, x26, x22, le
  0xb1001042, // adds x2, x2, #0x4
  0x7a449040, // ccmp w2, w4, #0x0, ls
  0xf2800000, // movk x0, #0x0
  0x8b35c275, // add x21, x19, w21, sxtw
  0x54001124, // b.mi 0x224
  0x9a9f37f6, // cset x22, cs
  0x9a8a92b5, // csel x21, x21, x10, ls
  0x383c6a80, // strb w0, [x20, x28]
  0x9a801400, // cinc x0, x0, eq
  0xfa430040, // ccmp x2, x3, #0x0, eq
  0xd5033fbf, // dmb sy
  0x13003c81, // sxth w1, w4
  0xf8018ed5, // str x21, [x22, #24]!
];
