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

test("QEMU's, with the host that a realm needs there and the properties of older objects", () => {
  const line =
    "-enable-kvm -cpu host -M virt,confidential-guest-support=r -object rme-guest,id=r,num-pmu-counters=4,num-breakpoints=2,sve-vector-length=0";
  expect(parse(line)).toMatchObject({ cpu: undefined, realm: { pmuCounters: 4, breakpoints: 2 } });
  expect(parse("-cpu max,rme=on -accel kvm").cpu).toBe("max,rme=on");
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

test("kvmtool's PMU: all counters, or as many as are named, wherever", () => {
  expect(parse("--realm --pmu").realm?.pmuCounters).toBe(6);
  expect(parse("--realm --pmu --pmu-counters=3").realm?.pmuCounters).toBe(3);
  expect(parse("--realm --pmu-counters 3 --pmu").realm?.pmuCounters).toBe(3);
});

test("the words of realm do for measure", () => {
  const c = parseRealmCommandLine("measure", "--trace rmi --drive file=x,format=raw --measurement-algorithm sha256".split(" "));
  expect(c).toMatchObject({ kind: "measure", run: { realm: { measurementAlgorithm: "sha256" } } });
  const help = parseRealmCommandLine("measure", ["--help"]) as { text: string };
  expect(help.text).not.toMatch(/--trace-file|--rmm/);
  expect(help.text).toMatch(/--measurement-algorithm/);
});

test("a measurement is that of a version of RMI", () => {
  expect(parseRealmCommandLine("measure", [])).toMatchObject({ rmi: "1.0" });
  expect(parseRealmCommandLine("measure", ["--rmi", "2.0"])).toMatchObject({ rmi: "2.0" });
  expect(() => parseRealmCommandLine("measure", ["--rmi", "1.1"])).toThrow(expect.objectContaining({ code: "bad-choice", exitCode: 2 }));
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
  ["--irqchip gicv3-its", "kvmtool-option"],
  ["--force-pci", "kvmtool-option"],
  ["--9p ./fs0,fs0", "kvmtool-option"],
  ["--realm-pv a --personalization-value 12", "realm-rpv"],
  ["--num-breakpoints 1", "bad-number"],
  ["--num-pmu-counters 0", "bad-number"],
  ["-object rme-guest,id=a,sve-vector-length=256", "realm-sve"],
  ["-object rme-guest,id=a,measurement-algorithm=sha1", "bad-choice"],
  ["-object rme-guest,id=a,colour=red", "bad-option-value"],
  ["--append quiet", "kernel-not-given"],
])("refused: %s", (line, code) => {
  expect(() => parse(line)).toThrow(expect.objectContaining({ code, exitCode: 2 }));
});
