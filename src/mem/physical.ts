// Physical memory: RAM regions backed by a lazily touched pool in linear memory, and the bus that finds RAM or a device.

import { RAM_POOL } from "../arch/layout.ts";
import type { Pas } from "../arch/security.ts";
import { EmuError, hex } from "../util/errors.ts";

/** Who makes an access: the physical address space it is made to, and the PE (or -1 for a DMA-capable device). */
export interface Requester {
  pas: Pas;
  pe: number;
}

/** Returned by `read` for an access that the device or the bus answers with an error. */
export const BUS_ERROR = -1;

/**
 * A memory-mapped device. It does not know its address; the board maps it.
 * Accesses are 1, 2 or 4 bytes and naturally aligned: the bus splits 8-byte accesses, low half first.
 */
export interface MmioDevice {
  readonly name: string;
  /** Size of the register window in bytes. */
  readonly size: number;
  /** Value as an unsigned 32-bit number, or BUS_ERROR. */
  read(offset: number, size: 1 | 2 | 4, who: Requester): number;
  /** False: the device answers with an error. */
  write(offset: number, size: 1 | 2 | 4, value: number, who: Requester): boolean;
}

/** Bytes of the unit in which guest memory is taken from the pool. */
export const RAM_CHUNK = 0x1_0000;
const CHUNK = RAM_CHUNK;
/** Chunks below 16 GiB: more than a board has. */
const DIRECT_CHUNKS = 2 ** 18;

/** A touched unit of RAM: its physical address and contents. */
export interface RamChunk {
  pa: number;
  data: Uint8Array;
}

interface Region {
  base: number;
  size: number;
  device?: MmioDevice;
}

/** Contents of a memory that is written through its device only (flash). */
export interface RomContents {
  /** A copy of [offset, offset+length). */
  read(offset: number, length: number): Uint8Array;
  write(offset: number, data: Uint8Array): void;
  /** True (as at first): PEs read and execute the contents; false: reads go to the device. */
  direct(on: boolean): void;
}

interface Rom extends Region {
  direct: boolean;
  /** Some L1 TLB may lead to it. */
  used: boolean;
}

/**
 * The physical address map. Addresses are numbers (PA < 2^52, exact in a double).
 * Device windows win over RAM. All four PA spaces see the same map, except that Secure RAM exists in Secure and Root only;
 * which granule may be used from which space is for the granule protection check (src/gpt) to say.
 * A ROM is memory for reads, while its device lets them through; a device window at the same place takes the writes.
 */
