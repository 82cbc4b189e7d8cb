import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cellsValue,
  ensureChild,
  type FdtNode,
  type FdtTree,
  fdtNode,
  findNode,
  propertyCells,
  propertyStrings,
  stringValue,
  writeFdt,
} from "../../src/loader/fdt.ts";
import { readFdt } from "../../src/loader/fdt-reader.ts";
import { EmuError } from "../../src/util/errors.ts";

const small = (): FdtTree => ({
  root: fdtNode("", { compatible: ["a,b", "c"], "#address-cells": 2, flag: true }, [
    fdtNode("cpus", {}, [fdtNode("cpu@0", { reg: 0 })]),
    fdtNode("chosen", { bootargs: "quiet" }),
  ]),
  reservations: [{ address: 0x4000_0000n, size: 0x1000n }],
  bootCpu: 3,
});

const codeOf = (f: () => unknown): string => {
  try {
    f();
  } catch (e) {
    if (e instanceof EmuError) return e.code;
    throw e;
  }
  return "none";
};
const patched = (at: number, value: number): Uint8Array => {
  const blob = writeFdt(small());
  new DataView(blob.buffer).setUint32(at, value);
  return blob;
};

describe("flattened device tree", () => {
  it("reads back what it wrote", () => {
    expect(readFdt(writeFdt(small()))).toEqual(small());
  });

  it("lays the header out as the specification says", () => {
    const blob = writeFdt({ root: fdtNode("", {}), reservations: [], bootCpu: 0 });
    const words = Array.from({ length: 10 }, (_, i) => new DataView(blob.buffer).getUint32(i * 4));
    // magic, total, structure, strings, reservations, version, last compatible, boot cpu, strings size, structure size
    expect(words).toEqual([0xd00dfeed, 72, 56, 72, 40, 17, 16, 0, 0, 16]);
    expect(Array.from({ length: 4 }, (_, i) => new DataView(blob.buffer).getUint32(56 + i * 4))).toEqual([1, 0, 2, 9]);
  });

  it("finds nodes and decodes properties", () => {
    const { root } = small();
    expect(findNode(root, "/cpus/cpu@0")?.name).toBe("cpu@0");
    expect(findNode(root, "/cpus/cpu@1")).toBeUndefined();
    expect(propertyStrings(root, "compatible")).toEqual(["a,b", "c"]);
    expect(propertyCells(root, "#address-cells")).toEqual([2]);
    expect(propertyCells(root, "compatible")).toBeUndefined();
    expect(propertyStrings(root, "flag")).toBeUndefined();
    expect(ensureChild(root, "chosen")).toBe(findNode(root, "/chosen"));
    expect(ensureChild(root, "new").name).toBe("new");
  });

  it("round-trips any tree", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9,._+-]{0,20}$/);
    const properties = fc.dictionary(name, fc.uint8Array({ maxLength: 40 }), { maxKeys: 5 });
    const unique = (nodes: FdtNode[]): FdtNode[] => nodes.filter((c, i) => nodes.findIndex((d) => d.name === c.name) === i);
    const nodeOf = fc.memo((depth): fc.Arbitrary<FdtNode> => {
      const children: fc.Arbitrary<FdtNode[]> = depth <= 1 ? fc.constant([]) : fc.array(nodeOf(), { maxLength: 3 });
      return fc.tuple(name, properties, children).map(([n, p, c]) => fdtNode(n, p, unique(c)));
    });
    fc.assert(
      fc.property(nodeOf(4), fc.nat(100), (n, slack) => {
        const tree: FdtTree = { root: { ...n, name: "" }, reservations: [], bootCpu: 0 };
        expect(readFdt(writeFdt(tree, slack))).toEqual(tree);
      }),
      { numRuns: 100 },
    );
  });

  // biome-ignore format: table
  it.each([
    ["an empty file",                     "dtb-empty",     () => new Uint8Array(0)],
    ["another file",                      "dtb-magic",     () => stringValue("/dts-v1/;")],
    ["two bytes",                         "dtb-magic",     () => cellsValue(0xd00dfeed).slice(0, 2)],
    ["a cut header",                      "dtb-truncated", () => writeFdt(small()).slice(0, 39)],
    ["a cut body",                        "dtb-truncated", () => writeFdt(small()).slice(0, 100)],
    ["a total size below the header",     "dtb-bounds",    () => patched(4, 12)],
    ["a structure block outside",         "dtb-bounds",    () => patched(8, 0x10000)],
    ["a misaligned structure block",      "dtb-bounds",    () => patched(8, 0x4a)],
    ["a strings block outside",           "dtb-bounds",    () => patched(32, 0xffff_fff0)],
    ["reservations outside",              "dtb-bounds",    () => patched(16, 0xffff_fff0)],
    ["a future version",                  "dtb-version",   () => patched(24, 18)],
    ["an old version",                    "dtb-version",   () => patched(20, 3)],
    ["no root node",                      "dtb-structure", () => patched(72, 9)],
    ["an unknown token",                  "dtb-structure", () => patched(80, 7)],
    ["a property running past the end",   "dtb-bounds",    () => patched(84, 0x7fff_ffff)],
    ["a property name outside",           "dtb-bounds",    () => patched(88, 0x7fff_ffff)],
    ["twice the same child",              "dtb-structure", () => writeFdt({ ...small(), root: fdtNode("", {}, [fdtNode("a", {}), fdtNode("a", {})]) })],
    ["a named root",                      "dtb-structure", () => writeFdt({ ...small(), root: fdtNode("x", {}) })],
    ["a control character in a name",     "dtb-structure", () => writeFdt({ ...small(), root: fdtNode("", {}, [fdtNode("a\n", {})]) })],
    ["an endless name",                   "dtb-bounds",    () => writeFdt({ ...small(), root: fdtNode("", {}, [fdtNode("a".repeat(300), {})]) })],
    ["endless nesting",                   "dtb-depth",     () => {
      let node = fdtNode("n", {});
      for (let i = 0; i < 100; i++) node = fdtNode("n", {}, [node]);
      return writeFdt({ ...small(), root: fdtNode("", {}, [node]) });
    }],
  ])("refuses %s", (_name, code, make) => {
    expect(codeOf(() => readFdt(make()))).toBe(code);
  });

  it("never fails otherwise than by an EmuError, whatever the bytes", () => {
    const good = writeFdt(small());
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(good.length),
        (edits, cut) => {
          const blob = good.slice(0, cut < 40 ? good.length : cut);
          for (const [at, v] of edits) if (at < blob.length) blob[at] = v;
          expect(codeOf(() => readFdt(blob))).toMatch(/^(none|dtb-[a-z]+)$/);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
