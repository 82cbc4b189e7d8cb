// Writer for the "newc" cpio format that the Linux kernel unpacks as its initramfs (Documentation/driver-api/early-userspace/buffer-format).

/** File type bits of a mode (octal 170000). */
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const S_IFCHR = 0o020000;

/** One entry of the archive. Paths have no leading slash; parent folders come first. */
export type CpioEntry =
  | { readonly kind: "file"; readonly path: string; readonly data: Uint8Array; readonly mode?: number }
  | { readonly kind: "folder"; readonly path: string; readonly mode?: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "char"; readonly path: string; readonly major: number; readonly minor: number; readonly mode?: number };

/** The archive as bytes. Owner is root and times are 0, so equal entries give equal bytes. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  entries.forEach((entry, index) => {
    parts.push(...record(entry.path, typeAndMode(entry), content(entry), index + 1, device(entry)));
  });
  parts.push(...record("TRAILER!!!", 0, new Uint8Array(0), 0, [0, 0]));
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const archive = new Uint8Array(Math.ceil(size / 512) * 512);
  let offset = 0;
  for (const part of parts) {
    archive.set(part, offset);
    offset += part.length;
  }
  return archive;
}

function typeAndMode(entry: CpioEntry): number {
  if (entry.kind === "folder") return S_IFDIR | (entry.mode ?? 0o755);
  if (entry.kind === "link") return S_IFLNK | 0o777;
  if (entry.kind === "char") return S_IFCHR | (entry.mode ?? 0o600);
  return S_IFREG | (entry.mode ?? 0o644);
}

function content(entry: CpioEntry): Uint8Array {
  if (entry.kind === "file") return entry.data;
  if (entry.kind === "link") return new TextEncoder().encode(entry.target);
  return new Uint8Array(0);
}

const device = (entry: CpioEntry): [number, number] => (entry.kind === "char" ? [entry.major, entry.minor] : [0, 0]);

/** Header, name and data, each padded to four bytes. */
function record(path: string, mode: number, data: Uint8Array, inode: number, [major, minor]: [number, number]): Uint8Array[] {
  const name = new TextEncoder().encode(`${path}\0`);
  const links = mode >> 12 === S_IFDIR >> 12 ? 2 : 1;
  //              ino    mode  uid gid nlink  mtime size         devmajor devminor rdevmajor rdevminor namesize     check
  const fields = [inode, mode, 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${fields.map((v) => v.toString(16).padStart(8, "0")).join("")}`;
  const head = new Uint8Array(align4(header.length + name.length));
  head.set(new TextEncoder().encode(header));
  head.set(name, header.length);
  const body = new Uint8Array(align4(data.length));
  body.set(data);
  return [head, body];
}

const align4 = (n: number): number => (n + 3) & ~3;
