import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { Pl011, Pl011Int, type Pl011Options, Pl011Uart } from "../../src/devices/pl011.ts";
import { primecellIds, read, TestLine, write } from "./support.ts";

const FEN = 0x10;
const ENABLED = 0x301;
const LBE = 0x80;
const FIFO_ON = FEN | 0x60;

let line: TestLine;
let out: number[];
let rooms: number;
let uart: Pl011Uart;

function make(extra: Partial<Pl011Options> = {}): Pl011Uart {
  line = new TestLine();
  out = [];
  rooms = 0;
  uart = new Pl011Uart({ irq: line, sink: { write: (b) => out.push(...b) }, onRoom: () => rooms++, ...extra });
  return uart;
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const count = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i + 1);

beforeEach(() => {
  make();
});

describe("identification and reset", () => {
  it("is the PL011 that Linux's amba bus looks for", () => {
    expect(primecellIds(uart)).toEqual([0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
  });

  it.each([
    ["RSR", Pl011.RSR, 0],
    ["FR", Pl011.FR, 0x90],
    ["ILPR", Pl011.ILPR, 0],
    ["IBRD", Pl011.IBRD, 0],
    ["FBRD", Pl011.FBRD, 0],
    ["LCR_H", Pl011.LCR_H, 0],
    ["CR", Pl011.CR, 0x300],
    ["IFLS", Pl011.IFLS, 0x12],
    ["IMSC", Pl011.IMSC, 0],
    ["RIS", Pl011.RIS, 0],
    ["MIS", Pl011.MIS, 0],
    ["DMACR", Pl011.DMACR, 0],
  ])("%s has its reset value, also after reset()", (_name, offset, value) => {
    expect(read(uart, offset)).toBe(value);
    for (let at = 0; at < 0x50; at += 4) write(uart, at, 0xffff_ffff);
    uart.reset();
    expect(read(uart, offset)).toBe(value);
  });

  it.each([
    ["ILPR", Pl011.ILPR, 0xff],
    ["IBRD", Pl011.IBRD, 0xffff],
    ["FBRD", Pl011.FBRD, 0x3f],
    ["LCR_H", Pl011.LCR_H, 0xff],
    ["CR", Pl011.CR, 0xff87],
    ["IFLS", Pl011.IFLS, 0x3f],
    ["IMSC", Pl011.IMSC, 0x7ff],
    ["DMACR", Pl011.DMACR, 0x7],
    ["FR", Pl011.FR, 0x90],
    ["RIS", Pl011.RIS, 0],
  ])("%s keeps its writable bits only", (_name, offset, mask) => {
    write(uart, offset, 0xffff_ffff);
    expect(read(uart, offset)).toBe(mask);
  });

  it("reads reserved offsets as 0 and ignores writes to them", () => {
    write(uart, 0x80, 0xffff_ffff);
    expect(read(uart, 0x80)).toBe(0);
    expect(read(uart, 0x4c)).toBe(0);
  });

  it("gives narrow reads their part of the word", () => {
    write(uart, Pl011.IBRD, 0x1234);
    expect(uart.read(Pl011.IBRD, 1)).toBe(0x34);
    expect(uart.read(Pl011.IBRD, 2)).toBe(0x1234);
    expect(uart.read(Pl011.IBRD + 1, 1)).toBe(0x12);
    expect(uart.read(Pl011.IBRD + 2, 2)).toBe(0);
  });
});

describe("transmit", () => {
  it("sends what is written and stays ready", () => {
    for (const c of text("hi")) {
      write(uart, Pl011.DR, c);
      expect(read(uart, Pl011.FR)).toBe(0x90);
    }
    expect(out).toEqual([...text("hi")]);
  });

  it("sends the low byte of a wider write", () => {
    write(uart, Pl011.DR, 0xabc41);
    uart.write(Pl011.DR, 1, 0x42);
    expect(out).toEqual([0x41, 0x42]);
  });

  it("raises TX with each character, level until ICR, only if unmasked", () => {
    write(uart, Pl011.DR, 0x41);
    expect(read(uart, Pl011.RIS)).toBe(Pl011Int.TX);
    expect(line.level).toBe(false);
    write(uart, Pl011.IMSC, Pl011Int.TX);
    expect(line.level).toBe(true);
    expect(read(uart, Pl011.MIS)).toBe(Pl011Int.TX);
    write(uart, Pl011.ICR, Pl011Int.TX);
    expect(line.level).toBe(false);
    expect(read(uart, Pl011.RIS)).toBe(0);
  });
});

describe("receive", () => {
  it("holds one character with the FIFO off, and keeps the rest with the caller", () => {
    expect(uart.receive(text("abc"))).toBe(1);
    expect(read(uart, Pl011.FR)).toBe(0xc0);
    expect(rooms).toBe(0);
    expect(read(uart, Pl011.DR)).toBe(0x61);
    expect(rooms).toBe(1);
    expect(read(uart, Pl011.FR)).toBe(0x90);
  });

  it("holds 16 with the FIFO on", () => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    expect(uart.receive(count(40))).toBe(16);
    expect(uart.room).toBe(0);
    expect(read(uart, Pl011.FR)).toBe(0xc0);
    for (let i = 1; i <= 16; i++) expect(read(uart, Pl011.DR)).toBe(i);
    expect(read(uart, Pl011.FR)).toBe(0x90);
    expect(uart.room).toBe(16);
  });

  it("asks for more once only, and not when everything fitted", () => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    uart.receive(count(16));
    read(uart, Pl011.DR);
    expect(rooms).toBe(0);
    uart.receive(count(2));
    read(uart, Pl011.DR);
    read(uart, Pl011.DR);
    expect(rooms).toBe(1);
  });

  it("lets onRoom deliver the rest from within the read", () => {
    const pending = [...text("hello")];
    const offer = (): void => void pending.splice(0, uart.receive(Uint8Array.from(pending)));
    make({ onRoom: offer });
    offer();
    let got = "";
    while ((read(uart, Pl011.FR) & 0x10) === 0) got += String.fromCharCode(read(uart, Pl011.DR));
    expect(got).toBe("hello");
  });

  it("reads an empty DR as the last character", () => {
    expect(read(uart, Pl011.DR)).toBe(0);
    uart.receive(text("x"));
    read(uart, Pl011.DR);
    expect(read(uart, Pl011.DR)).toBe(0x78);
  });

  it("takes input with UARTEN clear, as QEMU, but none with RXE clear", () => {
    write(uart, Pl011.CR, 0x200);
    expect(uart.receive(text("a"))).toBe(1);
    write(uart, Pl011.CR, 0x101);
    read(uart, Pl011.DR);
    expect(uart.receive(text("b"))).toBe(0);
    write(uart, Pl011.CR, ENABLED);
    expect(rooms).toBe(1);
    expect(uart.receive(text("b"))).toBe(1);
  });

  it("empties the FIFO when FEN changes", () => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    uart.receive(count(17));
    write(uart, Pl011.LCR_H, 0);
    expect(read(uart, Pl011.FR)).toBe(0x90);
    expect(read(uart, Pl011.RIS)).toBe(0);
    expect(rooms).toBe(1);
  });

  it("keeps the FIFO when other bits of LCR_H change", () => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    uart.receive(text("a"));
    write(uart, Pl011.LCR_H, FIFO_ON | 2);
    expect(read(uart, Pl011.FR) & 0x10).toBe(0);
  });

  it("raises RX at the first byte and drops it when the FIFO is empty", () => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    write(uart, Pl011.IMSC, Pl011Int.RX | Pl011Int.RT);
    uart.receive(text("ab"));
    expect(read(uart, Pl011.RIS)).toBe(Pl011Int.RX);
    read(uart, Pl011.DR);
    expect(line.level).toBe(true);
    read(uart, Pl011.DR);
    expect(line.level).toBe(false);
  });

  it("clears RX by ICR and raises it again with the next character", () => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    uart.receive(text("a"));
    write(uart, Pl011.ICR, 0xffff);
    expect(read(uart, Pl011.RIS)).toBe(0);
    uart.receive(text("b"));
    expect(read(uart, Pl011.RIS)).toBe(Pl011Int.RX);
  });

  it("delivers a break with its error bit, in RSR too until ECR is written", () => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    expect(uart.receiveBreak()).toBe(true);
    expect(read(uart, Pl011.RIS) & Pl011Int.BE).toBe(Pl011Int.BE);
    expect(read(uart, Pl011.DR)).toBe(0x400);
    expect(read(uart, Pl011.RSR)).toBe(4);
    write(uart, Pl011.RSR, 0);
    expect(read(uart, Pl011.RSR)).toBe(0);
  });

  it("refuses a break when it is full", () => {
    uart.receive(text("a"));
    expect(uart.receiveBreak()).toBe(false);
  });
});

