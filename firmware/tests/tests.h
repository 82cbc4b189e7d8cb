// What the parts of the bare-metal tests know of each other. See README.md for how the tests work.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offsets.h"

typedef uint64_t u64;
typedef uint32_t u32;

// ---- machine registers ---------------------------------------------------------------------------------------------------------

#define mrs_(name) ({ u64 v_; __asm__ volatile("mrs %0, " #name : "=r"(v_) : : "memory"); v_; })
#define mrs(name) mrs_(name)
#define msr_(name, value) ({ u64 v_ = (value); __asm__ volatile("msr " #name ", %0" : : "r"(v_) : "memory"); })
#define msr(name, value) msr_(name, value)
#define isb() __asm__ volatile("isb" : : : "memory")
#define dsb() __asm__ volatile("dsb sy" : : : "memory")

static inline u32 read32(u64 a) { return *(volatile u32 *)a; }
static inline void write32(u64 a, u32 v) { *(volatile u32 *)a = v; }
static inline u64 read64(u64 a) { return *(volatile u64 *)a; }
static inline void write64(u64 a, u64 v) { *(volatile u64 *)a = v; }
static inline void write8(u64 a, uint8_t v) { *(volatile uint8_t *)a = v; }
static inline uint8_t read8(u64 a) { return *(volatile uint8_t *)a; }

/** MRS and MSR words of S<op0>_<op1>_C<n>_C<m>_<op2> with X0, and SYS. */
#define ENC(op0, op1, n, m, op2) ((u32)(((op0) & 1) << 19 | (op1) << 16 | (n) << 12 | (m) << 8 | (op2) << 5))
#define MRS(op0, op1, n, m, op2) (0xd5300000u | ENC(op0, op1, n, m, op2))
#define MSR(op0, op1, n, m, op2) (0xd5100000u | ENC(op0, op1, n, m, op2))
#define SYS(op1, n, m, op2) (0xd5080000u | ((u32)(op1) << 16 | (n) << 12 | (m) << 8 | (op2) << 5))
#define AS_READ (1u << 21) // MSR word -> MRS word

// ---- lib.c: output, running code at an Exception level ----------------------------------------------------------------------------

/** %s, %x (64 bits), %d. */
void say(const char *format, ...);
/** "name: value value ..." */
#define line(name, ...) values(name, (u64[]){__VA_ARGS__}, sizeof(u64[]){__VA_ARGS__} / 8)
void values(const char *name, const u64 *v, unsigned n);
/** Joins parts of a name in one of four static buffers; NULL ends. */
const char *join(const char *a, ...);
void section(const char *title);

/** A run of test code: registers in and out, and the exception that ended it. */
struct run {
  u64 x[8];
  u64 pc, spsr, sp0, sp1;
  u64 saved_sp;
  u64 vector; // offset of the EL2 vector
  u64 esr2, far2, elr2, spsr2, hpfar;
  u64 esr1, far1, elr1, spsr1;
};
_Static_assert(offsetof(struct run, pc) == RUN_PC && offsetof(struct run, saved_sp) == RUN_SAVED_SP, "offsets.h");
_Static_assert(offsetof(struct run, esr2) == RUN_ESR2 && offsetof(struct run, elr2) == RUN_ELR2, "offsets.h");
_Static_assert(offsetof(struct run, hpfar) == RUN_HPFAR && offsetof(struct run, elr1) == RUN_ELR1, "offsets.h");
void run_asm(struct run *r);

/** PSTATE of a level: D, A, I, F masked. */
enum { EL0 = 0x3c0, EL1T = 0x3c4, EL1 = 0x3c5, EL2T = 0x3c8, EL2 = 0x3c9 };
#define PAN (1u << 22)
#define UAO (1u << 23)
#define DIT (1u << 24)
#define SSBS (1u << 12)
#define IL (1u << 20)
#define BTYPE(n) ((u32)(n) << 10)
#define UNMASK_I (0x80u) // XOR

/** Code in the section that every level may execute, ended by the SVC that means "done". */
#define CODE(text)                                                                                                   \
  ({                                                                                                                 \
    u64 p_;                                                                                                          \
    __asm__(".pushsection .snip,\"ax\"\n.balign 64\n.arch armv8.6-a+pauth\n.arch_extension simd\n771: " text         \
            "\n svc #0xf00\n.popsection\n adrp %0, 771b\n add %0, %0, :lo12:771b" : "=r"(p_));                       \
    p_;                                                                                                              \
  })
/** Generated code: the words, then the end. Ended by a word of 0 (which is UDF #0, so give UDF as 1). */
u64 generate(const u32 *words);
#define WORDS(...) generate((const u32[]){__VA_ARGS__, 0})

