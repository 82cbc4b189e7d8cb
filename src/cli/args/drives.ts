// --drive and --device: which disks the machine gets.

import { usageError } from "../../util/errors.ts";
import { allowKeys, parseKeyValues, parseSwitch } from "./keyval.ts";

/** A disk of the machine, backed by a file of the host. */
export interface Drive {
  readonly file: string;
  readonly readonly: boolean;
  /** The format was not given: a file that looks like another format is refused rather than taken as raw. */
  readonly probe: boolean;
  /** On the PCI bus; absent: in a virtio-mmio slot. */
  readonly pci?: true;
}

/** What --device puts on the PCI bus. */
export type PciKind = "block" | "rng" | "console";

interface NamedDrive extends Drive {
  readonly id: string | undefined;
  /** "none": waits for a --device that names it. */
  readonly attached: boolean;
}

/** Devices that `--device` can name. The machine always has an entropy device and a virtio console: naming them changes nothing. */
const DEVICES: readonly string[] = ["virtio-blk-device", "virtio-rng-device", "virtio-serial-device", "virtio-serial"];
const PCI_DEVICES: Readonly<Record<string, PciKind>> = {
  "virtio-blk-pci": "block",
  "virtio-rng-pci": "rng",
  "virtio-serial-pci": "console",
};

/** Devices on the PCI bus, in the order of their slots. The n-th "block" is the n-th drive with `pci`. */
export function parsePciDevices(deviceOptions: readonly string[]): PciKind[] {
  return deviceOptions.flatMap((option) => PCI_DEVICES[parseKeyValues(option, "--device").head ?? ""] ?? []);
}

/**
 * The disks that --drive and --device options ask for together, in the order in which they are attached. `pci`: the machine has a PCI
 * bus.
 */
export function parseDrives(driveOptions: readonly string[], deviceOptions: readonly string[], pci = false): Drive[] {
  const drives = driveOptions.map(parseDrive);
  const ids = drives.map((d) => d.id).filter((id) => id !== undefined);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw usageError("bad-drive", `--drive: two drives have the id "${twice}"`);
  const attached: NamedDrive[] = drives.filter((d) => d.attached);
  const onPci: NamedDrive[] = [];
  for (const option of deviceOptions) {
    const disk = parseDevice(option, pci);
    if (disk === undefined) continue;
    const drive = takeDrive(drives, [...attached, ...onPci], disk.drive);
    if (disk.pci) onPci.push(drive);
    else attached.push(drive);
  }
  const idle = drives.find((d) => !attached.includes(d) && !onPci.includes(d));
  if (idle)
    throw usageError("bad-drive", `--drive: "${idle.file}" has if=none and no --device virtio-blk-device,drive=${idle.id ?? "ID"} uses it`);
  const plain = ({ file, readonly, probe }: NamedDrive): Drive => ({ file, readonly, probe });
  return [...attached.map(plain), ...onPci.map((d) => ({ ...plain(d), pci: true as const }))];
}

function parseDrive(option: string): NamedDrive {
  const { head, values } = parseKeyValues(option, "--drive");
  if (head !== undefined) throw usageError("bad-drive", `--drive: type file=${head}`);
  allowKeys(values, ["file", "format", "readonly", "if", "id", "media", "cache", "discard", "index"], "--drive");
  const file = values.get("file");
  if (!file) throw usageError("bad-drive", "--drive: file=NAME is missing");
  const format = values.get("format");
  if (format !== undefined && format !== "raw") {
    throw usageError("bad-drive", `--drive: format ${format} is not supported, only raw (qemu-img convert -O raw makes one)`);
  }
  const bus = values.get("if") ?? "virtio";
  if (bus !== "virtio" && bus !== "none") throw usageError("bad-drive", `--drive: if=${bus} is not supported (virtio, none)`);
  const readonly = parseSwitch(values.get("readonly") ?? "off", "--drive readonly") || values.get("media") === "cdrom";
  return { file, readonly, probe: format === undefined, id: values.get("id"), attached: bus === "virtio" };
}

/** The id of the drive that the device uses, and the bus that it is on, if it is a disk. */
function parseDevice(option: string, pci: boolean): { drive: string; pci: boolean } | undefined {
  const { head, values } = parseKeyValues(option, "--device");
  const names = pci ? [...DEVICES, ...Object.keys(PCI_DEVICES)] : DEVICES;
  const name = names.find((known) => known === head);
  if (!name) throw usageError("unknown-device", `--device: unknown device "${head ?? ""}" (known: ${names.join(", ")})`);
  const onPci = Object.hasOwn(PCI_DEVICES, name);
  const common = onPci ? ["id", "disable-legacy"] : ["id"];
  if (name.startsWith("virtio-serial")) common.push("max_ports");
  if (onPci && !parseSwitch(values.get("disable-legacy") ?? "on", `--device ${name} disable-legacy`))
    throw usageError("bad-device", `--device ${name}: the interface from before virtio 1.0 is not offered (disable-legacy=off)`);
  if (name !== "virtio-blk-device" && name !== "virtio-blk-pci") {
    allowKeys(values, common, `--device ${name}`);
    return undefined;
  }
  allowKeys(values, ["drive", ...common], `--device ${name}`);
  const drive = values.get("drive");
  if (!drive) throw usageError("bad-device", `--device ${name}: drive=ID is missing`);
  return { drive, pci: onPci };
}

function takeDrive(drives: readonly NamedDrive[], attached: readonly NamedDrive[], id: string): NamedDrive {
  const drive = drives.find((d) => d.id === id);
  if (!drive) throw usageError("bad-device", `--device: no --drive has id=${id}`);
  if (attached.includes(drive)) throw usageError("bad-device", `--device: drive "${id}" is in use already`);
  return drive;
}