describe("receive levels (trigger: ifls)", () => {
  it.each([
    [0, 2],
    [1, 4],
    [2, 8],
    [3, 12],
    [4, 14],
    [5, 14],
    [7, 14],
  ])("IFLS.RX %i raises RX at %i characters", (level, trigger) => {
    make({ trigger: "ifls" });
    write(uart, Pl011.LCR_H, FIFO_ON);
    write(uart, Pl011.IFLS, level << 3);
    uart.receive(count(trigger - 1));
    expect(read(uart, Pl011.RIS)).toBe(Pl011Int.RT);
    uart.receive(count(1));
    expect(read(uart, Pl011.RIS)).toBe(Pl011Int.RT | Pl011Int.RX);
    read(uart, Pl011.DR);
    expect(read(uart, Pl011.RIS)).toBe(Pl011Int.RT);
  });

  it("raises the receive timeout after a burst, until the FIFO is empty", () => {
    make({ trigger: "ifls" });
    write(uart, Pl011.LCR_H, FIFO_ON);
    write(uart, Pl011.IMSC, Pl011Int.RT);
    uart.receive(text("ab"));
    expect(line.level).toBe(true);
    read(uart, Pl011.DR);
    expect(line.level).toBe(true);
    read(uart, Pl011.DR);
    expect(line.level).toBe(false);
  });

  it("clears the receive timeout by ICR", () => {
    make({ trigger: "ifls" });
    write(uart, Pl011.LCR_H, FIFO_ON);
    uart.receive(text("a"));
    write(uart, Pl011.ICR, Pl011Int.RT);
    expect(read(uart, Pl011.RIS)).toBe(0);
  });

  it("raises RX at the one character of the holding register with the FIFO off", () => {
    make({ trigger: "ifls" });
    uart.receive(text("a"));
    expect(read(uart, Pl011.RIS)).toBe(Pl011Int.RX);
  });
});

