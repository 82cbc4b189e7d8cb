// Where the console of our machine differs from that of QEMU under the same firmware and kernel, and why.

import type { Difference } from "../support/firmware.ts";

const both = (line: RegExp, why: string): Difference => ({ line, side: "both", why });
const theirs = (line: RegExp, why: string): Difference => ({ line, side: "theirs", why });
const ours = (line: RegExp, why: string): Difference => ({ line, side: "ours", why });

/** In every run of Linux. */
export const linuxDifferences: readonly Difference[] = [
  both(/^node \d deferred pages initialised in \d+ms/, "host time"),
  both(/^audit: type=2000 /, "time since reset"),
  both(/^rtc-pl031 .* setting system clock to /, "the date of a deterministic run is fixed"),
  both(/^(Freeing initrd memory: |Trying to unpack rootfs image)/, "another thread of the kernel prints it in its time"),
  both(
    /^(NODE_DATA\(\d\) allocated|Memory: \d+K\/\d+K available)/,
    "the device tree is smaller, and there is no ITS with tables in memory",
  ),
  theirs(/^(ITS|GICv3: using LPI property table|GICv3: CPU\d+: using allocated LPI pending table)/, "there is no ITS yet"),
  both(/^hw-breakpoint: found/, "2 breakpoints and 2 watchpoints, the least that the architecture allows"),
  theirs(/^CPU features: detected: 32-bit EL[01] Support/, "no AArch32"),
  ours(/^setend instruction emulation is not supported on this system/, "no AArch32"),
  ours(/^pl061_gpio 9030000.pl061:/, "the power key stays on the GPIO: there are no ACPI tables and no GED"),
];

/** Features that QEMU's max has and ours has not. */
export const maxDifferences: readonly Difference[] = [
  theirs(/^CPU features: detected: Stage-1 Permission Indirection Extension/, "no FEAT_S1PIE"),
  theirs(/^CPU features: detected: (Store Only MTE Tag Check|FAR on MTE Tag Check Fault)/, "no MTE"),
  theirs(/^CPU features: detected: FPMR/, "no FEAT_FPMR"),
  theirs(/^CPU features: detected: Guarded Control Stack/, "no FEAT_GCS"),
  theirs(/^CPU features: detected: 52-bit Virtual Addressing for KVM/, "no TGran4_2, TGran16_2 with LPA2"),
  theirs(/^CPU features: detected: Memory Copy and Memory Set/, "no FEAT_MOPS"),
  theirs(/^CPU features: detected: SCTLR2/, "no FEAT_SCTLR2"),
  theirs(/^(CPU features: detected: (Scalable|FA64|SME2)|S[VM]E: )/, "no SVE and SME"),
  both(/^kvm \[1\]: IPA Size Limit: /, "no TGran4_2 with LPA2"),
  ours(/^CPU features: detected: Spectre-BHB/, "CSV2_3 and CLRBHB are not announced"),
];