/** Runs code at `pc` with PSTATE `mode`; the result stays in `last`. */
struct run *go(u32 mode, u64 pc, const u64 *args, unsigned n);
#define GO(mode, pc, ...) go(mode, pc, (u64[]){0, ##__VA_ARGS__} + 1, sizeof(u64[]){0, ##__VA_ARGS__} / 8 - 1)
/** The same and prints how it ended. */
#define TEST(name, mode, pc, ...) ({ GO(mode, pc, ##__VA_ARGS__); report(name); })
extern struct run last;
/** What SP_EL0 and SP_EL1 hold when a run starts. */
extern u64 start_sp0, start_sp1;
void report(const char *name);
/** Did the last run end by itself? */
bool done(void);

/** Puts the control registers of EL1 and EL2 into the state in which every group of tests starts (MMUs off, no traps). */
void reset_controls(void);
extern u64 hcr_base;
#define HCR(bits) ({ msr(hcr_el2, hcr_base | (bits)); isb(); })

// ---- tables.c: translation tables -----------------------------------------------------------------------------------------------------

struct space {
  u64 *root;
  unsigned granule; // 12, 14, 16
  int start;        // first level
  unsigned tsz;
  bool ds;          // FEAT_LPA2 descriptors
  u64 table_bits;   // attributes of new table descriptors
};
void pool_reset(void);
u64 *pool_get(u64 size);
/** A new empty space; `start`: as the TxSZ says (stage 1). */
struct space space_new(unsigned granule, unsigned tsz, bool ds);
/** With the first level given and concatenated tables allowed (stage 2). */
struct space space_new2(unsigned granule, unsigned tsz, int start, bool ds);
/** Writes `descriptor` (complete) for `va` at `level`. Returns where it is. */
u64 *map(struct space *s, u64 va, int level, u64 descriptor);
int start_level(unsigned granule, unsigned tsz);

#define AF (1ull << 10)
#define NG (1ull << 11)
#define SH_INNER (3ull << 8)
#define ATTR(n) ((u64)(n) << 2)
#define AP(n) ((u64)(n) << 6)
#define PXN (1ull << 53)
#define UXN (1ull << 54)
#define DBM (1ull << 51)
#define CONTIG (1ull << 52)
#define GP (1ull << 50)
#define PAGE 3ull
#define BLOCK 1ull
#define RW (AF | AP(1) | UXN | PXN | ATTR(0)) // RAM, read and write at every level; no SH, which FEAT_LPA2 replaces by address bits

/** MAIR: 0 WB, 1 nGnRnE, 2 NC, 3 nGnRE, 4 WT, 5 GRE, 6 outer NC inner WB, 7 WB no-allocate hints. */
#define MAIR_VALUE 0x774f0cbb044400ffull

/** The standard EL1&0 space: 4 KiB granule, 39 bits; the code section, 64 KiB of RAM at DATA, MMU registers set, MMU on. */
extern struct space std;
void standard_el1(void);
/** SCTLR_EL1 with the standard space: M, C, I and its RES1 bits. */
#define SCTLR_OFF 0x30d00980ull
#define SCTLR_ON (SCTLR_OFF | 0x1005)
void flush_el1(void);
/** Two-range TCR with the standard lower range; the upper range as given. `extra`: more bits. */
void set_upper(const struct space *upper, u64 extra);
/** Fills the pages at DATA_PA: page k begins with 0xda7a0000 + k, and has code that returns at +0x100. */
void fill_data(void);
/** Runs a load, a store, a jump, an address translation (x0 = PAR_EL1). */
void load(u32 mode, u64 va);
void store(u32 mode, u64 va);
void fetch(u32 mode, u64 va);
u64 translate(const char *what, u64 va);
/** How the last run ended in one number: 0 = by itself, else level, EC and the low byte of ESR. */
u64 outcome(void);

#define DATA 0x80000000ull        // VA of ordinary RAM: a page of it, then more
#define DATA_PA 0x46000000ull
#define DATA2_PA 0x46010000ull
#define TEST_VA 0x90000000ull     // where tests put mappings of their own

// ---- the tests ------------------------------------------------------------------------------------------------------------------------

void test_ids(void);
void test_exceptions(void);
void test_alignment(void);
void test_traps(void);
void test_stage1(void);
void test_permissions(void);
void test_tlbi(void);
void test_stage2(void);
void test_host(void);
void test_gic(void);
void test_virtual_gic(void);
void test_timers(void);
void test_psci(void);

u64 smc(u64 function, u64 a, u64 b, u64 c);
