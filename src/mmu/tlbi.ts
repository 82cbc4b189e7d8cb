// TLBI: decoding of the operations and their scope (Arm ARM D8.14, C5.5; encodings in facts section 7).

/** What an operation invalidates. */
export const TlbiOp = {
  /** By VA and ASID, by VA for all ASIDs, by ASID. */
  Va: 0,
  Vaa: 1,
  Asid: 2,
  /** All of the regime: for the current VMID, or for all VMIDs. */
  Vmall: 3,
  All: 4,
  Ipa: 5,
  /** Everything checked against granule protection: all, or by PA range. */
  PaAll: 6,
  PaRange: 7,
} as const;
export type TlbiOp = (typeof TlbiOp)[keyof typeof TlbiOp];

/** One TLBI operation. */
export interface Tlbi {
  readonly op: TlbiOp;
  /** Exception level whose regime it names: 1 (EL1&0, or EL2&0 at EL2 with E2H and TGE), 2 (EL2 or EL2&0), 3. */
  readonly el: 1 | 2 | 3;
  /** IS and OS forms: acts on all PEs. */
  readonly broadcast: boolean;
  /** The operand names a range (Xt.{TG, SCALE, NUM, BaseADDR}). */
  readonly range: boolean;
  /** VMALLS12E1: always the EL1&0 regime. */
  readonly stage12?: boolean;
}

// CRm of the by-VA group: 1 OS, 3 IS, 7 local; of the range group: 5 OS, 2 IS, 6 local.
const plain = new Map([
  [1, true],
  [3, true],
  [7, false],
]);
const ranged = new Map([
  [5, true],
  [2, true],
  [6, false],
]);
// CRm, op2 of the stage 2 group: last-level forms (op2 + 4) invalidate the same entries here.
const ipa = new Map<number, Omit<Tlbi, "op" | "el">>([
  [0x40, { broadcast: true, range: false }],
  [0x41, { broadcast: false, range: false }],
  [0x42, { broadcast: false, range: true }],
  [0x43, { broadcast: true, range: true }],
  [0x01, { broadcast: true, range: false }],
  [0x02, { broadcast: true, range: true }],
]);
/** op2 of the EL1 operations; last-level forms are their own numbers. */
const el1Ops = [TlbiOp.Vmall, TlbiOp.Va, TlbiOp.Asid, TlbiOp.Vaa, undefined, TlbiOp.Va, undefined, TlbiOp.Vaa] as const;

/**
 * Decodes a TLBI (op0 = 1, CRn = 8, or 9 for the nXS form, which differs only in what its DSB waits for).
 * Undefined: the encoding is not allocated.
 */
export function decodeTlbi(op1: number, CRn: number, CRm: number, op2: number): Tlbi | undefined {
  if (CRn !== 8 && CRn !== 9) return undefined;
  const simple = plain.get(CRm);
  const range = ranged.get(CRm);
  if (op1 === 0) {
    const op = el1Ops[op2];
    if (op === undefined) return undefined;
    if (simple !== undefined) return { op, el: 1, broadcast: simple, range: false };
    return range !== undefined && (op === TlbiOp.Va || op === TlbiOp.Vaa) ? { op, el: 1, broadcast: range, range: true } : undefined;
  }
  if (op1 === 4) {
    const stage2 = ipa.get((CRm << 4) | (op2 & 3));
    if (stage2 !== undefined) return { op: TlbiOp.Ipa, el: 1, ...stage2 };
    if (simple !== undefined && op2 === 4) return { op: TlbiOp.All, el: 1, broadcast: simple, range: false };
    if (simple !== undefined && op2 === 6) return { op: TlbiOp.Vmall, el: 1, broadcast: simple, range: false, stage12: true };
    return byVaOrAll(2, simple, range, op2);
  }
  if (op1 !== 6) return undefined;
  if (CRn === 8 && op2 === 4 && CRm === 7) return { op: TlbiOp.PaAll, el: 3, broadcast: false, range: false };
  if (CRn === 8 && op2 === 4 && CRm === 1) return { op: TlbiOp.PaAll, el: 3, broadcast: true, range: false };
  if (CRn === 8 && CRm === 4 && (op2 & 3) === 3) return { op: TlbiOp.PaRange, el: 3, broadcast: true, range: true };
  return byVaOrAll(3, simple, range, op2);
}

/** ALLE2/VAE2/VALE2/RVAE2/RVALE2 and their EL3 counterparts. */
function byVaOrAll(el: 2 | 3, simple: boolean | undefined, range: boolean | undefined, op2: number): Tlbi | undefined {
  if (simple !== undefined && op2 === 0) return { op: TlbiOp.All, el, broadcast: simple, range: false };
  if (op2 !== 1 && op2 !== 5) return undefined;
  if (simple !== undefined) return { op: TlbiOp.Va, el, broadcast: simple, range: false };
  return range !== undefined ? { op: TlbiOp.Va, el, broadcast: range, range: true } : undefined;
}

const decoded = new Map<number, Tlbi | undefined>();
/** What `decodeTlbi` answers, found once for each encoding. */
export function tlbiOf(op1: number, CRn: number, CRm: number, op2: number): Tlbi | undefined {
  const key = (op1 << 11) | (CRn << 7) | (CRm << 3) | op2;
  const known = decoded.get(key);
  if (known !== undefined || decoded.has(key)) return known;
  const t = decodeTlbi(op1, CRn, CRm, op2);
  decoded.set(key, t);
  return t;
}

/** Address range of an operand, in bytes: [start, end). VAs are canonical signed doubles, IPAs and PAs unsigned. */
export interface ByteRange {
  start: number;
  end: number;
}

const tgBits = [0, 12, 14, 16] as const;

/** Range operand (TLBIRange). `large`: TCR.DS (or VTCR.DS) is 1: the base counts 64 KiB. Undefined: TG is reserved, no effect. */
export function rangeOperand(x: bigint, large: boolean, signed: boolean): ByteRange | undefined {
  const tg = tgBits[Number((x >> 46n) & 3n)] as number;
  if (tg === 0) return undefined;
  const scale = Number((x >> 44n) & 3n);
  const num = Number((x >> 39n) & 31n);
  const field = signed ? BigInt.asIntN(37, x) : BigInt.asUintN(37, x);
  const start = Number(field) * 2 ** (large ? 16 : tg);
  return { start, end: start + (num + 1) * 2 ** (5 * scale + 1 + tg) };
}

const paSizes = [12, 14, 16, 21, 25, 29, 30, 34, 36, 39] as const;

/**
 * Operand of RPAOS and RPALOS: SIZE in bits 47:44, PA[51:12] in bits 39:0. A SIZE below the physical granule (log2, GPCCR_EL3.PGS)
 * means the granule. Undefined: reserved SIZE, or an address that is not aligned to it; nothing has to be invalidated then.
 */
export function paOperand(x: bigint, granule: number): ByteRange | undefined {
  const fields = Number(BigInt.asUintN(48, x)); // exact in a double
  const named = paSizes[Math.floor(fields / 2 ** 44)];
  if (named === undefined) return undefined;
  const size = 2 ** Math.max(named, granule);
  const pa = (fields % 2 ** 40) * 4096;
  const start = pa - (pa % 2 ** granule);
  return start % size === 0 ? { start, end: start + size } : undefined;
}
