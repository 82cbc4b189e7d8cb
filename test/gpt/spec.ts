// The granule protection check as a specification: written from the Arm ARM's rules with BigInt and string results, sharing nothing with
// src/gpt. PA spaces and states: 0 Secure, 1 Non-secure, 2 Root, 3 Realm.

export interface SpecInput {
  gpccr: bigint;
  gptbr: bigint;
  gpcbw: bigint;
  paBits: number;
  gpc2: boolean;
  gpc3: boolean;
  /** Eight bytes of the Root PA space, undefined: External abort. */
  read(pa: bigint): bigint | undefined;
}

const bits = (v: bigint, hi: number, lo: number): bigint => (v >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);

/** "pass", or what fails and at which level: "gpf0", "walk1", "size0", "eabt0". */
export function specCheck(s: SpecInput, pa: bigint, pas: number, state: number): string {
  const { gpccr } = s;
  const flag = (n: number): boolean => bits(gpccr, n, n) === 1n;
  if (!flag(16)) return "pass";
  // Consistency of the registers.
  const ppsField = Number(bits(gpccr, 2, 0)) + (s.gpc3 && flag(3) ? 8 : 0);
  const pps = [32, 36, 40, 42, 44, 48, 52, 56, 46, 47][ppsField];
  if (pps === undefined || pps > s.paBits) return "walk0";
  const p = [12, 16, 14][Number(bits(gpccr, 15, 14))];
  if (p === undefined) return "walk0";
  const sh = bits(gpccr, 13, 12);
  if (sh === 1n) return "walk0";
  if (bits(gpccr, 11, 8) === 0n && sh !== 2n) return "walk0";
  if (s.gpc3 && flag(29)) {
    const w = new Map([[0n, 30], [1n, 31], [2n, 32], [4n, 34], [6n, 36]]).get(bits(s.gpcbw, 39, 37)); // biome-ignore format: table
    const strides: Record<number, number> = { 0: 40, 2: 42, 4: 44, 6: 46, 7: 47, 8: 48, 9: 49, 10: 50, 16: 56 };
    const stride = strides[Number(bits(s.gpcbw, 36, 32))];
    const base = bits(s.gpcbw, 25, 0) << 30n;
    if (w === undefined || stride === undefined) return "walk0";
    if (base % (1n << BigInt(w)) !== 0n || base >= 1n << BigInt(stride)) return "walk0";
    const offset = pa % (1n << BigInt(stride));
    if (offset >= base && offset < base + (1n << BigInt(w))) return "pass";
  }
  // Disabled PA spaces: SPAD, NSPAD, RLPAD.
  if (s.gpc2 && ((pas === 0 && flag(7)) || (pas === 1 && flag(6)) || (pas === 3 && flag(5)))) return "gpf0";
  const limit = 1n << BigInt(pps);
  if (pa >= limit) return pas === 1 || (s.gpc2 && flag(24)) ? "pass" : "gpf0";
  const l0 = { 0: 30, 4: 34, 6: 36, 9: 39 }[Number(bits(gpccr, 23, 20))] as number;
  const alignment = BigInt(Math.max(pps - l0 + 3, 12));
  const base = ((bits(s.gptbr, 39, 0) << 12n) >> alignment) << alignment;
  if (base >= limit) return "size0";

  const legal = (gpi: bigint): boolean => [0x0n, 0x8n, 0x9n, 0xan, 0xbn, 0xfn].includes(gpi) || (gpi === 0xdn && s.gpc2 && flag(19));
  const allows = (gpi: bigint): boolean => {
    switch (gpi) {
      case 0x8n:
        return pas === 0;
      case 0x9n:
        return pas === 1;
      case 0xan:
        return pas === 2;
      case 0xbn:
        return pas === 3;
      case 0xdn:
        return pas === 1 && (state === 1 || state === 2);
      default:
        return gpi === 0xfn;
    }
  };

  const e0 = s.read(base + (pa >> BigInt(l0)) * 8n);
  if (e0 === undefined) return "eabt0";
  if (bits(e0, 3, 0) === 1n) {
    if (bits(e0, 63, 8) !== 0n || !legal(bits(e0, 7, 4))) return "walk0";
    return allows(bits(e0, 7, 4)) ? "pass" : "gpf0";
  }
  if (bits(e0, 11, 0) !== 3n || bits(e0, 63, 52) !== 0n) return "walk0";
  const table = bits(e0, 51, 12) << 12n;
  if (table % (1n << BigInt(l0 - p - 1)) !== 0n) return "walk0";
  if (table >= limit) return "size0";

  const inRegion = pa % (1n << BigInt(l0));
  const e1 = s.read(table + (inRegion >> BigInt(p + 4)) * 8n);
  if (e1 === undefined) return "eabt1";
  if (bits(e1, 3, 0) === 1n) {
    if (bits(e1, 9, 8) === 0n || bits(e1, 63, 10) !== 0n || !legal(bits(e1, 7, 4))) return "walk1";
    return allows(bits(e1, 7, 4)) ? "pass" : "gpf1";
  }
  for (let i = 0; i < 64; i += 4) if (!legal(bits(e1, i + 3, i))) return "walk1";
  const i = Number((inRegion >> BigInt(p)) % 16n);
  return allows(bits(e1, 4 * i + 3, 4 * i)) ? "pass" : "gpf1";
}
