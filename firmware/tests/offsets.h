// Offsets in struct run (tests.h) for head.S.
#pragma once

#define RUN_PC 64
#define RUN_SPSR 72
#define RUN_SP0 80
#define RUN_SP1 88
#define RUN_SAVED_SP 96
#define RUN_VECTOR 104
#define RUN_ESR2 112
#define RUN_ELR2 128
#define RUN_HPFAR 144
#define RUN_ESR1 152
#define RUN_ELR1 168