describe("loopback", () => {
  beforeEach(() => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    write(uart, Pl011.CR, ENABLED | LBE);
  });

  it("returns one byte as observed on QEMU", () => {
    write(uart, Pl011.DR, 0x5a);
    expect(read(uart, Pl011.RIS)).toBe(0x30);
    expect(read(uart, Pl011.FR)).toBe(0x80);
    expect(read(uart, Pl011.DR)).toBe(0x5a);
    expect(read(uart, Pl011.RIS)).toBe(0x20);
    expect(read(uart, Pl011.FR)).toBe(0x90);
    expect(out).toEqual([]);
  });

  it("fills the FIFO with 16 bytes and overruns with the 17th", () => {
    for (let i = 0; i < 16; i++) write(uart, Pl011.DR, i);
    expect(read(uart, Pl011.FR)).toBe(0xc0);
    expect(read(uart, Pl011.RIS) & Pl011Int.OE).toBe(0);
    write(uart, Pl011.DR, 16);
    expect(read(uart, Pl011.RIS) & Pl011Int.OE).toBe(Pl011Int.OE);
    expect(read(uart, Pl011.RSR)).toBe(8);
    expect(read(uart, Pl011.DR)).toBe(0x800);
    write(uart, Pl011.DR, 17);
    expect(read(uart, Pl011.DR)).toBe(1);
  });

  it("ignores external input and asks for it again afterwards", () => {
    expect(uart.receive(text("a"))).toBe(0);
    write(uart, Pl011.CR, ENABLED);
    expect(rooms).toBe(1);
  });

  it("connects the modem outputs to the inputs, with an interrupt for each change", () => {
    write(uart, Pl011.CR, ENABLED | LBE | 0x3c00);
    expect(read(uart, Pl011.FR)).toBe(0x90 | 0x107);
    expect(read(uart, Pl011.RIS)).toBe(0xf);
    write(uart, Pl011.ICR, 0xf);
    write(uart, Pl011.CR, ENABLED | LBE | 0x3400);
    expect(read(uart, Pl011.RIS)).toBe(Pl011Int.CTS);
  });

  it("returns its own break", () => {
    write(uart, Pl011.LCR_H, FIFO_ON | 1);
    expect(read(uart, Pl011.DR)).toBe(0x400);
  });
});

