// What the parts of the program know of each other. See main.c for what it does.
#pragma once

#include "layout.h"

#include <stdbool.h>
#include <stdint.h>

// ---- machine registers ---------------------------------------------------------------------------------------------------------

#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)
#define read_sysreg(name) ({ uint64_t v_; __asm__ volatile("mrs %0, " TEXT(name) : "=r"(v_)); v_; })
#define write_sysreg(name, value) ({ uint64_t v_ = (value); __asm__ volatile("msr " TEXT(name) ", %0" : : "r"(v_) : "memory"); })
#define isb() __asm__ volatile("isb" : : : "memory")
#define dsb() __asm__ volatile("dsb sy" : : : "memory")

// Registers of FEAT_RME by encoding: assemblers older than the extension do not know the names.
#define GPCCR_EL3 S3_6_C2_C1_6
#define GPTBR_EL3 S3_6_C2_C1_4
#define GPCBW_EL3 S3_6_C2_C1_5
#define MFAR_EL3  S3_6_C6_C0_5

static inline uint32_t read32(uint64_t a) { return *(volatile uint32_t *)a; }
static inline void write32(uint64_t a, uint32_t v) { *(volatile uint32_t *)a = v; }
static inline uint64_t read64(uint64_t a) { return *(volatile uint64_t *)a; }
static inline void write64(uint64_t a, uint64_t v) { *(volatile uint64_t *)a = v; }

// ---- print.c -------------------------------------------------------------------------------------------------------------------

/** %s, %u, %x (32 bits), %lx (64 bits), %%. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Powers the board off by the secure GPIO (pin 0). */
void power_off(void) __attribute__((noreturn));

// ---- spaces and worlds ---------------------------------------------------------------------------------------------------------

/** Security states and physical address spaces, as SCR_EL3.{NSE,NS} and MFAR_EL3 encode them. */
enum space { SECURE, NONSECURE, ROOT, REALM };

/** Who makes the access. */
struct world {
  const char *name;
  enum space state;
  unsigned el;
  bool host; // EL2 runs with HCR_EL2.E2H = 1; at EL0 also TGE = 1
};
extern const struct world root, realm_el2, realm_el1, realm_el0, realm_host, ns_el2, ns_el1, ns_el0, ns_host, ns_host_el0, secure_el2,
  secure_el1, secure_el0;
extern const struct world *const worlds[];
enum { WORLDS = 13 };
/** Can this world's translation reach that space? */
bool reaches(const struct world *w, enum space pas);
/** Does the world's EL1&0 regime have a second stage here? */
static inline bool has_stage2(const struct world *w) { return w->el < 2 && !w->host; }

// ---- gpt.c: granule protection tables --------------------------------------------------------------------------------------------

enum pgs { PGS_4K, PGS_64K, PGS_16K };
enum form { FORM_BLOCK, FORM_GRANULES, FORM_2M, FORM_32M, FORM_512M };
enum { GPI_NONE = 0, GPI_SECURE = 8, GPI_NS = 9, GPI_ROOT = 10, GPI_REALM = 11, GPI_NSO = 13, GPI_ANY = 15 };

/** GPCCR_EL3 without PGS and GPC: 40-bit PPS, write-back, inner shareable. */
#define GPCCR_BASE (2u | 1u << 8 | 1u << 10 | 3u << 12)
#define GPCCR_GPC (1u << 16)

/** log2 of the bytes that a level-0 entry covers (read-only L0GPTSZ). */
unsigned gpt_region_bits(void);
/** A physical address inside the region that `form` governs: TARGET, or a region of its own for blocks when regions are large. */
uint64_t gpt_target(enum form form);
/** Builds the tables: everything below TARGET_REGION is open to all spaces; the granules of the target get `gpi` in that form. */
void gpt_build(enum pgs pgs, enum form form, unsigned gpi);
/** Addresses of the level-0 and the level-1 entry that govern `pa`. */
volatile uint64_t *gpt_l0_entry(uint64_t pa);
volatile uint64_t *gpt_l1_entry(enum pgs pgs, uint64_t pa);
/** A level-1 granules entry that gives the granule of `pa` one GPI and all others another. */
uint64_t gpt_granules(enum pgs pgs, uint64_t pa, unsigned gpi, unsigned others);
/** Switches granule protection checks on with these GPCCR_EL3 bits, or off. */
void gpc_on(uint64_t gpccr);
void gpc_off(void);
void tlbi_paall(void);

