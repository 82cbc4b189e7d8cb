import { describe, expect, it } from "vitest";
import { parseCommandLine, type RunCommand } from "../../../src/cli/args/options.ts";
import { EmuError } from "../../../src/util/errors.ts";

const parse = (...argv: string[]) => parseCommandLine(argv, "1.2.3");

function run(...argv: string[]): RunCommand {
  const command = parse(...argv);
  if (command.kind !== "run") throw new Error(`expected a run command, got ${command.kind}`);
  return command;
}

function refusal(...argv: string[]): EmuError {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof EmuError) return error;
    throw error;
  }
  throw new Error(`was accepted: ${argv.join(" ")}`);
}

describe("a machine to run", () => {
  it("has defaults for everything", () => {
    expect(run()).toEqual({
      kind: "run",
      machine: "virt",
      cpu: undefined,
      smp: 1,
      memory: 2 ** 30,
      kernel: undefined,
      initrd: undefined,
      dtb: undefined,
      append: undefined,
      drives: [],
      pci: [],
      consoles: { kind: "serial", ports: [{ kind: "stdio" }] },
      console: "ttyAMA0",
      time: "wall",
      trace: [],
      traceFile: undefined,
      traceJson: undefined,
      timeline: undefined,
      noReboot: false,
      explainFaults: false,
      watchdog: { mode: "tell" },
      symbols: [],
      save: undefined,
    });
  });

  it("takes the options of its own", () => {
    const command = run(
      ...["--kernel", "Image", "--initrd", "i.gz", "--append", "console=ttyAMA0 -x --y", "--memory", "2G", "--smp", "2", "--cpu", "max"],
      ...[
        "--dtb",
        "t.dtb",
        "--serial",
        "none",
        "--time",
        "deterministic",
        "--no-reboot",
        "--trace",
        "log",
        "--trace-file",
        "t.log",
        "--trace-json",
        "t.jsonl",
      ],
    );
    expect(command).toMatchObject({
      kernel: "Image",
      initrd: "i.gz",
      append: "console=ttyAMA0 -x --y",
      memory: 2 ** 31,
      smp: 2,
      cpu: "max",
    });
    expect(command).toMatchObject({
      dtb: "t.dtb",
      consoles: { kind: "serial", ports: [{ kind: "none" }] },
      time: "deterministic",
      noReboot: true,
      trace: ["log"],
      traceFile: "t.log",
      traceJson: "t.jsonl",
      timeline: undefined,
    });
  });

  it("understands a whole QEMU command line", () => {
    const command = run(
      ...["-M", "virt,virtualization=on,gic-version=3", "-cpu", "max", "-m", "1G", "-smp", "4,cores=4", "-nographic", "-no-reboot"],
      ...["-kernel", "vmlinuz", "-initrd", "initrd", "-append", "-dash first", "-dtb", "x.dtb", "-serial", "mon:stdio", "-monitor", "none"],
      ...["-drive", "file=d.img,format=raw,if=none,id=d0", "-device", "virtio-blk-device,drive=d0", "-device", "virtio-rng-device"],
      ...["-net", "none", "-display", "none", "-accel", "tcg", "-nodefaults", "-d", "guest_errors,unimp", "-D", "log"],
    );
    expect(command).toMatchObject({
      cpu: "max",
      memory: 2 ** 30,
      smp: 4,
      noReboot: true,
      kernel: "vmlinuz",
      initrd: "initrd",
      append: "-dash first",
    });
    expect(command).toMatchObject({
      dtb: "x.dtb",
      consoles: { kind: "serial", ports: [{ kind: "stdio" }] },
      trace: ["guest_errors", "unimp"],
      traceFile: "log",
    });
    expect(command.drives).toEqual([{ file: "d.img", readonly: false, probe: false }]);
  });

  it("does not take the value of an option for an option", () => {
    expect(run("--kernel", "-kernel", "--append", "-m").append).toBe("-m");
  });

  it("reads QEMU's key=value forms of -m and -smp", () => {
    expect(run("-m", "size=512M", "-smp", "cpus=3")).toMatchObject({ memory: 512 * 2 ** 20, smp: 3 });
  });

  it("starts programs at EL3", () => {
    const machine = (text: string) => run("-M", text, "-kernel", "x.elf").machine;
    expect(machine("virt,secure=on,virtualization=on,gic-version=3")).toBe("virt,secure=on");
    expect(machine("virt,secure=yes")).toBe("virt,secure=on");
    expect(machine("virt,secure=off")).toBe("virt");
  });

  it("sends the console to a file", () => {
    expect(run("--serial", "file:out.log").consoles).toEqual({ kind: "serial", ports: [{ kind: "file", path: "out.log" }] });
  });
});

