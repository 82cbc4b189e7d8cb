import { expect, test } from "vitest";
import { parseRealmCommandLine } from "../../src/cli/args/realm.ts";

const parse = (line: string) => {
  const c = parseRealmCommandLine("realm", line.split(" "));
  if (c.kind !== "run") throw new Error(c.kind);
  return c;
};

test("our options", () => {
  const c = parse(
    "--kernel Image --initrd i --append quiet --memory 256M --smp 2 --board kvmtool --measurement-algorithm sha512 --num-pmu-counters 4 --teardown",
  );
  expect(c).toMatchObject({ kernel: "Image", initrd: "i", append: "quiet", memory: 2 ** 28, smp: 2 });
  expect(c.realm).toEqual({ board: "kvmtool", measurementAlgorithm: "sha512", pmuCounters: 4, teardown: true });
});

test("whose EL3 and RMM", () => {
  expect(parse("--rmm rmm.img").realm?.rmm).toBe("rmm.img");
  expect(parse("--bios flash.bin").firmware?.bios).toBe("flash.bin");
  expect(parse("-bios flash.bin").firmware?.bios).toBe("flash.bin");
});

test("QEMU's", () => {
  const rpv = Buffer.alloc(64, 7);
  const c = parse(
    `-M virt,gic-version=3,confidential-guest-support=rme0 -object rme-guest,id=rme0,measurement-algorithm=sha256,personalization-value=${rpv.toString("base64")} -m 512M -smp 2 -kernel Image -nodefaults`,
  );
  expect(c.realm).toMatchObject({ measurementAlgorithm: "sha256", personalizationValue: Uint8Array.from(rpv) });
  expect([c.memory, c.smp]).toEqual([2 ** 29, 2]);
});

test("an ordinary virtual machine", () => {
  expect(parse("--normal --board kvmtool").realm).toEqual({ board: "kvmtool", normal: true, teardown: false });
  expect(() => parseRealmCommandLine("measure", ["--normal"])).toThrow(expect.objectContaining({ code: "realm-normal" }));
});

test("kvmtool's", () => {
  const c = parse(
    "--realm --restricted_mem --board kvmtool --realm-pv hello --measurement-algo=sha256 --irqchip=gicv3 -c 2 -m 16 -k Image -i rd -p quiet --loglevel error --console=virtio",
  );
  expect(c).toMatchObject({ kernel: "Image", initrd: "rd", append: "quiet", memory: 2 ** 24, smp: 2, console: "hvc0" });
  expect(c.realm?.personalizationValue).toEqual(new TextEncoder().encode("hello"));
});

test.each([
  ["--normal --personalization-value 12", "realm-normal"],
  ["--sve-vector-length 256", "realm-sve"],
  ["--measurement-algorithm md5", "bad-choice"],
  ["--board pc", "bad-choice"],
  ["--smp 9", "bad-number"],
  ["--personalization-value xyz", "realm-rpv"],
  [`--realm-pv ${"x".repeat(65)}`, "realm-rpv"],
  ["-object sev-guest,id=a", "unknown-object"],
  ["-M virt,confidential-guest-support=b -object rme-guest,id=a", "unknown-object"],
  ["--irqchip gicv2", "kvmtool-option"],
  ["--append quiet", "kernel-not-given"],
])("refused: %s", (line, code) => {
  expect(() => parse(line)).toThrow(expect.objectContaining({ code, exitCode: 2 }));
});
