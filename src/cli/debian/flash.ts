// Flash images for the machine `virt`: TF-A's BL1 at the start, a FIP with the later stages at 256 KiB (TF-A, PLAT=qemu).

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type FipImage, writeFip } from "../../loader/fip-write.ts";
import { EmuError } from "../../util/errors.ts";
import { cacheRoot, withCacheLock, writeAtomic } from "./cache.ts";
import { type Firmware, type FirmwareOptions, fetchFirmware } from "./firmware.ts";

const KiB = 1024;
const FIP_OFFSET = 256 * KiB;
/** Size of flash bank 0, which holds BL1 and the FIP. */
const BANK_SIZE = 64 * KiB * KiB;

/** The images of a flash image: BL1, and what the FIP holds. */
export interface FlashParts {
  readonly bl1: Uint8Array;
  readonly fip: readonly (readonly [FipImage, Uint8Array])[];
}

/** BL1 and FIP at their places; as long as it needs to be. */
export function packFlash(parts: FlashParts): Uint8Array {
  const fip = writeFip(parts.fip);
  const size = FIP_OFFSET + fip.length;
  if (parts.bl1.length > FIP_OFFSET)
    throw new EmuError("flash-overflow", `BL1 has ${parts.bl1.length} bytes; there are ${FIP_OFFSET} for it`);
  if (size > BANK_SIZE) throw new EmuError("flash-overflow", `BL1 and FIP need ${size} bytes of flash; the bank has ${BANK_SIZE}`);
  const flash = new Uint8Array(size);
  flash.set(parts.bl1);
  flash.set(fip, FIP_OFFSET);
  return flash;
}

/** Combinations of TF-A builds with what they load; all but BL33. */
const STACKS: Readonly<Record<string, (o: FirmwareOptions) => Promise<FlashParts>>> = {
  "tf-a-rme": async (o) => {
    const file = reader(await fetchFirmware("tf-a-rme", o));
    return {
      bl1: file("bl1.bin"),
      fip: [
        ["tb-fw", file("bl2.bin")],
        ["soc-fw", file("bl31.bin")],
        ["rmm-fw", file("rmm.bin")],
      ],
    };
  },
  "tf-a-optee": async (o) => {
    const file = reader(await fetchFirmware("tf-a-optee", o));
    const optee = reader(await fetchFirmware("optee", o));
    return {
      bl1: file("bl1.bin"),
      fip: [
        ["tb-fw", file("bl2.bin")],
        ["soc-fw", file("bl31.bin")],
        ["tos-fw", optee("tee-header_v2.bin")],
        ["tos-fw-extra1", optee("tee-pager_v2.bin")],
        ["tos-fw-extra2", optee("tee-pageable_v2.bin")],
      ],
    };
  },
};
/** Names of firmware that becomes a flash image with a BL33. */
export const stackNames: readonly string[] = Object.keys(STACKS);

const reader =
  (firmware: Firmware) =>
  (name: string): Uint8Array =>
    readFileSync(firmware.files[name] ?? join(firmware.dir, name));

/** The parts of a stack with `bl33` (a kernel's Image or other firmware) as what BL31 starts. */
export async function stackParts(name: string, bl33: Uint8Array, o: FirmwareOptions): Promise<FlashParts> {
  const stack = Object.hasOwn(STACKS, name) ? STACKS[name] : undefined;
  if (!stack) throw new EmuError("unknown-firmware", `"${name}" is no firmware that starts a BL33; ${stackNames.join(" and ")} are`, 2);
  const parts = await stack(o);
  return { bl1: parts.bl1, fip: [...parts.fip, ["nt-fw", bl33]] };
}

/** The flash image of a stack in the cache, made when it is not there; its path. */
export async function stackFlash(name: string, bl33: Uint8Array, o: FirmwareOptions): Promise<string> {
  const flash = packFlash(await stackParts(name, bl33, o));
  const root = o.cache ?? cacheRoot();
  const hash = createHash("sha256").update(flash).digest("hex").slice(0, 16);
  const path = join(root, "firmware", "flash", `${name}-${hash}.bin`);
  if (!existsSync(path)) await withCacheLock(root, async () => writeAtomic(path, flash));
  return path;
}