describe("drives", () => {
  const drives = (...argv: string[]) => run(...argv).drives;

  it("keeps the order of attachment", () => {
    const argv = ["--drive", "file=a,if=none,id=x", "--drive", "file=b", "--device", "virtio-blk-device,drive=x"];
    expect(drives(...argv).map((d) => d.file)).toEqual(["b", "a"]);
  });

  it("knows read-only drives", () => {
    expect(drives("--drive", "file=a,format=raw,readonly=on", "--drive", "file=b,readonly=off")).toEqual([
      { file: "a", readonly: true, probe: false },
      { file: "b", readonly: false, probe: true },
    ]);
  });

  it.each([
    ["a bare file name", ["--drive", "disk.img"], "type file=disk.img"],
    ["no file", ["--drive", "format=raw"], "file=NAME is missing"],
    ["a format we cannot read", ["--drive", "file=a,format=qcow2"], "format qcow2 is not supported"],
    ["an unknown key", ["--drive", "file=a,colour=red"], 'unknown "colour"'],
    ["another bus", ["--drive", "file=a,if=ide"], "if=ide"],
    ["a drive nobody uses", ["--drive", "file=a,if=none,id=x"], "drive=x"],
    ["a device without its drive", ["--device", "virtio-blk-device,drive=x"], "no --drive has id=x"],
    ["a drive used twice", ["--drive", "file=a,id=x", "--device", "virtio-blk-device,drive=x"], "in use already"],
    ["two drives of one name", ["--drive", "file=a,id=x", "--drive", "file=b,id=x"], 'two drives have the id "x"'],
    ["an unknown device", ["--device", "e1000"], 'unknown device "e1000"'],
  ])("refuses %s", (_what, argv, message) => {
    expect(refusal(...argv)).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
  });
});

describe("what cannot be meant", () => {
  it.each([
    ["an unknown option", ["--colour"], "unknown option"],
    ["an unknown QEMU option", ["-colour", "red"], "unknown option -colour"],
    ["an unknown word", ["boot"], "boot"],
    ["an option without its value", ["--kernel"], "argument missing"],
    ["a QEMU option without its value", ["-kernel"], "option -kernel needs a value"],
    ["an unknown machine", ["--machine", "raspi3"], 'unknown machine "raspi3" (known: virt)'],
    ["a property of the machine that it does not have", ["-M", "virt,acpi=on"], "acpi=on"],
    ["a switch that is neither", ["-M", "virt,secure=maybe"], '"maybe" is neither on nor off'],
    ["nothing to start at EL3", ["-M", "virt,secure=on"], "needs --bios"],
    ["an unknown property of the machine", ["-M", "virt,colour=red"], 'unknown property "colour"'],
    ["no processors", ["--smp", "0"], "--smp"],
    ["too many processors", ["--smp", "9"], "1 to 8"],
    ["negative memory", ["--memory", "-1G"], "--memory"],
    ["memory with nonsense", ["--memory", "lots"], '"lots" is not a size'],
    ["too much memory", ["--memory", "16G"], "out of range"],
    ["an event that is not traced", ["-d", "in_asm"], 'unknown event "in_asm"'],
    ["a console that does not exist", ["--console", "tty1"], "--console"],
    ["the virtio console in QEMU's spelling", ["-device", "virtconsole"], "chardev=ID is missing (or type --console hvc0)"],
    ["a serial port elsewhere", ["--serial", "unix:/s"], "--serial"],
    ["an unknown time", ["--time", "slow"], "--time"],
    ["an initrd without a kernel", ["--initrd", "x"], "--initrd needs --kernel"],
    ["KVM", ["-enable-kvm"], "always emulated"],
    ["a monitor on the console", ["-monitor", "stdio"], "there is no monitor"],
    ["a network", ["-netdev", "user,id=n"], "no network device"],
    ["a gdb server", ["-s"], "no gdb server"],
  ])("refuses %s", (_what, argv, message) => {
    const error = refusal(...argv);
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain("\n");
  });
});

describe("other commands", () => {
  it("fetches Debian's kernel by default", () => {
    expect(parse("fetch")).toEqual({ kind: "fetch", item: "debian-kernel", refresh: false });
    expect(parse("fetch", "debian-kernel=7.2", "--refresh")).toEqual({ kind: "fetch", item: "debian-kernel=7.2", refresh: true });
  });

  it("prints help and version for standard output", () => {
    expect(parse("--version")).toEqual({ kind: "print", text: "1.2.3\n" });
    expect(parse("-version")).toEqual({ kind: "print", text: "1.2.3\n" });
    for (const word of ["--help", "-h", "-help"])
      expect(parse(word)).toMatchObject({ kind: "print", text: expect.stringContaining("--kernel") });
  });
});