// ---- access.c: one access --------------------------------------------------------------------------------------------------------

enum access {
  LOAD, STORE, FETCH, ATOMIC, CROSS, PAIR, ZVA, UNPRIV, CLEAN, PREFETCH,
  AT_E1R, AT_E1W, AT_E0R, AT_E2R, AT_E2W, AT_E3R, AT_S12R, ACCESSES
};
/** What stores write, and atomic accesses add. */
#define STORED_VALUE 0x5555

/** What came of an access. */
struct outcome {
  unsigned el, vector; // Exception level that took an exception, number of its vector; el 0: there was none
  uint64_t esr, elr, far, hpfar, mfar;
  uint64_t value;      // X0 afterwards: what was read, the function's result, PAR_EL1
};
/** Goes to the state and Exception level of `w` (whose registers are set up), makes the access at VA_TARGET, comes back. */
struct outcome access_make(const struct world *w, enum access a);
const char *access_name(enum access a);
/** Virtual address of the instruction that makes the access. */
uint64_t access_insn(enum access a);

// ---- device.c: a device as a requester -------------------------------------------------------------------------------------------

/** What a buffer holds until a device writes to it. */
#define DEVICE_PATTERN 0x1badb0071badb007
/** Looks for a virtio entropy device. */
bool device_find(void);
/**
 * Lets the device read a descriptor at `table` and write 8 bytes to `buffer`; granule protection is changed by `closed` before, and by
 * `open` after. Did the device complete the request?
 */
bool device_transfer(uint64_t table, uint64_t buffer, void (*closed)(void), void (*open)(void));

// ---- run.c: one check --------------------------------------------------------------------------------------------------------------

/** What lies in the granule under test: the output page, or a table: of stage 1, of stage 2 (S2), of stage 2 for the stage-1 table (W). */
enum where { OUTPUT, S1_L0, S1_L1, S1_L2, S1_L3, S2_L1, S2_L2, S2_L3, W_L2, W_L3 };

enum { ROUTE_ABORT = 0, ROUTE_SCR = 1, ROUTE_HCR = 2 }; // SCR_EL3.GPF, HCR_EL2.GPF
enum { UPDATE_S1_AF = 1, UPDATE_S2_AF = 2, UPDATE_S1_DIRTY = 4, UPDATE_S2_DIRTY = 8 };

struct check {
  const char *section;
  const char *label; // said instead of form and GPI when set
  const struct world *world;
  enum space pas; // of the output
  enum access access;
  enum where where;
  enum pgs pgs;
  enum form form;
  unsigned gpi;
  unsigned route;
  unsigned update;  // hardware update of AF or dirty state
  uint64_t gpccr;   // instead of GPCCR_BASE when not zero
  uint64_t gptbr;   // added to the base of the tables
  uint64_t output;  // PA of the output page instead of the one under test
  void (*change)(const struct check *); // changes the tables after they were built
};

/** Sets everything up, makes the access, prints one line. */
void run(const struct check *c);
/** The parts of run: everything up to the access; the access and its line; nothing of the set-up is touched between two of them. */
void prepare(const struct check *c);
void attempt(const struct check *c, const char *moment);
void finish(void);
unsigned checks_done(void);
/** The check of a transfer of the device: the world and the access do not matter, but whether the device stores. */
void run_device(const struct check *c);

// ---- tables.c: translation tables ----------------------------------------------------------------------------------------------------

/** EL3's own tables: identity for devices and memory; the shared page and the page under test as for everybody. */
void mmu_on(void);
/** Writes the tables of a check and the output page (granule protection checks are off). */
void tables_build(const struct check *c);
/** Programs the registers of the check's state and translation regime. */
void tables_use(const struct check *c);
/** Leaf descriptors of the page under test: of stage 1, of stage 2. */
uint64_t stage1_leaf(const struct check *c);
uint64_t stage2_leaf(const struct check *c);
/** The leaf descriptor in memory. */
uint64_t *tables_leaf(const struct check *c, unsigned stage);
void tlbi_translation(void);

// ---- sections ------------------------------------------------------------------------------------------------------------------------

void section_gpi(void);
void section_form(void);
void section_access(void);
void section_walk(void);
void section_update(void);
void section_at(void);
void section_size(void);
void section_malformed(void);
void section_tlbi(void);
void section_dma(void);
void section_gpc2(void);
void section_gpc3(void);
