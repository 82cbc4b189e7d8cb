// The little of PE/COFF that a boot loader needs: EFI-stub kernels carry such a header, and its section table tells how long the file must be.

/** COFF machine numbers that kernels come with. */
export const peMachines: Record<number, string> = {
  332: "32-bit x86",
  450: "32-bit Arm",
  20530: "32-bit RISC-V",
  20580: "64-bit RISC-V",
  25188: "LoongArch",
  34404: "64-bit x86",
  43620: "AArch64",
};
export const PE_AARCH64 = 0xaa64;

/** Machine number of a PE file and the file length in bytes that its sections need; undefined when there is no PE header. */
export function readPe(data: Uint8Array): { machine: number; length: number } | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (data.length < 0x40 || view.getUint16(0, true) !== 0x5a4d /* MZ */) return undefined;
  const at = view.getUint32(0x3c, true);
  if (at + 24 > data.length || view.getUint32(at, true) !== 0x4550 /* PE\0\0 */) return undefined;
  const sections = view.getUint16(at + 6, true);
  const table = at + 24 + view.getUint16(at + 20, true);
  let length = table + 40 * sections;
  for (let s = table; s < table + 40 * sections && s + 40 <= data.length; s += 40) {
    const [size, offset] = [view.getUint32(s + 16, true), view.getUint32(s + 20, true)];
    if (size > 0) length = Math.max(length, offset + size);
  }
  return { machine: view.getUint16(at + 4, true), length };
}
