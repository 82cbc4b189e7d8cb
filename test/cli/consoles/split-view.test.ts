// The split terminal, drawn on a terminal that is read back.

import xterm from "@xterm/headless";
import fc from "fast-check";
import { expect, test } from "vitest";
import { layout, SplitView } from "../../../src/cli/consoles/split-view.ts";

test("panes neither overlap nor leave the screen", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 20, max: 300 }),
      fc.integer({ min: 8, max: 100 }),
      (count, columns, rows) => {
        const rects = layout(count, columns, rows);
        expect(rects.length).toBe(count);
        const used = new Set<string>();
        for (const { x, y, width, height } of rects) {
          expect(width > 0 && height > 1 && x >= 0 && y >= 0 && x + width <= columns && y + height <= rows).toBe(true);
          for (const [cx, cy] of [
            [x, y],
            [x + width - 1, y + height - 1],
          ])
            expect(used.has(`${cx}.${cy}`)).toBe(false);
          for (let i = 0; i < width; i++) for (let k = 0; k < height; k++) used.add(`${x + i}.${y + k}`);
        }
        expect(used.size).toBe(rects.reduce((sum, r) => sum + r.width * r.height, 0));
      },
    ),
    { numRuns: 50 },
  );
});

/** A screen of 124 x 20 with four panes; `rows` reads it after everything is drawn. */
function screen() {
  const terminal = new xterm.Terminal({ cols: 124, rows: 20, allowProposedApi: true });
  const replies: string[] = [];
  const panes = ["Host", "Realm", "Firmware", "Secure"].map((title) => ({
    title,
    onReply: (bytes: Uint8Array) => replies.push(`${title}: ${Buffer.from(bytes).toString("latin1")}`),
  }));
  const size = { columns: 124, rows: 20 };
  const view = new SplitView({ panes, write: (text) => terminal.write(text), size: () => size });
  view.open();
  const rows = async (): Promise<string[]> => {
    await new Promise((done) => setTimeout(done, 250));
    await new Promise<void>((done) => terminal.write("", done));
    const { active } = terminal.buffer;
    return Array.from(
      { length: 20 },
      (_, y) =>
        active
          .getLine(active.viewportY + y)
          ?.translateToString(true)
          .trimEnd() ?? "",
    );
  };
  return { view, rows, replies, size, terminal };
}
const line = (text: string): Uint8Array => new TextEncoder().encode(`${text}\r\n`);

test("each console has its place, and terminal sequences stay in it", async () => {
  const { view, rows, replies, terminal } = screen();
  view.output(0, line("host \x1b[31mred\x1b[0m"));
  view.output(1, line("realm \x1b[2J\x1b[Hcleared"));
  view.output(2, line("NOTICE:  BL31"));
  view.output(3, line("I/TC: OP-TEE \x1b[6n"));
  const text = await rows();
  expect(text[0]).toMatch(/^ 1 Host {2}\(Ctrl-A H: keys\) +2 Realm$/);
  expect(text[1]).toMatch(/^host red +cleared$/);
  expect(text[10]).toMatch(/^ 3 Firmware +4 Secure$/);
  expect(text[11]).toMatch(/^NOTICE: {2}BL31 +I\/TC: OP-TEE$/);
  expect(terminal.buffer.active.getLine(1)?.getCell(5)?.getFgColor()).toBe(1);
  expect(replies).toEqual(["Secure: \x1b[1;14R"]);
  view.close();
});

test("keys: focus, one pane alone, scrolling back, another size", async () => {
  const { view, rows, size, terminal } = screen();
  for (let n = 0; n < 100; n++) view.output(0, line(`line ${n}`));
  expect((await rows())[8]).toMatch(/^line 99/);
  view.key("[");
  expect((await rows()).slice(0, 3)).toEqual([
    expect.stringContaining("[8 lines back]"),
    expect.stringMatching(/^line 84/),
    expect.stringMatching(/^line 85/),
  ]);
  view.key("]");
  expect((await rows())[8]).toMatch(/^line 99/);
  view.key("n");
  expect(view.focus).toBe(1);
  view.key("1");
  view.key("z");
  const alone = await rows();
  expect([alone[0], alone[18]]).toEqual([expect.stringMatching(/^ 1 Host/), "line 99"]);
  expect(alone.join("\n")).not.toContain("Realm");
  size.columns = 60;
  terminal.resize(60, 20);
  view.key("z");
  const narrow = await rows();
  expect(["Host", "Realm", "Firmware", "Secure"].map((title) => narrow.findIndex((l) => l.includes(` ${title}`)))).toEqual([0, 5, 10, 15]);
  view.close();
});

test("what was written last is seen when the screen is given back", () => {
  const terminal: string[] = [];
  const panes = [{ title: "Host", onReply: () => {} }];
  const view = new SplitView({ panes, write: (text) => terminal.push(text), size: () => ({ columns: 80, rows: 20 }) });
  view.open();
  view.output(0, line("reboot: Power down"));
  view.close();
  expect(terminal.at(-1)).toMatch(/\x1b\[\?1049l[\s\S]*reboot: Power down\r\n$/);
});

test("a guest that writes without end costs bounded memory, and its last lines are shown", async () => {
  const { view, rows } = screen();
  const chunk = new TextEncoder().encode("x".repeat(60).concat("\r\n").repeat(1000));
  for (let n = 0; n < 200; n++) view.output(0, chunk);
  view.output(0, line("the end"));
  for (let n = 0; n < 20 && !(await rows()).some((l) => l.startsWith("the end")); n++);
  expect((await rows())[8]).toMatch(/^the end/);
  view.close();
});
