// Exclusives, compare-and-swap, atomic read-modify-write (Arm ARM C4.1.94.20 and neighbours).

import { Off } from "../../arch/layout.ts";
import { add, and, bin, c32, c64, lo32, not, or, select, sext, shl, type Value, xor, zext } from "../../ir/value.ts";
import { define, type Variants } from "./define.ts";
import { base } from "./memory.ts";

const exclusive = { exclusive: true } as const;
const sizeOf = (name: string, v: Variants) => (name.endsWith("B") ? 0 : name.endsWith("H") ? 1 : (v.size as number));

define("LDXRB LDXRH LDXR LDAXRB LDAXRH LDAXR", "size Rn31", (b, f, v, row) =>
  b.setX(f.Rt, b.load(base(b, f, v), sizeOf(row.name, v), exclusive)),
);
define("LDXP LDAXP", "sz Rn31", (b, f, v) => {
  const [first, second] = b.loadMany(base(b, f, v), v.sz ? 3 : 2, 2, exclusive) as [Value, Value];
  b.setX(f.Rt, first);
  b.setX(f.Rt2, second);
});
define("STXRB STXRH STXR STLXRB STLXRH STLXR", "size Rn31", (b, f, v, row) =>
  b.setX(f.Rs, b.storeExclusive(base(b, f, v), sizeOf(row.name, v), [b.x(f.Rt)])),
);
define("STXP STLXP", "sz Rn31", (b, f, v) => b.setX(f.Rs, b.storeExclusive(base(b, f, v), v.sz ? 3 : 2, [b.x(f.Rt), b.x(f.Rt2)])));
define("CLREX", "", (b) => b.setState(Off.EXSIZE, c32(0)));

/** Low 2^lg bytes of a register, as the memory element compares. */
const truncate = (x: Value, lg: number) => (lg === 3 ? x : lg === 2 ? zext(lo32(x)) : and(x, c64((1 << (8 << lg)) - 1)));
define("CASB CASH CAS", "size Rn31", (b, f, v, row) => {
  const lg = sizeOf(row.name, v);
  const [old] = b.atomic(base(b, f, v), lg, 1, ([o]) => [
    select(bin("eq", o as Value, truncate(b.x(f.Rs), lg)), b.x(f.Rt), o as Value),
  ]) as [Value];
  b.setX(f.Rs, old);
});
define("CASP", "sz Rn31", (b, f, v) => {
  const lg = v.sz ? 3 : 2;
  const odd = (r: Value) => or(r, c32(1));
  const old = b.atomic(base(b, f, v), lg, 2, (o) => {
    const same = (i: number, r: Value) => bin("eq", o[i] as Value, truncate(b.x(r), lg));
    const match = and(same(0, f.Rs), same(1, odd(f.Rs)));
    return [select(match, b.x(f.Rt), o[0] as Value), select(match, b.x(odd(f.Rt)), o[1] as Value)];
  });
  b.setX(f.Rs, old[0] as Value);
  b.setX(odd(f.Rs), old[1] as Value);
});

/** Sign-extends the low 2^lg bytes. */
const signExtend = (x: Value, lg: number) => {
  if (lg === 3) return x;
  if (lg === 2) return sext(lo32(x));
  return bin("shrs", shl(x, c64(64 - (8 << lg))), c64(64 - (8 << lg)));
};
const operations: Record<string, (old: Value, x: Value, lg: number) => Value> = {
  LDADD: (o, x) => add(o, x),
  LDCLR: (o, x) => and(o, not(x)),
  LDEOR: (o, x) => xor(o, x),
  LDSET: (o, x) => or(o, x),
  LDSMAX: (o, x, lg) => select(bin("gts", signExtend(o, lg), signExtend(x, lg)), o, x),
  LDSMIN: (o, x, lg) => select(bin("lts", signExtend(o, lg), signExtend(x, lg)), o, x),
  LDUMAX: (o, x, lg) => select(bin("gtu", o, truncate(x, lg)), o, x),
  LDUMIN: (o, x, lg) => select(bin("ltu", o, truncate(x, lg)), o, x),
  SWP: (_o, x) => x,
};
for (const [name, operation] of Object.entries(operations)) {
  define(`${name}B ${name}H ${name}`, "size Rn31", (b, f, v, row) => {
    const lg = row.name === name ? (v.size as number) : row.name.endsWith("B") ? 0 : 1;
    const [old] = b.atomic(base(b, f, v), lg, 1, ([o]) => [operation(o as Value, b.x(f.Rs), lg)]) as [Value];
    b.setX(f.Rt, old);
  });
}
