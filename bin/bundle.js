// Runs the bundled program (tools/bundle.mjs), with what V8 has compiled of it before: reading and compiling it again would take a
// tenth of a second of every start.

const { existsSync, readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { dirname, join } = require("node:path");
const { Script } = require("node:vm");

/** The compiled bundle. What is in the cache is taken when it is from this very V8 with these flags; otherwise V8 compiles as always. */
function compile(file) {
  // V8's flags decide whether compiled code fits: those that the program sets are set before.
  require(join(dirname(file), "host-compiler.js"));
  const cache = `${file}.cache`;
  const source = `(function (exports, require, module, __filename) {${readFileSync(file, "latin1")}\n})`;
  return new Script(source, {
    filename: file,
    cachedData: existsSync(cache) ? readFileSync(cache) : undefined,
  });
}

/** What the bundle exports. */
function load(file, script = compile(file)) {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file);
  return module.exports;
}

module.exports = { compile, load };
