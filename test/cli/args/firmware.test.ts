import { describe, expect, it } from "vitest";
import { parseCommandLine, type RunCommand } from "../../../src/cli/args/options.ts";
import { EmuError } from "../../../src/util/errors.ts";

function run(...argv: string[]): RunCommand {
  const command = parseCommandLine(argv, "1.2.3");
  if (command.kind !== "run") throw new Error(`expected a run command, got ${command.kind}`);
  return command;
}
function refusal(...argv: string[]): EmuError {
  try {
    parseCommandLine(argv, "1.2.3");
  } catch (error) {
    if (error instanceof EmuError) return error;
    throw error;
  }
  throw new Error(`was accepted: ${argv.join(" ")}`);
}

describe("firmware in flash", () => {
  it("is named with --bios; kernel, initrd and command line may be there or not", () => {
    expect(run("-bios", "flash.bin").firmware).toEqual({ bios: "flash.bin", pflash: [undefined, undefined], loaders: [], fwCfg: [] });
    const command = run("-M", "virt,secure=on,virtualization=on,gic-version=3", "-cpu", "max,x-rme=on", "-bios", "f", "-append", "quiet");
    expect(command).toMatchObject({ machine: "virt,secure=on", kernel: undefined, append: "quiet", firmware: { bios: "f" } });
  });

  it("may be drives, one for each bank", () => {
    const code = "if=pflash,format=raw,file=code.fd,readonly=on";
    const { firmware, drives } = run("-drive", code, "-drive", "if=pflash,file=vars.fd", "-drive", "file=disk.img,format=raw");
    const bank = (file: string, readonly: boolean) => ({ file, readonly, probe: false });
    expect(firmware?.pflash).toEqual([bank("code.fd", true), bank("vars.fd", false)]);
    expect(drives.map((d) => d.file)).toEqual(["disk.img"]);
    expect(run("-pflash", "a,,b", "-pflash", "c").firmware?.pflash.map((d) => d?.file)).toEqual(["a,b", "c"]);
    expect(run("--bios", "b", "--drive", "if=pflash,unit=1,file=v").firmware?.pflash.map((d) => d?.file)).toEqual([undefined, "v"]);
  });

  it("is accompanied by loaders and fw_cfg files", () => {
    const { firmware } = run(
      ...["-bios", "b", "-device", "loader,file=k.img,addr=0x60000000", "-device", "loader,file=x.elf,cpu-num=1"],
      ...["-device", "loader,addr=1024,data=0x12345678,data-len=4", "-device", "loader,addr=0,data=0x1234,data-len=2,data-be=on"],
      ...["-fw_cfg", "name=opt/a,string=text", "--fw-cfg", "opt/b,file=f"],
    );
    expect(firmware?.loaders).toEqual([
      { file: "k.img", address: 0x6000_0000, raw: false },
      { file: "x.elf", pe: 1, raw: false },
      { address: 1024, data: { value: 0x1234_5678n, bytes: 4 }, raw: false },
      { address: 0, data: { value: 0x3412n, bytes: 2 }, raw: false },
    ]);
    expect(firmware?.fwCfg).toEqual([
      { name: "opt/a", data: new TextEncoder().encode("text") },
      { name: "opt/b", file: "f" },
    ]);
  });

  // biome-ignore format: table
  const mistakes: [string[], string][] = [
    [["--bios", "a", "--drive", "if=pflash,file=b"],                        "two-firmwares"],
    [["--drive", "if=pflash,format=raw"],                                   "bad-drive"],
    [["--drive", "if=pflash,file=a,format=qcow2"],                          "bad-drive"],
    [["--drive", "if=pflash,file=a,unit=2"],                                "bad-drive"],
    [["--drive", "if=pflash,file=a,unit=1", "--drive", "if=pflash,file=b,unit=1"], "bad-drive"],
    [["--drive", "if=pflash,file=a,cache=none"],                            "bad-option-value"],
    [["--device", "loader,file=a,addr=0"],                                  "loader-firmware"],
    [["--bios", "b", "--device", "loader,addr=0"],                          "bad-device"],
    [["--bios", "b", "--device", "loader,addr=zero,file=a"],                "bad-device"],
    [["--bios", "b", "--device", "loader,addr=0x10000000000000,file=a"],    "bad-device"],
    [["--bios", "b", "--device", "loader,addr=0,data=1"],                   "bad-device"],
    [["--bios", "b", "--device", "loader,addr=0,data=1,data-len=3"],        "bad-device"],
    [["--bios", "b", "--device", "loader,addr=0,data=1,data-len=4,file=a"], "bad-device"],
    [["--bios", "b", "--fw-cfg", "name=opt/a"],                             "bad-fw-cfg"],
    [["--bios", "b", "--fw-cfg", "name=opt/a,string=x,file=y"],             "bad-fw-cfg"],
    [["--machine", "virt,secure=on"],                                       "kernel-not-given"],
    [["--drive", "if=pflash,unit=1,file=v", "--append", "x"],               "kernel-not-given"],
  ];
  it.each(mistakes)("%j is refused", (argv, code) => {
    expect(refusal(...argv)).toMatchObject({ code, exitCode: 2 });
  });
});

describe("devices on the PCI bus", () => {
  it("stand in the order of --device; disks of theirs come last", () => {
    const command = run(
      ...["-drive", "if=none,file=a,id=a", "-drive", "file=m", "-drive", "if=none,file=b,id=b,readonly=on"],
      ...["-device", "virtio-blk-pci,drive=b", "-device", "virtio-rng-pci", "-device", "virtio-blk-pci,drive=a,disable-legacy=on"],
      ...["-device", "virtio-serial-pci"],
    );
    expect(command.pci).toEqual(["block", "rng", "block", "console"]);
    expect(command.drives.map((d) => [d.file, d.pci === true])).toEqual([
      ["m", false],
      ["b", true],
      ["a", true],
    ]);
  });
  // biome-ignore format: table
  it.each([
    [["-device", "virtio-blk-pci"],                                                      "bad-device"],
    [["-device", "virtio-rng-pci,disable-legacy=off"],                                   "bad-device"],
    [["-device", "virtio-rng-pci,addr=4"],                                               "bad-option-value"],
    [["-device", "virtio-gpu-pci"],                                                      "unknown-device"],
    [["-drive", "if=none,file=a,id=a", "-device", "virtio-blk-pci,drive=a", "-device", "virtio-blk-device,drive=a"], "bad-device"],
  ])("%j is refused", (argv, code) => {
    expect(refusal(...argv)).toMatchObject({ code, exitCode: 2 });
  });
});
