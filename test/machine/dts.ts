// Reads decompiled device tree source, the subset that `dtc -O dts` writes: enough to compare trees with QEMU's.

import { type FdtNode, fdtNode, type PropertyValue } from "../../src/loader/fdt.ts";

const token =
  /\s+|\/dts-v1\/;|(?<open>[\w@,./#+-]+)\s*\{|(?<close>\};)|(?<name>[\w,#.+?-]+)(?:\s*=\s*(?<value>(?:"[^"]*"|<[^>]*>|\[[^\]]*\]|,|\s)+))?;/y;

function decode(text: string | undefined): PropertyValue {
  if (text === undefined) return true;
  if (text.startsWith("<")) return text.slice(1, -1).trim().split(/\s+/).map(Number);
  if (text.startsWith("[")) return Uint8Array.from(text.slice(1, -1).trim().split(/\s+/), (b) => Number.parseInt(b, 16));
  return text.slice(1, -1).split("\\0");
}

/** The root node of a decompiled tree. Throws on anything outside the subset. */
export function readDts(text: string): FdtNode {
  const outer = fdtNode("", {});
  const stack = [outer];
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const m = token.exec(text);
    if (!m) throw new Error(`dts: cannot read "${text.slice(at, at + 40)}"`);
    const { open, close, name, value } = m.groups ?? {};
    const top = stack.at(-1) as FdtNode;
    if (open !== undefined) {
      const node = fdtNode(open === "/" ? "" : open, {});
      top.children.push(node);
      stack.push(node);
    } else if (close !== undefined) stack.pop();
    else if (name !== undefined) for (const [k, v] of fdtNode("", { [name]: decode(value?.trim()) }).properties) top.properties.set(k, v);
  }
  return outer.children[0] as FdtNode;
}
