// Where the console of our machine differs from that of QEMU under the same firmware and kernel, and why.

import type { DiskBoot } from "../support/disk-boot.ts";
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

/** Of cortex-a76. */
export const a76Differences: readonly Difference[] = [
  ours(/^CPU features: detected: Instruction cache invalidation not required/, "CTR_EL0.DIC: the emulator is coherent"),
];

/** On the Secure console with OP-TEE. */
export const opteeDifferences: readonly Difference[] = [
  both(/periodic_callback:/, "once a second"),
  both(/^(PANIC at PC.*)?$/, "a PE runs on for a moment after the write that powers off, and TF-A panics then"),
  both(/dump_mmap_table:|xlat tables used/, "order and tables follow the addresses that the seed chose"),
];
/** OP-TEE's virtual addresses are random, from the seed in the device tree. */
export const withoutAddresses = (text: string): string =>
  text.replace(/(va|addr|at|offs|address|to|range: |, |with virtual load address|offset) ?0?x?[0-9a-f]{7,16}/g, "$1 X");

const diskLinux = linuxDifferences.filter(({ why }) => !/no ITS yet|no GED|date of a deterministic run/.test(why));

/** With cortex-a76, from a disk. QEMU's machine has no ITS and no ACPI tables then, either. */
export function diskDifferences({ firmware, bus }: DiskBoot): readonly Difference[] {
  const uboot = firmware !== "edk2";
  return [
    ...diskLinux,
    ...a76Differences,
    both(/^rtc-(pl031|efi) .* setting system clock to /, "the date"),
    theirs(/^ITS: No ITS available, not enabling LPIs/, "GICD_TYPER.LPIS is 0 without an ITS"),
    theirs(/^hrtimer: interrupt took/, "host time yet"),
    both(/^(DMI: |DMI not present|SMBIOS )/, "no SMBIOS tables: U-Boot makes its own"),
    both(/^software IO TLB: mapped/, "SMBIOS tables and a larger device tree take memory"),
    ...(uboot
      ? [
          both(/^Core: +\d+ devices, \d+ uclasses/, "no platform bus"),
          both(/^Hit any key to stop autoboot:/, "how far it has counted when the key comes"),
          ours(/^Falling back to U-Boot generated SMBIOS tables/, "no SMBIOS tables"),
        ]
      : [
          both(/^efi: (SMBIOS|MEMATTR)/, "no SMBIOS tables"),
          both(/^cma: Reserved 64 MiB at /, "SMBIOS tables and a larger device tree take memory yet"),
          both(/^ {2}node {3}0: \[mem 0x000000007f(eb|ec|ee)0000-/, "no SMBIOS tables, which have a page of the runtime services"),
        ]),
    ...(firmware === "tf-a-optee"
      ? []
      : [
          both(/^psci: SMC Calling Convention v1\./, "the built-in EL3 implements SMCCC 1.5, QEMU 1.0"),
          ours(/^SMCCC: SOC_ID: ARCH_SOC_ID not implemented/, "asked for from SMCCC 1.2 on"),
        ]),
    ...(bus === "pci" ? [theirs(/^pci 0000:00:01.0: BAR 1 /, "no MSI-X")] : []),
    ...(bus === "pci" && uboot ? [both(/^pci 0000:00:01.0: BAR 4 \[mem 0x1000[04]000-/, "no MSI-X: the first BAR is another")] : []),
  ];
}
