// Translation tables of the regimes: 4 KiB granule, stage 1 with 48 bits (levels 0 to 3), stage 2 with 39 bits (levels 1 to 3).
// EL3 has its own set, so that the tables of a check can be broken without harm; in checks of Root the page under test is in EL3's.

#include "matrix.h"

typedef uint64_t table[512];
#define TABLE static table __attribute__((aligned(4096)))

/** A stage-1 tree: the shared page at indexes 0, 4, 0, 0 and the page under test at 1, 2, 3, 5 (the page after it at 6). */
struct tree {
  table l0, shared_l1, shared_l2, shared_l3, l1, l2, l3;
};
static struct tree el3_tree __attribute__((aligned(4096)));
#define low_tree (*(struct tree *)LOW_TABLES)
TABLE s2_l1, s2_l2, s2_l3, w_l2, w_l3;

extern char shared_page[];
extern const uint64_t target_code[];

enum { TABLE_OR_PAGE = 3, BLOCK = 1, AF = 1 << 10, SH_INNER = 3 << 8, S1_AP_LOW = 1 << 6, S1_READ_ONLY = 1 << 7, S1_NS = 1 << 5,
  S1_NSE = 1 << 11, ATTR_DEVICE = 1 << 2 };
enum { S2_WRITE_BACK = 15 << 2, S2_READ = 1 << 6, S2_WRITE = 1 << 7 };
#define DBM (1ull << 51)
#define S2_NS (1ull << 55)

static bool root_world(const struct check *c) { return c->world->el == 3; }
static bool realm_stage2(const struct check *c) { return c->world->state == REALM && has_stage2(c->world); }
/** Has the regime two privilege levels, with EL1's format of TCR? */
static bool two_levels(const struct world *w) { return w->el < 2 || w->host; }

static uint64_t output_page(const struct check *c) {
  if (c->output) return c->output;
  return c->where == OUTPUT ? gpt_target(c->form) : OTHER_OUTPUT;
}

uint64_t stage1_leaf(const struct check *c) {
  const struct world *w = c->world;
  bool for_el0 = w->el == 0 || c->access == UNPRIV || c->access == AT_E0R;
  uint64_t leaf = (has_stage2(w) ? IPA_TARGET : output_page(c)) | SH_INNER | TABLE_OR_PAGE;
  if (!(c->update & UPDATE_S1_AF)) leaf |= AF;
  if (!two_levels(w) || for_el0) leaf |= S1_AP_LOW;
  if (c->update & UPDATE_S1_DIRTY) leaf |= S1_READ_ONLY | DBM;
  if (w->state == ROOT) return leaf | (c->pas & 1 ? S1_NS : 0) | (c->pas & 2 ? S1_NSE : 0);
  bool selects = w->state == SECURE || (w->state == REALM && !has_stage2(w));
  return leaf | (selects && c->pas == NONSECURE ? S1_NS : 0);
}

uint64_t stage2_leaf(const struct check *c) {
  uint64_t leaf = output_page(c) | S2_WRITE_BACK | S2_READ | SH_INNER | TABLE_OR_PAGE;
  if (!(c->update & UPDATE_S2_AF)) leaf |= AF;
  leaf |= c->update & UPDATE_S2_DIRTY ? DBM : S2_WRITE;
  return leaf | (realm_stage2(c) && c->pas == NONSECURE ? S2_NS : 0);
}

/** The table `which`: in the granule under test (then empty) when the check says so, else where it always is. */
static uint64_t *place(const struct check *c, enum where which, uint64_t *usual) {
  if (c->where != which) return usual;
  uint64_t *t = (uint64_t *)gpt_target(c->form);
  for (int i = 0; i < 512; i++) t[i] = 0;
  return t;
}

static uint64_t to(const void *next) { return (uint64_t)next | TABLE_OR_PAGE; }