export class PhysicalMemory {
  readonly memory: WebAssembly.Memory;
  readonly u8: Uint8Array;
  readonly view: DataView;
  /** Pool chunk of each RAM chunk, as absolute offset in linear memory; 0 = not touched yet. Indexed by PA >> 16; by a map above 16 GiB. */
  private readonly chunks = new Uint32Array(DIRECT_CHUNKS);
  private readonly farChunks = new Map<number, number>();
  private readonly ram: Region[] = [];
  private readonly roms: Rom[] = [];
  private readonly secure: Region[] = [];
  /** Ends of the last ROM and of the last Secure region: most accesses are above both. */
  private romEnd = 0;
  private secureEnd = 0;
  private readonly devices: Region[] = [];
  /** The inverse: chunk number (PA >> 16) by pool chunk. */
  private readonly owners: number[] = [];
  private next = RAM_POOL;
  /** ROM contents in [pa, pa+length) are about to change. */
  onRomWrite: (pa: number, length: number) => void = () => {};
  /** What reads of a ROM lead to has changed: translations to linear memory must go. */
  onRomSwitch: () => void = () => {};

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.u8 = new Uint8Array(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  /** Bytes of guest memory touched so far. */
  get touched(): number {
    return this.owners.length * CHUNK;
  }
  /** The RAM regions, lowest address first. */
  get ramRegions(): readonly { base: number; size: number }[] {
    return this.ram;
  }

  /** Adds RAM at [base, base+size); both multiples of 64 KiB. `secure`: not there for Non-secure and Realm accesses. */
  addRam(base: number, size: number, secure = false): void {
    this.ram.push({ base, size });
    this.ram.sort((a, b) => a.base - b.base);
    if (secure) this.addSecure(base, size);
  }
  private addSecure(base: number, size: number): void {
    this.secure.push({ base, size });
    this.secureEnd = Math.max(this.secureEnd, base + size);
  }
  /** Adds the contents of a ROM at [base, base+size), multiples of 64 KiB, zeros at first. `secure`: as for RAM. */
  addRom(base: number, size: number, secure = false): RomContents {
    const rom: Rom = { base, size, direct: true, used: false };
    this.roms.push(rom);
    this.romEnd = Math.max(this.romEnd, base + size);
    if (secure) this.addSecure(base, size);
    return {
      read: (offset, length) => this.readBytes(base + offset, length) as Uint8Array,
      write: (offset, data) => {
        this.onRomWrite(base + offset, data.length);
        this.writeBytes(base + offset, data);
      },
      direct: (on) => this.switchRom(rom, on),
    };
  }
  private switchRom(rom: Rom, on: boolean): void {
    if (rom.direct === on) return;
    rom.direct = on;
    if (rom.used) this.onRomSwitch();
    rom.used = false;
  }
  private romAt(pa: number): Rom | undefined {
    if (pa >= this.romEnd) return undefined;
    for (const r of this.roms) if (pa >= r.base && pa < r.base + r.size) return r;
    return undefined;
  }
  /** Is the RAM at `pa` hidden from accesses to this PA space? */
  hidden(pa: number, pas: Pas): boolean {
    if (pa >= this.secureEnd || (pas & 1) === 0) return false; // Non-secure and Realm are the odd ones
    for (const r of this.secure) if (pa >= r.base && pa < r.base + r.size) return true;
    return false;
  }
  /** Maps a device's register window at `base`. */
  addDevice(base: number, device: MmioDevice): void {
    this.devices.push({ base, size: device.size, device });
    this.devices.sort((a, b) => a.base - b.base);
  }

  isRam(pa: number): boolean {
    for (const r of this.ram) if (pa >= r.base && pa < r.base + r.size) return true;
    return false;
  }

  /** Is there memory at `pa`, RAM or the contents of a ROM? */
  isMemory(pa: number): boolean {
    return this.isRam(pa) || this.romAt(pa) !== undefined;
  }

  /**
   * Offset in linear memory of the byte of RAM or ROM contents at `pa`, allocating its chunk; 0 when there is neither.
   * Contiguous up to the next 64 KiB boundary only.
   */
  host(pa: number): number {
    const key = Math.floor(pa / CHUNK);
    let at = this.chunkAt(key);
    if (at === 0) {
      if (!this.isMemory(pa)) return 0;
      at = this.allocate(key);
    }
    return at + (pa - key * CHUNK);
  }

  /** Is the RAM at `pa` known to be zero, because nothing in its chunk was ever accessed? Asking does not touch it. */
  isBlank(pa: number): boolean {
    return this.chunkAt(Math.floor(pa / CHUNK)) === 0 && this.isRam(pa);
  }

  /** `host` for an access to a PA space: 0 also where that space has no memory, and where a ROM's device has to answer. */
  hostIn(pa: number, pas: Pas, write = false): number {
    if (this.hidden(pa, pas)) return 0;
    const rom = this.romAt(pa);
    if (rom !== undefined) {
      if (write || !rom.direct) return 0;
      rom.used = true;
    }
    return this.host(pa);
  }

  /** Physical address of an offset in linear memory, undefined when it is not in the pool. */
  paOf(host: number): number | undefined {
    const owner = this.owners[Math.floor((host - RAM_POOL) / CHUNK)];
    return owner === undefined ? undefined : owner * CHUNK + (host % CHUNK);
  }

  private chunkAt(key: number): number {
    return (key < DIRECT_CHUNKS ? this.chunks[key] : this.farChunks.get(key)) ?? 0;
  }
  private allocate(key: number): number {
    const at = this.next;
    if (at + CHUNK > this.u8.length) {
      throw new EmuError(
        "memory-exhausted",
        `the guest touched more memory than the host pool holds (${hex(this.touched)} bytes); give it less with --memory`,
      );
    }
    this.next += CHUNK;
    if (key < DIRECT_CHUNKS) this.chunks[key] = at;
    else this.farChunks.set(key, at);
    this.owners.push(key);
    return at;
  }

  /** The device mapped at `pa` and the offset in its window, or undefined. */
  deviceAt(pa: number): { device: MmioDevice; offset: number } | undefined {
    for (const r of this.devices) if (pa >= r.base && pa < r.base + r.size) return { device: r.device as MmioDevice, offset: pa - r.base };
    return undefined;
  }

  /** Copies guest memory out. Undefined when any byte is none. Not granule-checked: see gpt/ for requesters that must be. */
  readBytes(pa: number, length: number): Uint8Array | undefined {
    if (length > 0 && (pa % CHUNK) + length <= CHUNK) {
      const at = this.host(pa);
      return at === 0 ? undefined : this.u8.slice(at, at + length);
    }
    const out = new Uint8Array(length);
    return this.span(pa, length, (at, n, done) => out.set(this.u8.subarray(at, at + n), done)) ? out : undefined;
  }
  /** Copies into guest memory, ROMs too. False (nothing more written) when a byte is none. The caller invalidates predecoded code. */
  writeBytes(pa: number, data: Uint8Array): boolean {
    return this.span(pa, data.length, (at, n, done) => this.u8.set(data.subarray(done, done + n), at));
  }
  /** The same of `length` bytes that `fill` puts into arrays, from an offset on. */
  fillBytes(pa: number, length: number, fill: (target: Uint8Array, offset: number) => void): boolean {
    return this.span(pa, length, (at, n, done) => fill(this.u8.subarray(at, at + n), done));
  }
  private span(pa: number, length: number, f: (at: number, n: number, done: number) => void): boolean {
    for (let done = 0; done < length; ) {
      const at = this.host(pa + done);
      if (at === 0) return false;
      const n = Math.min(length - done, CHUNK - ((pa + done) % CHUNK));
      f(at, n, done);
      done += n;
    }
    return true;
  }

  /** Touched chunks, for snapshots: physical base address and contents. */
  *contents(): Generator<RamChunk> {
    for (const [i, key] of this.owners.entries()) {
      const at = RAM_POOL + i * CHUNK;
      yield { pa: key * CHUNK, data: this.u8.subarray(at, at + CHUNK) };
    }
  }
  /** Forgets all contents (reset, restore). */
  clear(): void {
    this.u8.fill(0, RAM_POOL, this.next);
    this.chunks.fill(0);
    this.farChunks.clear();
    this.owners.length = 0;
    this.next = RAM_POOL;
  }
}
