// Addresses and offsets that C and assembly share.
#pragma once

#define UART0        0x09000000
#define SECURE_GPIO  0x090b0000

// ---- physical memory (RAM starts at 0x40000000; 2 GiB of it are used) -------------------------------------------------------------
#define MAILBOX      0x401ff000 // 0, or what to do instead of the matrix: see main.c
#define MAILBOX_QEMU 1
#define MAILBOX_FEW  2
#define GPT_L0       0x43000000 // up to 2 MiB
#define GPT_L1       0x44000000 // up to 64 MiB
#define LOW_TABLES   0x48000000 // stage-1 tables of EL2 and EL1, level 0 first
#define OTHER_OUTPUT 0x49000000 // the output when a table is under test
#define DEVICE_RINGS 0x49100000 // of the device under test
#define DEVICE_BUFFER 0x49101000 // its buffer, or its descriptors, when the other is under test
#define TARGET_REGION 0x80000000 // 1 GiB whose protection changes from check to check
#define TARGET       0x85432000 // the page under test in it
#define NOWHERE      0x300000000 // no memory and no device here

// ---- virtual addresses, in every regime (4 KiB granule, 48 bits) ---------------------------------------------------------------------
#define VA_SHARED    0x100000000 // code and vectors for all states
#define VA_TARGET    0x8080605000 // indexes 1, 2, 3, 5
// ---- intermediate physical addresses (39 bits) -----------------------------------------------------------------------------------------
#define IPA_TARGET   0x1000e09000 // indexes 64, 7, 9
#define IPA_TABLE    0x200120b000 // indexes 128, 9, 11: the last stage-1 table, when stage 2 of its address is under test

// ---- struct context ---------------------------------------------------------------------------------------------------------------------
#define CTX_ELR      0
#define CTX_SPSR     8
#define CTX_X0       16  // x0..x15
#define CTX_VECTOR   144
#define CTX_ESR      152
#define CTX_FAR      160