static void build_stage1(const struct check *c, struct tree *tree, bool target, bool root) {
  uint64_t *l0 = target ? place(c, S1_L0, tree->l0) : tree->l0;
  l0[0] = to(tree->shared_l1);
  tree->shared_l1[4] = to(tree->shared_l2);
  tree->shared_l2[0] = to(tree->shared_l3);
  tree->shared_l3[0] = to(shared_page) | AF | SH_INNER | S1_AP_LOW | S1_READ_ONLY | (root ? S1_NSE : 0);
  if (!target) return;
  uint64_t *l1 = place(c, S1_L1, tree->l1), *l2 = place(c, S1_L2, tree->l2), *l3 = place(c, S1_L3, tree->l3);
  bool by_ipa = c->where == W_L2 || c->where == W_L3;
  l0[1] = to(l1);
  l1[2] = to(l2);
  l2[3] = by_ipa ? IPA_TABLE | TABLE_OR_PAGE : to(l3);
  l3[5] = stage1_leaf(c);
  l3[6] = stage1_leaf(c) + 0x1000;
}

static void build_stage2(const struct check *c) {
  uint64_t *l1 = place(c, S2_L1, s2_l1), *l2 = place(c, S2_L2, s2_l2), *l3 = place(c, S2_L3, s2_l3);
  uint64_t *wl2 = place(c, W_L2, w_l2), *wl3 = place(c, W_L3, w_l3);
  const uint64_t open = S2_WRITE_BACK | S2_READ | S2_WRITE | SH_INNER | AF;
  l1[1] = 0x40000000 | open | BLOCK;
  l1[2] = 0x80000000 | open | BLOCK;
  l1[64] = to(l2);
  l2[7] = to(l3);
  l3[9] = stage2_leaf(c);
  l3[10] = stage2_leaf(c) + 0x1000;
  l1[128] = to(wl2);
  wl2[9] = to(wl3);
  wl3[11] = (uint64_t)low_tree.l3 | open | TABLE_OR_PAGE;
}

uint64_t *tables_leaf(const struct check *c, unsigned stage) {
  uint64_t *s1 = root_world(c) ? el3_tree.l3 : low_tree.l3;
  if (stage == 1) return (c->where == S1_L3 ? (uint64_t *)gpt_target(c->form) : s1) + 5;
  return (c->where == S2_L3 ? (uint64_t *)gpt_target(c->form) : s2_l3) + 9;
}

static void fill_output(const struct check *c) {
  uint64_t *page = (uint64_t *)output_page(c);
  if (c->output || (c->form == FORM_BLOCK && gpt_region_bits() > 30)) return; // no memory there
  page[0] = target_code[0];
  page[511] = page[512] = 0x1111111111111111;
}

void tlbi_translation(void) {
  dsb();
  __asm__ volatile("tlbi alle3\n tlbi alle2\n tlbi alle1\n ic iallu" : : : "memory");
  dsb();
  isb();
}

// SCTLR: M, C, I and the RES1 bits; in EL1's form SPAN (PSTATE.PAN stays as it is), DZE and UCI (EL0 may use DC ZVA and DC CIVAC).
#define SCTLR_COMMON (1 | 1 << 2 | 1 << 12)
#define SCTLR_EL1_ON (0x30d00800 | SCTLR_COMMON | 1 << 14 | 1 << 26)
#define SCTLR_EL3_ON (0x30c50830 | SCTLR_COMMON)
#define WALK_CACHED (1ull << 8 | 1ull << 10 | 3ull << 12)
// 48 bits of virtual and of physical address.
#define TCR_ONE_RANGE (16 | WALK_CACHED | 5ull << 16 | 1ull << 23 | 1ull << 31)
#define TCR_TWO_RANGES (16 | WALK_CACHED | 1ull << 23 | 2ull << 30 | 5ull << 32)
#define VTCR (25 | 1ull << 6 | WALK_CACHED | 5ull << 16 | 1ull << 31)
#define UPDATE_ONE_RANGE (3ull << 21)
#define UPDATE_TWO_RANGES (3ull << 39)
#define UPDATE_STAGE2 (3ull << 21)
#define NSW_NSA (3ull << 29)
#define MAIR 0x00ff

#define SCR_NS (1ull << 0)
#define SCR_COMMON (3ull << 4 | 1ull << 8 | 1ull << 10 | 1ull << 18) // RES1, HCE, RW, EEL2
#define SCR_GPF (1ull << 48)
#define SCR_NSE (1ull << 62)
#define HCR_VM (1ull << 0)
#define HCR_TGE (1ull << 27)
#define HCR_RW (1ull << 31)
#define HCR_E2H (1ull << 34)
#define HCR_GPF (1ull << 48)

