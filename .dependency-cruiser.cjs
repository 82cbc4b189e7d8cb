// The layering of ARCHITECTURE.md, as rules: imports go downward only.

/** Layers from the lowest up; folders in one row are on one level and may import each other, except where a rule below says no. */
const LAYERS = [
  ["util"],
  ["arch", "mem", "trace", "wasm"],
  ["ir", "isa", "mmu", "gpt"],
  ["cpu", "devices", "loader"],
  ["el3", "rmm", "host"],
  ["machine"],
  ["harness", "teach"],
  ["cli"],
];

/** Only these folders may use what the host offers (files, processes, terminals). */
const HOST_FOLDERS = ["cli", "harness", "loader"];

const folders = (names) => `^src/(${names.join("|")})/`;

const upward = LAYERS.map((layer, level) => ({
  name: `no-upward-import-from-${layer.join("-")}`,
  severity: "error",
  comment: "imports go downward only (ARCHITECTURE.md)",
  from: { path: folders(layer) },
  to: { path: folders(LAYERS.slice(level + 1).flat()) },
})).slice(0, -1);

module.exports = {
  forbidden: [
    ...upward,
    {
      name: "devices-do-not-know-the-cpu",
      severity: "error",
      comment: "a device gets registers, an interrupt line, a clock and memory access; it knows neither CPU nor machine",
      from: { path: "^src/devices/" },
      to: { path: "^src/(cpu|loader)/" },
    },
    {
      name: "host-access-only-at-the-edge",
      severity: "error",
      comment: "only cli, harness and loader touch node:*",
      from: { path: "^src/", pathNot: folders(HOST_FOLDERS) },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "no-cycles",
      severity: "error",
      comment: "files that import each other at run time cannot be read one after the other",
      from: { path: "^src/" },
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-development-package-in-the-program",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], dependencyTypesNot: ["type-only"] },
    },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "known-folder",
      severity: "error",
      comment: "a new folder of src/ must be given a layer above",
      from: { path: "^src/", pathNot: folders(LAYERS.flat()) },
      to: {},
    },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
