// Pages as the tests look at them.

/** Throws at the first thing that is not well-formed XML. */
export function wellFormed(text: string): void {
  const open: string[] = [];
  for (const [token] of text.matchAll(/<[^>]*>|[^<]+/g)) {
    if (token.startsWith("<!DOCTYPE")) continue;
    if (!token.startsWith("<")) {
      const stray = /&(?!(amp|lt|gt|quot);)|>/.exec(open.at(-1) === "style" ? "" : token);
      if (stray) throw new Error(`stray ${stray[0]} in ${token.slice(0, 80)}`);
      continue;
    }
    const m = /^<(\/?)([A-Za-z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>$/.exec(token);
    if (!m) throw new Error(`malformed tag ${token}`);
    if (m[1]) {
      if (open.pop() !== m[2]) throw new Error(`</${m[2]}> closes something else`);
    } else if (!m[4]) open.push(m[2] as string);
  }
  if (open.length > 0) throw new Error(`never closed: ${open.join()}`);
}
