// Granule protection (FEAT_RME): the check, its tables, and the check for requesters that are not PEs.

export { type BuiltGpt, buildGpt, type GptLayout, type GptRange, gptRegisters } from "./build.ts";
export { GranuleProtection } from "./check.ts";
export { type DescribeOptions, describeGpt, type GptArea, type GptDescription } from "./describe.ts";
export { dmaPermitted } from "./dma.ts";
export { decodeGptConfig, Gpi, type GptConfig, type GptFeatures, gpiName } from "./format.ts";
export { printGpt } from "./print.ts";
