// `node tools/code-cache.cjs BUNDLE < commands`: keeps what V8 has compiled of the bundle after runs that use most of it: the bundled
// benchmark guest, which takes the commands, and a realm under the built-in monitor, RMM and host.

const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { compile, load } = require("../bin/bundle.js");

const [bundle] = process.argv.slice(2);
const firmware = join(__dirname, "../firmware");

async function run() {
  const script = compile(bundle);
  const { main } = load(bundle, script);
  await main(["--kernel", join(firmware, "bench/bench.img")]);
  if (process.exitCode === 0) await main(["realm", "--kernel", join(firmware, "realm-hello/realm-hello.img")]);
  if (process.exitCode === 0) writeFileSync(`${bundle}.cache`, script.createCachedData());
}
run();
