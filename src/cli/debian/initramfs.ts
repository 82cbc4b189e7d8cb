// The busybox initramfs: one static program, a few kernel modules, and an /init that ends in a shell on the console.

import { gzipSync } from "node:zlib";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import type { KernelModule } from "./modules.ts";

/** Modules that /init loads, in this order (dependencies are added): the devices of the `virt` machine. */
export const LOADED_MODULES: readonly string[] = ["virtio_mmio", "virtio_pci", "virtio_blk", "virtio_rng"];

/** Modules that are there for `modprobe`, when the kernel has them. */
export const AVAILABLE_MODULES: readonly string[] = [
  "virtio_net",
  "ext4",
  "gpio_keys",
  "evdev",
  "9pnet_virtio",
  "9p",
  "arm_cca_guest",
  "tsm_report",
  "optee",
];

/** What the kernel runs first. Signals are what busybox's poweroff (USR2), halt (USR1) and reboot (TERM) send to process 1. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s
export PATH=/sbin:/bin HOME=/root TERM="\${TERM:-vt100}" PS1='~ # '
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
while read -r module; do
  insmod "$module"
done < /etc/load-modules
hostname rme-emu
trap 'sync; poweroff -f' USR2
trap 'sync; halt -f' USR1
trap 'sync; reboot -f' TERM
echo
echo "Debian arm64 kernel $(uname -r), $(nproc) processor(s), busybox shell."
echo "'poweroff' ends the machine."
echo
cd /root
setsid cttyhack sh </dev/console >/dev/console 2>&1 &
wait $!
sync
poweroff -f
`;

/** The initramfs of one kernel release, compressed with gzip. Equal inputs give equal bytes. */
export function buildInitramfs(
  release: string,
  busybox: Uint8Array,
  loaded: readonly KernelModule[],
  available: readonly KernelModule[],
): Uint8Array {
  const modulesDir = `lib/modules/${release}`;
  const all = [...new Map([...loaded, ...available].map((m) => [m.name, m])).values()];
  const text = (path: string, content: string, mode = 0o644): CpioEntry => ({ kind: "file", path, data: Buffer.from(content), mode });
  const entries: CpioEntry[] = [
    ...["bin", "sbin", "dev", "etc", "proc", "sys", "tmp", "root", "mnt", "run", "usr", "usr/bin", "usr/sbin"].map(folder),
    { kind: "char", path: "dev/console", major: 5, minor: 1 },
    { kind: "char", path: "dev/null", major: 1, minor: 3, mode: 0o666 },
    { kind: "file", path: "bin/busybox", data: busybox, mode: 0o755 },
    text("init", INIT, 0o755),
    text("etc/passwd", "root::0:0:root:/root:/bin/sh\n"),
    text("etc/group", "root:x:0:\n"),
    text("etc/load-modules", loaded.map((m) => `/${modulesDir}/${m.path}\n`).join("")),
    ...parentFolders(all.map((m) => `${modulesDir}/${m.path}`)).map(folder),
    text(`${modulesDir}/modules.dep`, dependencyFile(all)),
    ...all.map((m): CpioEntry => ({ kind: "file", path: `${modulesDir}/${m.path}`, data: m.data })),
  ];
  return gzipSync(writeCpio(entries), { level: 9 });
}

const folder = (path: string): CpioEntry => ({ kind: "folder", path });

/** Every folder above the given paths, parents first. */
function parentFolders(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths) {
    const parts = path.split("/");
    for (let length = 1; length < parts.length; length++) folders.add(parts.slice(0, length).join("/"));
  }
  return [...folders].sort();
}

/** modules.dep as depmod writes it: each module with all the modules below it, nearest first. */
function dependencyFile(modules: readonly KernelModule[]): string {
  const byName = new Map(modules.map((m) => [m.name, m]));
  const below = (m: KernelModule, seen: Set<string>): string[] => {
    const paths: string[] = [];
    for (const name of m.depends) {
      const dependency = byName.get(name);
      if (!dependency || seen.has(name)) continue;
      seen.add(name);
      paths.push(dependency.path, ...below(dependency, seen));
    }
    return paths;
  };
  return modules.map((m) => `${m.path}:${["", ...below(m, new Set())].join(" ")}\n`).join("");
}
