// Small guest programs for tests of what stands around the guest, as arm64 Images.

import { image } from "./a64.ts";

/** Writes "ready", then sends back every character; "q" powers off, "r" resets, "h" waits for interrupts that cannot come. */
// biome-ignore format: one instruction per line
const [uart, ...echo] = [
  0xd2a12001, //        mov  x1, #0x09000000      the PL011
  0x52806022, //        mov  w2, #0x301           UARTEN, TXE, RXE
  0xb9003022, //        str  w2, [x1, #0x30]      UARTCR
  0x10000304, //        adr  x4, text
  0x38401483, // print: ldrb w3, [x4], #1
  0x34000063, //        cbz  w3, loop
  0xb9000023, //        str  w3, [x1]
  0x17fffffd, //        b    print
  0xb9401822, // loop:  ldr  w2, [x1, #0x18]      UARTFR
  0x3727ffe2, //        tbnz w2, #4, loop         RXFE
  0xb9400023, //        ldr  w3, [x1]             UARTDR
  0xb9000023, //        str  w3, [x1]
  0x7101c47f, //        cmp  w3, #'q'
  0x54000100, //        b.eq off
  0x7101c87f, //        cmp  w3, #'r'
  0x54000120, //        b.eq reset
  0x7101a07f, //        cmp  w3, #'h'
  0x54fffee1, //        b.ne loop
  0xd5034fdf, //        msr  daifset, #15
  0xd503207f, // halt:  wfi
  0x17ffffff, //        b    halt
  0xd2b08000, // off:   mov  x0, #0x84000000
  0xf2800100, //        movk x0, #8               SYSTEM_OFF
  0xd4000003, //        smc  #0
  0xd2b08000, // reset: mov  x0, #0x84000000
  0xf2800120, //        movk x0, #9               SYSTEM_RESET
  0xd4000003, //        smc  #0
  0x64616572, // text:  "read"
  0x000a0d79, //        "y\r\n"
] as const;
export const echoProgram: Uint8Array = image([uart, ...echo]);
/** The same in a realm on the board "virt" with up to 255 GiB: movk x1, #0x100, lsl #32: the PL011 in the unprotected half. */
export const realmEchoProgram: Uint8Array = image([uart, 0xf2c0_2001, ...echo]);
/** The same in an ordinary virtual machine, where PSCI is called by HVC. */
export const vmEchoProgram: Uint8Array = image([uart, ...echo.map((word) => (word === 0xd400_0003 ? 0xd400_0002 : word))]);