describe("save and restore", () => {
  it("continues in the middle of input, interrupt line included", () => {
    write(uart, Pl011.LCR_H, FIFO_ON);
    write(uart, Pl011.IMSC, Pl011Int.RX);
    uart.receive(count(20));
    read(uart, Pl011.DR);
    const saved = structuredClone(uart.save());
    make();
    uart.restore(saved);
    expect(line.level).toBe(true);
    for (let i = 2; i <= 16; i++) expect(read(uart, Pl011.DR)).toBe(i);
    expect(line.level).toBe(false);
  });

  it.each([[null], [{}], [[]], ["x"], [new Uint8Array(4)]])("refuses %j", (bad) => {
    expect(() => uart.restore(bad)).toThrow(expect.objectContaining({ code: "snapshot-corrupt" }));
  });

  it("refuses a field out of range", () => {
    const saved = uart.save() as { [k: string]: never };
    expect(() => uart.restore({ ...saved, cr: 0x1_0000 })).toThrow(/cr/);
    expect(() => uart.restore({ ...saved, fifo: new Array(17).fill(0) })).toThrow(/fifo/);
  });
});

describe("hostile software", () => {
  const access = fc.record({
    offset: fc.integer({ min: 0, max: 0xfff }),
    size: fc.constantFrom(1 as const, 2 as const, 4 as const),
    value: fc.integer({ min: 0, max: 0xffff_ffff }),
    kind: fc.constantFrom("read", "write", "input", "break"),
  });

  it("cannot throw, and the line is always (RIS & IMSC) != 0", () => {
    fc.assert(
      fc.property(fc.array(access, { maxLength: 60 }), fc.boolean(), (list, ifls) => {
        make(ifls ? { trigger: "ifls" } : {});
        for (const a of list) {
          const offset = a.offset - (a.offset % a.size);
          if (a.kind === "read") expect(uart.read(offset, a.size)).toBeLessThan(2 ** (8 * a.size));
          else if (a.kind === "write") uart.write(offset & 0x7f, a.size, a.value);
          else if (a.kind === "break") uart.receiveBreak();
          else uart.receive(count(a.value % 40));
          expect(line.level).toBe(read(uart, Pl011.MIS) !== 0);
        }
        const copy = uart;
        const saved = copy.save();
        make(ifls ? { trigger: "ifls" } : {});
        uart.restore(saved);
        for (let at = 0; at < 0x50; at += 4) expect(uart.read(at, 4)).toBe(copy.read(at, 4));
      }),
    );
  });
});
