// Writes a Firmware Image Package: the container from which TF-A's BL2 (and BL1) load every later stage. Header of 16 bytes, a table
// with one entry of 40 bytes for each image, an entry with a zero UUID that ends it, then the images (TF-A, firmware_image_package.h).

/** UUIDs of the images in stored byte order, by the name that fiptool gives them. */
// biome-ignore format: table
export const fipUuids = {
  "tb-fw":           "5ff9ec0b4d223e4da544c39d81c73f0a", // BL2
  "scp-fw":          "9766fd3d89bee849ae5d78a140608213", // SCP_BL2
  "soc-fw":          "47d4086d4cfe98469b952950cbbd5a00", // BL31
  "tos-fw":          "05d0e18953dc13478d2b500a4b7a3e38", // BL32
  "tos-fw-extra1":   "0b70c29b2a5a78409f650a5682738288",
  "tos-fw-extra2":   "8ea87bb1cfa23f4d85fde7bba50220d9",
  "nt-fw":           "d6d0eea7fcead54b97829934f234b6e4", // BL33
  "rmm-fw":          "6c0762a612f24b5692cbba8f633606d9",
  "hw-config":       "08b8f1d9c9cf9349a9626fbc6b7265cc",
  "tb-fw-config":    "6c0458ffaf6b7d4f82edaa27bc69bfd2",
  "soc-fw-config":   "9979814b0376fb468c8e8d267f7859e0",
  "tos-fw-config":   "26257c1adbc67f478d96c4c4b0248021",
  "nt-fw-config":    "28da981593e87e44ac661aaf801550f9",
  "fw-config":       "5807e16a845947be8ed5648e8dddab0e",
} as const;
export type FipImage = keyof typeof fipUuids;

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
