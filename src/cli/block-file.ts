// A disk kept in a file of the host. Reads and writes go straight to the file; its length never changes.

import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { type BlockBackend, SECTOR } from "../devices/virtio/index.ts";
import { EmuError } from "../util/errors.ts";
import type { Drive } from "./args/drives.ts";

/** First bytes of disk image formats that are not raw. */
const FORMATS: readonly { name: string; magic: string; offset: number }[] = [
  { name: "qcow2", magic: "QFI\xfb", offset: 0 },
  { name: "VMDK", magic: "KDMV", offset: 0 },
  { name: "VHD", magic: "conectix", offset: 0 },
  { name: "VHDX", magic: "vhdxfile", offset: 0 },
  { name: "VDI", magic: "\x7f\x10\xda\xbe", offset: 64 },
];

export class FileBlockBackend implements BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  private readonly fd: number;
  private readonly bytes: number;

  private constructor(fd: number, bytes: number, readOnly: boolean) {
    this.fd = fd;
    this.bytes = bytes;
    this.sectors = Math.ceil(bytes / SECTOR);
    this.readOnly = readOnly;
  }

  /** Opens a drive's file. Throws EmuError when it cannot be used as the drive says. */
  static open(drive: Drive): FileBlockBackend {
    const fd = openFile(drive);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw new EmuError("drive-unreadable", `the drive "${drive.file}" is not a regular file`);
      if (stat.size === 0) throw new EmuError("drive-empty", `the drive "${drive.file}" is empty`);
      if (!drive.readonly && stat.size % SECTOR !== 0) {
        throw new EmuError("drive-size", `the drive "${drive.file}" is not a multiple of ${SECTOR} bytes long; add readonly=on, or pad it`);
      }
      if (drive.probe) refuseOtherFormats(fd, drive.file);
      return new FileBlockBackend(fd, stat.size, drive.readonly);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  read(sector: number, count: number): Uint8Array | undefined {
    const data = new Uint8Array(count * SECTOR); // past the end of a file that ends within a sector: zeros
    const wanted = Math.min(data.length, this.bytes - sector * SECTOR);
    return transfer(wanted, (done) => readSync(this.fd, data, done, wanted - done, sector * SECTOR + done)) ? data : undefined;
  }

  write(sector: number, data: Uint8Array): boolean {
    if (this.readOnly || sector * SECTOR + data.length > this.bytes) return false;
    return transfer(data.length, (done) => writeSync(this.fd, data, done, data.length - done, sector * SECTOR + done));
  }

  flush(): boolean {
    if (this.readOnly) return true;
    try {
      fsyncSync(this.fd);
      return true;
    } catch {
      return false;
    }
  }

  /** The same for every path that leads to the file. */
  identity(): string {
    const { dev, ino } = fstatSync(this.fd, { bigint: true });
    return `${dev}:${ino}`;
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Repeats a partial transfer until `total` bytes are done. False: the host reported an error, or no progress. */
function transfer(total: number, step: (done: number) => number): boolean {
  try {
    for (let done = 0; done < total; ) {
      const n = step(done);
      if (n <= 0) return false;
      done += n;
    }
    return true;
  } catch {
    return false;
  }
}

function openFile(drive: Drive): number {
  try {
    return openSync(drive.file, drive.readonly ? constants.O_RDONLY : constants.O_RDWR);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    if (reason === "ENOENT" || reason === "ENOTDIR") throw new EmuError("drive-missing", `no such drive file: "${drive.file}"`);
    if (reason === "EISDIR") throw new EmuError("drive-unreadable", `the drive "${drive.file}" is not a regular file`);
    const readable = !drive.readonly && canRead(drive.file);
    if (readable)
      throw new EmuError("drive-unwritable", `cannot write to the drive "${drive.file}" (${reason}); add readonly=on to read it only`);
    throw new EmuError("drive-unreadable", `cannot read the drive "${drive.file}": ${reason}`);
  }
}

function canRead(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY));
    return true;
  } catch {
    return false;
  }
}

function refuseOtherFormats(fd: number, file: string): void {
  const head = Buffer.alloc(SECTOR);
  readSync(fd, head, 0, head.length, 0);
  for (const { name, magic, offset } of FORMATS) {
    if (head.toString("latin1", offset, offset + magic.length) !== magic) continue;
    throw new EmuError(
      "drive-format",
      `the drive "${file}" is a ${name} image; convert it (qemu-img convert -O raw), or add format=raw to use it as it is`,
    );
  }
}

/** Opens all drives. A file may be used twice only when every use is read-only. */
export function openDrives(drives: readonly Drive[]): FileBlockBackend[] {
  const open: FileBlockBackend[] = [];
  try {
    for (const drive of drives) open.push(FileBlockBackend.open(drive));
    refuseSharing(drives, open);
    return open;
  } catch (error) {
    for (const backend of open) backend.close();
    throw error;
  }
}

function refuseSharing(drives: readonly Drive[], open: readonly FileBlockBackend[]): void {
  const seen = new Map<string, FileBlockBackend>();
  open.forEach((backend, index) => {
    const identity = backend.identity();
    const other = seen.get(identity);
    if (other && !(other.readOnly && backend.readOnly)) {
      throw new EmuError("drive-shared", `the drive "${drives[index]?.file}" is used twice; that needs readonly=on for both`);
    }
    seen.set(identity, backend);
  });
}
