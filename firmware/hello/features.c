// The CPU in words: MIDR_EL1 and the main ID registers.

#include "hello.h"

enum reg { PFR0, PFR1, ISAR0, ISAR1, ISAR2, MMFR0, MMFR1, MMFR2, DFR0, REGS };
static uint64_t id[REGS];

static void read_id(void) {
  id[PFR0] = read_sysreg(id_aa64pfr0_el1);
  id[PFR1] = read_sysreg(id_aa64pfr1_el1);
  id[ISAR0] = read_sysreg(id_aa64isar0_el1);
  id[ISAR1] = read_sysreg(id_aa64isar1_el1);
  id[ISAR2] = read_sysreg(S3_0_C0_C6_2);
  id[MMFR0] = read_sysreg(id_aa64mmfr0_el1);
  id[MMFR1] = read_sysreg(id_aa64mmfr1_el1);
  id[MMFR2] = read_sysreg(S3_0_C0_C7_2);
  id[DFR0] = read_sysreg(id_aa64dfr0_el1);
}

static unsigned field(enum reg r, unsigned low) { return id[r] >> low & 15; }

/** A feature: there when the field is at least `least` (15 counts as absent where `is_signed`). */
struct feature {
  enum reg reg;
  unsigned low, least;
  bool is_signed;
  const char *name;
};

static const struct feature instructions[] = {
  {PFR0,  16, 0, 1, "FP"},      {PFR0,  20, 0, 1, "AdvSIMD"}, {PFR0,  16, 1, 1, "FP16"},    {ISAR0,  4, 1, 0, "AES"},     {ISAR0,  4, 2, 0, "PMULL"},
  {ISAR0,  8, 1, 0, "SHA1"},    {ISAR0, 12, 1, 0, "SHA256"},  {ISAR0, 12, 2, 0, "SHA512"},  {ISAR0, 32, 1, 0, "SHA3"},    {ISAR0, 36, 1, 0, "SM3"},
  {ISAR0, 40, 1, 0, "SM4"},     {ISAR0, 16, 1, 0, "CRC32"},   {ISAR0, 20, 2, 0, "LSE"},     {ISAR0, 28, 1, 0, "RDM"},     {ISAR0, 44, 1, 0, "DotProd"},
  {ISAR0, 48, 1, 0, "FHM"},     {ISAR0, 52, 1, 0, "FlagM"},   {ISAR0, 52, 2, 0, "FlagM2"},  {ISAR0, 60, 1, 0, "RNG"},     {ISAR1, 12, 1, 0, "JSCVT"},
  {ISAR1, 16, 1, 0, "FCMA"},    {ISAR1, 20, 1, 0, "LRCPC"},   {ISAR1, 20, 2, 0, "LRCPC2"},  {ISAR1, 32, 1, 0, "FRINTTS"}, {ISAR1, 44, 1, 0, "BF16"},
  {ISAR1, 52, 1, 0, "I8MM"},    {ISAR1,  0, 1, 0, "DPB"},     {ISAR1,  0, 2, 0, "DPB2"},    {ISAR2,  0, 2, 0, "WFxT"},    {ISAR2, 16, 1, 0, "MOPS"},
  {PFR0,  32, 1, 0, "SVE"},     {PFR1,  24, 1, 0, "SME"},
};
static const struct feature security[] = {
  {ISAR1,  4, 1, 0, "PAuth(QARMA5)"}, {ISAR1, 8, 1, 0, "PAuth(implementation defined)"}, {ISAR2, 12, 1, 0, "PAuth(QARMA3)"},
  {PFR1,   0, 1, 0, "BTI"},     {PFR1,   8, 1, 0, "MTE"},     {PFR1,   4, 1, 0, "SSBS"},    {PFR0,  48, 1, 0, "DIT"},     {ISAR1, 36, 1, 0, "SB"},
  {ISAR1, 40, 1, 0, "SPECRES"}, {PFR0,  36, 1, 0, "SEL2"},    {PFR0,  52, 1, 0, "RME"},     {PFR0,  56, 1, 0, "CSV2"},    {PFR0,  60, 1, 0, "CSV3"},
};
static const struct feature memory[] = {
  {MMFR1,  0, 1, 0, "HAF"},     {MMFR1,  0, 2, 0, "HAFDBS"},  {MMFR1, 20, 1, 0, "PAN"},     {MMFR1, 20, 3, 0, "EPAN"},    {MMFR2,  4, 1, 0, "UAO"},
  {MMFR1, 12, 1, 0, "HPDS"},    {MMFR1, 28, 1, 0, "XNX"},     {MMFR2, 60, 1, 0, "E0PD"},    {MMFR2, 16, 1, 0, "LVA"},     {MMFR2, 32, 1, 0, "LSE2"},
  {ISAR0, 56, 1, 0, "TLBIOS"},  {ISAR0, 56, 2, 0, "TLBIRANGE"}, {MMFR2, 48, 1, 0, "TTL"},   {MMFR2,  0, 1, 0, "CnP"},
};
static const struct feature system[] = {
  {PFR0,  12, 1, 0, "EL3"},     {PFR0,   8, 1, 0, "EL2"},     {MMFR1,  8, 1, 0, "VHE"},     {MMFR2, 24, 1, 0, "NV"},      {MMFR2, 40, 1, 0, "S2FWB"},
  {MMFR0, 56, 1, 0, "FGT"},     {MMFR0, 60, 1, 0, "ECV"},     {MMFR1, 40, 1, 0, "HCX"},     {PFR0,  28, 1, 0, "RAS"},     {PFR0,  40, 1, 0, "MPAM"},
  {PFR0,  44, 1, 0, "AMU"},     {DFR0,   8, 1, 1, "PMUv3"},   {DFR0,  32, 1, 0, "SPE"},     {PFR0,  24, 1, 0, "GIC system registers"},
};

