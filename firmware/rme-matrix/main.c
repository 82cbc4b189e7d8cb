// A matrix of RME checks: it runs at EL3 on the bare machine `virt` with Secure state, on the emulator and on QEMU, and prints one
// line for each check, so that the two outputs can be compared byte for byte.
//
//   qemu-system-aarch64 -M virt,secure=on,virtualization=on,gic-version=3 -cpu max,x-rme=on -m 2G -nographic -kernel matrix.elf
//
// A line is   section/entry/world>space/place/access/routing: result   where parts that are at their default are left out:
//   entry    granule size, form and GPI of the entry that governs the granule under test
//   world    who makes the access; ">space" when the access goes to another PA space than the state's own
//   place    what lies in the granule when it is not the output: a table of stage 1, of stage 2, of stage 2 for a stage-1 table (s2w)
//   result   "ok", or the Exception level that took the exception, ESR, FAR, HPFAR and MFAR when written, ELR
//
// The section dma is about a device: virtio entropy, version 2 (QEMU: -global virtio-mmio.force-legacy=false -device virtio-rng-device).
// Its lines name "device" as the world, and say "refused" when the transfer did not take place.
//
// A word at MAILBOX changes what is done:
//   1 (bit 0)  leaves out what makes QEMU 11.1 stop with a failed assertion: granule protection faults on table walks at levels 2
//              and 3, and PPS not larger than a level-0 region
//   2 (bit 1)  makes only the checks in which the size of level-0 regions matters most
//   0x100 + n  only builds broken configuration n, under which nothing can run on; the registers of EL3 then tell the fault

#include "matrix.h"

static void configuration_fault(unsigned n) {
  static const struct { uint64_t gpccr, gptbr, bypass; } broken[] = {
    {GPCCR_BASE | 7, 0, 0},                             // 0: PPS reserved
    {GPCCR_BASE | 3u << 14, 0, 0},                      // 1: PGS reserved
    {(GPCCR_BASE & ~(3u << 12)) | 1u << 12, 0, 0},      // 2: SH reserved
    {GPCCR_BASE & ~(0xfu << 8), 0, 0},                  // 3: non-cacheable but inner shareable
    {GPCCR_BASE & ~(0x3fu << 8), 0, 0},                 // 4: non-cacheable but not shareable
    {GPCCR_BASE, 1ull << 28, 0},                        // 5: tables above PPS
    {GPCCR_BASE, (NOWHERE - GPT_L0) >> 12, 0},          // 6: tables outside memory
    {GPCCR_BASE, 0x100, 0},                             // 7: an empty level-0 table
    {GPCCR_BASE | 1u << 29, 0, 5ull << 37 | 16ull << 32}, // 8: bypass window of a reserved size
    {GPCCR_BASE | 1u << 29, 0, 5ull << 32},             // 9: reserved stride
    {GPCCR_BASE | 1u << 29, 0, 1ull << 37 | 16ull << 32 | 1}, // 10: base not a multiple of the size
  };
  gpt_build(PGS_4K, FORM_GRANULES, GPI_ANY);
  if (broken[n].bypass) write_sysreg(GPCBW_EL3, broken[n].bypass);
  write_sysreg(GPTBR_EL3, (GPT_L0 >> 12) + broken[n].gptbr);
  gpc_on(broken[n].gpccr);
  for (;;) {}
}

void unexpected(uint64_t esr, uint64_t elr, uint64_t far);
void unexpected(uint64_t esr, uint64_t elr, uint64_t far) {
  gpc_off();
  say("\nunexpected exception at EL3: esr=%lx elr=%lx far=%lx\n", esr, elr, far);
  power_off();
}

int main(void) {
  unsigned rme = read_sysreg(id_aa64pfr0_el1) >> 52 & 15;
  if (read64(MAILBOX) >= 0x100) configuration_fault(read64(MAILBOX) & 0xff);
  say("RME matrix: ID_AA64PFR0_EL1.RME=%u, level-0 regions of 2^%u bytes\n", rme, gpt_region_bits());
  if (!rme) {
    say("this PE has no RME\n");
    power_off();
  }
  mmu_on();
  section_form();
  section_size();
  section_malformed();
  section_tlbi();
  if (!(read64(MAILBOX) & MAILBOX_FEW)) {
    section_gpi();
    section_access();
    section_walk();
    section_update();
    section_at();
    section_dma();
    if (rme >= 2) section_gpc2();
    if (rme >= 3) section_gpc3();
  }
  say("%u checks done\n", checks_done());
  power_off();
}