static void program_state(const struct check *c) {
  const struct world *w = c->world;
  enum space state = w->el == 3 ? NONSECURE : w->state; // for the EL1 and EL2 operations that EL3 makes
  write_sysreg(scr_el3, SCR_COMMON | (state & 1 ? SCR_NS : 0) | (state & 2 ? SCR_NSE : 0) | (c->route & ROUTE_SCR ? SCR_GPF : 0));
  isb();
  uint64_t hcr = HCR_RW | (has_stage2(w) ? HCR_VM : 0) | (w->host ? HCR_E2H : 0) | (w->host && w->el == 0 ? HCR_TGE : 0);
  write_sysreg(hcr_el2, hcr | (c->route & ROUTE_HCR ? HCR_GPF : 0));
  isb();
}

static void program_regime(const struct check *c) {
  const struct world *w = c->world;
  uint64_t *l0 = c->where == S1_L0 ? (uint64_t *)TARGET : low_tree.l0;
  uint64_t *l1 = c->where == S2_L1 ? (uint64_t *)TARGET : s2_l1;
  // EL2 always runs: it takes exceptions of EL1. Its own tables are EL1's unless those are under test.
  write_sysreg(mair_el2, MAIR);
  write_sysreg(ttbr0_el2, w->el == 2 || w->host ? (uint64_t)l0 : (uint64_t)low_tree.l0);
  if (w->host) write_sysreg(tcr_el2, TCR_TWO_RANGES | (c->update & 5 ? UPDATE_TWO_RANGES : 0));
  else write_sysreg(tcr_el2, TCR_ONE_RANGE | (c->update & 5 ? UPDATE_ONE_RANGE : 0));
  write_sysreg(sctlr_el2, w->host ? SCTLR_EL1_ON : SCTLR_EL3_ON);
  write_sysreg(vbar_el2, VA_SHARED);
  write_sysreg(vbar_el1, VA_SHARED);
  write_sysreg(mair_el1, MAIR);
  write_sysreg(ttbr0_el1, (uint64_t)l0);
  write_sysreg(tcr_el1, TCR_TWO_RANGES | (c->update & 5 ? UPDATE_TWO_RANGES : 0));
  write_sysreg(sctlr_el1, SCTLR_EL1_ON);
  uint64_t vtcr = VTCR | (c->update & 10 ? UPDATE_STAGE2 : 0);
  write_sysreg(vttbr_el2, (uint64_t)l1 | 1ull << 48);
  write_sysreg(vtcr_el2, vtcr | (w->state == SECURE ? NSW_NSA : 0));
  if (w->state == SECURE) {
    write_sysreg(S3_4_C2_C6_0, (uint64_t)l1); // VSTTBR_EL2
    write_sysreg(S3_4_C2_C6_2, 25 | 1ull << 6 | 1ull << 31); // VSTCR_EL2
  }
  if (root_world(c)) write_sysreg(tcr_el3, TCR_ONE_RANGE | (c->update & 5 ? UPDATE_ONE_RANGE : 0));
  isb();
}

void tables_build(const struct check *c) {
  if (root_world(c)) build_stage1(c, &el3_tree, true, true);
  else build_stage1(c, &low_tree, true, false);
  if (has_stage2(c->world)) build_stage2(c);
  fill_output(c);
}

void tables_use(const struct check *c) {
  program_state(c);
  program_regime(c);
}

void mmu_on(void) {
  static const struct check none;
  low_tree = (struct tree){0};
  write_sysreg(scr_el3, SCR_COMMON | SCR_NS); // operations on EL2 need a state that has EL2
  isb();
  struct tree *t = &el3_tree;
  build_stage1(&none, t, false, true);
  t->shared_l1[0] = 0x00000000 | AF | S1_NSE | ATTR_DEVICE | S1_AP_LOW | 1ull << 54 | BLOCK;
  t->shared_l1[1] = 0x40000000 | AF | S1_NSE | SH_INNER | S1_AP_LOW | BLOCK;
  t->shared_l1[2] = 0x80000000 | AF | S1_NSE | SH_INNER | S1_AP_LOW | BLOCK;
  write_sysreg(mair_el3, MAIR);
  write_sysreg(tcr_el3, TCR_ONE_RANGE);
  write_sysreg(ttbr0_el3, (uint64_t)t->l0);
  tlbi_translation();
  write_sysreg(sctlr_el3, SCTLR_EL3_ON);
  isb();
}