static bool present(const struct feature *f) {
  unsigned v = field(f->reg, f->low);
  return v >= f->least && !(f->is_signed && v == 15);
}

static void list(const char *title, const struct feature *features, unsigned n) {
  unsigned column = 0;
  say("  %-12s", title);
  for (unsigned i = 0; i < n; i++) {
    if (!present(&features[i])) continue;
    unsigned length = 1;
    for (const char *p = features[i].name; *p; p++) length++;
    if (column + length > 64 && column > 0) say("\n              "), column = 0;
    say("%s ", features[i].name);
    column += length;
  }
  say(column ? "\n" : "none of those known to this program\n");
}
#define LIST(title, features) list(title, features, sizeof features / sizeof *features)

static const char *implementer(unsigned code) {
  static const struct {
    unsigned code;
    const char *name;
  } known[] = {{0x00, "software"}, {0x41, "Arm"}, {0x42, "Broadcom"}, {0x43, "Cavium"}, {0x46, "Fujitsu"}, {0x48, "HiSilicon"}, {0x4e, "NVIDIA"}, {0x51, "Qualcomm"}, {0x61, "Apple"}, {0xc0, "Ampere"}};
  for (unsigned i = 0; i < sizeof known / sizeof *known; i++) if (known[i].code == code) return known[i].name;
  return "unknown";
}

static const char *part(unsigned midr) {
  static const struct {
    unsigned part;
    const char *name;
  } arm[] = {{0xd03, ", Cortex-A53"}, {0xd05, ", Cortex-A55"}, {0xd07, ", Cortex-A57"}, {0xd08, ", Cortex-A72"}, {0xd0b, ", Cortex-A76"}, {0xd0c, ", Neoverse N1"}, {0xd40, ", Neoverse V1"}, {0xd49, ", Neoverse N2"}};
  if (midr >> 24 == 0x41) for (unsigned i = 0; i < sizeof arm / sizeof *arm; i++) if (arm[i].part == (midr >> 4 & 0xfff)) return arm[i].name;
  return "";
}

void describe_cpu(void) {
  unsigned midr = (unsigned)read_sysreg(midr_el1);
  static const unsigned char pa_bits[16] = {32, 36, 40, 42, 44, 48, 52, 56};
  read_id();
  say("  CPU         MIDR 0x%08x: %s%s, part 0x%03x r%up%u\n", midr, implementer(midr >> 24), part(midr), midr >> 4 & 0xfff, midr >> 20 & 15, midr & 15);
  say("  Addresses   %u-bit physical, %u-bit virtual; pages of", pa_bits[field(MMFR0, 0)], field(MMFR2, 16) ? 52 : 48);
  if (field(MMFR0, 28) != 15) say(" 4K%s", field(MMFR0, 28) ? "(LPA2)" : "");
  if (field(MMFR0, 20) != 0) say(" 16K%s", field(MMFR0, 20) > 1 ? "(LPA2)" : "");
  if (field(MMFR0, 24) != 15) say(" 64K");
  say("; %u-bit ASID, %u-bit VMID\n", field(MMFR0, 4) ? 16 : 8, field(MMFR1, 4) ? 16 : 8);
}

void describe_features(void) {
  read_id();
  LIST("Extensions", instructions);
  LIST("Protection", security);
  LIST("Memory", memory);
  LIST("System", system);
}
