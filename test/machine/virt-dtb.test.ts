import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type FdtNode, findNode, propertyCells, writeFdt } from "../../src/loader/fdt.ts";
import { readFdt } from "../../src/loader/fdt-reader.ts";
import { seedBytes, type VirtTreeOptions, virtTree } from "../../src/machine/virt-dtb.ts";
import { readDts } from "./dts.ts";

const GiB = 2 ** 30;
const reference = (name: string): string => readFileSync(new URL(`data/qemu-virt-${name}.dts`, import.meta.url), "utf8");

/** Nodes of QEMU's machine that this one does not model. */
const notModelled = ["platform-bus@c000000", "intc@8000000/its@8080000", "pcie@10000000:msi-map"];
/** Cells of properties that hold phandles: which of them. */
const references: Record<string, readonly number[]> = {
  "interrupt-parent": [0],
  "interrupt-map": Array.from({ length: 16 }, (_, i) => 10 * i + 4),
  clocks: [0, 1],
  cpu: [0],
  gpios: [0],
};

/** A tree as a flat, comparable record: "path:property" to hexadecimal bytes, with phandles replaced by paths. */
function flatten(root: FdtNode): Record<string, string> {
  const paths = new Map<number, string>();
  const walk = (node: FdtNode, path: string, f: (n: FdtNode, p: string) => void): void => {
    f(node, path);
    for (const c of node.children) walk(c, path === "" ? c.name : `${path}/${c.name}`, f);
  };
  walk(root, "", (n, p) => {
    const handle = propertyCells(n, "phandle")?.[0];
    if (handle !== undefined) paths.set(handle, p);
  });
  const flat: Record<string, string> = {};
  walk(root, "", (n, p) => {
    if (notModelled.includes(p)) return;
    flat[`${p}/`] = "node";
    for (const [name, value] of n.properties) {
      if (notModelled.includes(`${p}:${name}`)) continue;
      const cells = references[name] && propertyCells(n, name);
      flat[`${p}:${name}`] = cells
        ? cells.map((c, i) => (references[name]?.includes(i) ? `&${paths.get(c)}` : String(c))).join(" ")
        : name === "phandle"
          ? "some"
          : Buffer.from(value).toString("hex");
    }
  });
  return flat;
}

// biome-ignore format: table
const machines: [string, VirtTreeOptions][] = [
  ["host-1",  { memory: 2 * GiB, pes: 1, pmu: true }],
  ["host-4",  { memory: 8 * GiB, pes: 4, pmu: true }],
  ["secure-4", { memory: 2 * GiB, pes: 4, pmu: true, secure: true }],
];

describe("device tree of virt", () => {
  it.each(machines)("equals QEMU's %s for the devices that exist", (name, options) => {
    const ours = flatten(virtTree(options).root);
    expect(ours).toEqual(flatten(readDts(reference(name))));
    expect(Object.keys(ours).length).toBeGreaterThan(200);
  });

  it("equals QEMU's machine without EL2, apart from the conduit", () => {
    const ours = flatten(virtTree({ memory: GiB, pes: 2, pmu: true, el2: false }).root);
    const theirs = flatten(readDts(reference("plain-2")));
    const [smc, hvc] = [Buffer.from("smc\0").toString("hex"), Buffer.from("hvc\0").toString("hex")];
    expect([ours["psci:method"], theirs["psci:method"]]).toEqual([smc, hvc]);
    expect({ ...ours, "psci:method": hvc }).toEqual(theirs);
  });

  it("secure=on with firmware: nobody but the firmware offers PSCI", () => {
    const options = { memory: 2 * GiB, pes: 4, pmu: true, secure: true };
    const ours = flatten(virtTree({ ...options, firmware: true }).root);
    const method = Object.entries(flatten(virtTree(options).root)).filter(([key]) => !(key in ours));
    expect(method.map(([key]) => key)).toEqual([0, 1, 2, 3].map((n) => `cpus/cpu@${n}:enable-method`));
  });

  it("leaves the PMU out when there is none", () => {
    expect(findNode(virtTree({ memory: GiB, pes: 1, pmu: false }).root, "/pmu")).toBeUndefined();
  });

  it("carries the seeds it is given, and no others", () => {
    const chosen = findNode(
      virtTree({ memory: GiB, pes: 1, pmu: true, kaslrSeed: seedBytes(1n, 8), rngSeed: seedBytes(2n, 32) }).root,
      "/chosen",
    );
    expect(chosen?.properties.get("kaslr-seed")).toEqual(seedBytes(1n, 8));
    expect(chosen?.properties.get("rng-seed")?.length).toBe(32);
    expect(findNode(virtTree({ memory: GiB, pes: 1, pmu: true }).root, "/chosen")?.properties.has("kaslr-seed")).toBe(false);
  });

  it("makes seeds that depend on the seed only", () => {
    expect(seedBytes(42n, 13)).toEqual(seedBytes(42n, 16).slice(0, 13));
    expect(seedBytes(42n, 16)).not.toEqual(seedBytes(43n, 16));
    // SplitMix64 of 0: the published first output
    expect(Buffer.from(seedBytes(0n, 8)).toString("hex")).toBe("e220a8397b1dcdaf");
  });

  it("survives the writer and the reader", () => {
    const tree = virtTree({ memory: 8 * GiB, pes: 8, pmu: true });
    expect(readFdt(writeFdt(tree))).toEqual(tree);
  });

  const dtc = spawnSync("dtc", ["--version"]).status === 0;
  if (!dtc) process.stderr.write("dtc is not installed: the comparison with an independent decompiler is skipped\n");
  it.skipIf(!dtc).each(machines)("is read by dtc as what was meant (%s)", (name, options) => {
    const run = spawnSync("dtc", ["-q", "-I", "dtb", "-O", "dts"], { input: writeFdt(virtTree(options)) });
    expect(run.stderr.toString()).toBe("");
    expect(flatten(readDts(run.stdout.toString()))).toEqual(flatten(readDts(reference(name))));
  });
});
