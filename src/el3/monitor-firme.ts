// FIRME, the firmware interfaces of RME (DEN0149), as far as an RMM needs it: discovery, and granule management. An RMM of the 2.0
// generation asks for it at boot, and changes granules by it where it is offered.

import { slot } from "../arch/state.ts";
import type { Pe } from "../cpu/pe.ts";
import { Gpccr, Gpi } from "../gpt/format.ts";
import type { Service, ServiceContext, ServiceRow } from "./monitor-context.ts";

/** Status in x0. */
// biome-ignore format: table
export const Firme = {
  SUCCESS: 0n, NOT_SUPPORTED: -1n, INVALID_PARAMETERS: -2n, ABORTED: -3n, INCOMPLETE: -4n, DENIED: -5n, BUSY: -6n, OP_CONFLICT: -7n,
  EXISTS: -8n, NOT_FOUND: -9n, NO_MEMORY: -10n, BAD_DATA: -11n,
} as const;

/** Version 1.0 of a service: major in 30:16, minor in 15:0. */
const VERSION_1_0 = 0x1_0000n;
/** Feature register 0 of a service: a bit for each of its calls that exists. */
const BASE_CALLS = 0b11n; // SERVICE_VERSION, SERVICE_FEATURES
const GRANULE_CALLS = 0b1n; // GM_GPI_SET
/** Register 1 of the base service: bit 15 + n for service n. No service here takes a shared buffer, whose sizes are below. */
const SERVICES = 1n << 16n;

const field = (v: bigint, at: number, bits: number): bigint => (v >> BigInt(at)) & ((1n << BigInt(bits)) - 1n);

/** Register 1 of granule management: PGS in 1:0, L0GPTSZ in 5:2, PPS in 8:6, as GPCCR_EL3 has them. */
function geometry(pe: Pe): bigint {
  const gpccr = pe.st.get(slot.GPCCR_EL3);
  return field(gpccr, Gpccr.PGS, 2) | (field(gpccr, Gpccr.L0GPTSZ, 4) << 2n) | (field(gpccr, Gpccr.PPS, 3) << 6n);
}

/** A service by its identifier: its feature registers. What is not here does not exist. */
const registers: Readonly<Record<string, readonly ((pe: Pe) => bigint)[]>> = {
  "0": [() => BASE_CALLS, () => SERVICES],
  "1": [() => GRANULE_CALLS, geometry],
};
const serviceOf = (x1: bigint): readonly ((pe: Pe) => bigint)[] | undefined => registers[(x1 & 0xffn).toString()];

const version: Service = (_c, _pe, x) => [serviceOf(x(1)) === undefined ? Firme.NOT_SUPPORTED : VERSION_1_0];

const features: Service = (_c, pe, x) => {
  const register = serviceOf(x(1))?.[Number(x(2) & 0xffn)];
  return register === undefined ? [Firme.NOT_SUPPORTED] : [Firme.SUCCESS, register(pe)];
};

/** Most granules of one call, 2 MiB: the caller asks again for the rest. */
const AT_ONCE = 512n;
const GRANULE = 4096n;

/** GPI_SET: base, count, target GPI in 3:0; answers how many granules, from the first one on, have it now. */
const gpiSet: Service = (c, pe, x) => {
  const [base, count, target] = [x(1), x(2), Number(x(3) & 15n)];
  const from = transitions[target];
  const end = base + count * GRANULE;
  if (from === undefined || count === 0n || base % GRANULE !== 0n || end > 1n << BigInt(c.gpt.layout.pps))
    return [Firme.INVALID_PARAMETERS, 0n];
  const most = count < AT_ONCE ? count : AT_ONCE;
  for (let done = 0n; done < most; done++) {
    const status = setOne(c, pe, base + done * GRANULE, from, target as Gpi);
    if (status !== Firme.SUCCESS) return [status, done];
  }
  return [Firme.SUCCESS, most];
};

/** What a Realm caller may make of what: by target. */
const transitions: Readonly<Record<number, Gpi>> = { [Gpi.Realm]: Gpi.NonSecure, [Gpi.NonSecure]: Gpi.Realm };

function setOne(c: ServiceContext, pe: Pe, pa: bigint, from: Gpi, to: Gpi): bigint {
  if (!c.gpt.covers(Number(pa))) return Firme.NOT_FOUND;
  if (c.gpt.gpi(Number(pa)) === to) return Firme.SUCCESS;
  return c.gpt.transition(pe, pa, from, to) === 0 ? Firme.SUCCESS : Firme.DENIED;
}

/** Known, and not supported: no IDE keys, no memory encryption contexts, no attestation by FIRME, one level 1 table for all there is. */
const absent: Service = () => [Firme.NOT_SUPPORTED];

// biome-ignore format: table
export const firmeServices: readonly ServiceRow[] = [
  [0xc400_0400, "FIRME_SERVICE_VERSION",  "service",                     "",      version],
  [0xc400_0401, "FIRME_SERVICE_FEATURES", "service index",               "value", features],
  [0xc400_0402, "FIRME_GM_GPI_SET",       "base count attributes",       "count", gpiSet],
  [0xc400_0403, "FIRME_IDE_KEYSET_PROG",  "",                            "",      absent],
  [0xc400_0404, "FIRME_IDE_KEYSET_GO",    "",                            "",      absent],
  [0xc400_0405, "FIRME_IDE_KEYSET_STOP",  "",                            "",      absent],
  [0xc400_0406, "FIRME_IDE_KEYSET_POLL",  "",                            "",      absent],
  [0xc400_0407, "FIRME_MEC_REFRESH",      "mecid_reason",                "",      absent],
  [0xc400_0408, "FIRME_ATTEST_PAT_GET",   "",                            "",      absent],
  [0xc400_0409, "FIRME_ATTEST_RAK_GET",   "",                            "",      absent],
  [0xc400_040a, "FIRME_ATTEST_RAT_SIGN",  "",                            "",      absent],
  [0xc400_040b, "FIRME_PAT_EXT_CLAIMS_STAGE",    "",                     "",      absent],
  [0xc400_040c, "FIRME_PAT_EXT_CLAIMS_CLEAR",    "",                     "",      absent],
  [0xc400_040d, "FIRME_PAT_EXT_CLAIMS_FINALISE", "",                     "",      absent],
  [0xc400_040e, "FIRME_L1_GPT_CREATE",    "",                            "",      absent],
  [0xc400_040f, "FIRME_L1_GPT_DESTROY",   "",                            "",      absent],
  [0xc400_0410, "FIRME_IDEV_OP_START",    "",                            "",      absent],
  [0xc400_0411, "FIRME_IDEV_OP_CONTINUE", "",                            "",      absent],
  [0xc400_0412, "FIRME_GPI_OP_CONTINUE",  "",                            "",      absent],
];
