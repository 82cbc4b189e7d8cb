// Writes a Firmware Image Package: the container from which TF-A's BL2 (and BL1) load every later stage. Header of 16 bytes, a table
// with one entry of 40 bytes for each image, an entry with a zero UUID that ends it, then the images (TF-A, firmware_image_package.h).

import { type FipImage, fipUuids } from "./fip-uuids.ts";

export type { FipImage };

/** First word of a package, and the serial number that fiptool writes. */
export const FIP_MAGIC = 0xaa64_0001;
const SERIAL = 0x1234_5678;
const HEADER = 16;
const ENTRY = 40;

/** The bytes of a package with these images, in this order. */
export function writeFip(images: readonly (readonly [FipImage, Uint8Array])[]): Uint8Array {
  let offset = HEADER + ENTRY * (images.length + 1);
  const total = images.reduce((sum, [, data]) => sum + data.length, offset);
  const fip = new Uint8Array(total);
  const view = new DataView(fip.buffer);
  view.setUint32(0, FIP_MAGIC, true);
  view.setUint32(4, SERIAL, true);
  images.forEach(([name, data], index) => {
    const entry = HEADER + ENTRY * index;
    fip.set(Buffer.from(fipUuids[name], "hex"), entry);
    view.setBigUint64(entry + 16, BigInt(offset), true);
    view.setBigUint64(entry + 24, BigInt(data.length), true);
    fip.set(data, offset);
    offset += data.length;
  });
  view.setBigUint64(HEADER + ENTRY * images.length + 16, BigInt(total), true);
  return fip;
}
