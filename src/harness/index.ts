// The public API: create a machine, run it, talk to its consoles, look inside.

export { EngineDifference } from "../cpu/jit/check.ts";
export { type BlockBackend, MemoryBlockBackend } from "../devices/virtio/index.ts";
export { type GptArea, type GptDescription, printGpt } from "../gpt/index.ts";
export type { Question } from "../teach/explain.ts";
export { type ExplainerOptions, FaultExplainer } from "../teach/explainer.ts";
export { explanationPage } from "../teach/html.ts";
export type { Explanation } from "../teach/model.ts";
export { cpuProfile, profileText } from "../teach/profile-report.ts";
export type { Profile } from "../teach/profiler.ts";
export { Symbols } from "../teach/symbols.ts";
export { explanationText } from "../teach/text.ts";
export type { Timeline } from "../teach/timeline.ts";
export { timelinePage, timelineText } from "../teach/timeline-view.ts";
export { type AnswerEvent, type CallEvent, type TraceEvent, type TraceKind, traceKinds } from "../trace/events.ts";
export { TraceText, traceJson, traceLine } from "../trace/text.ts";
export { EmuError } from "../util/errors.ts";
export {
  type PlatformTokenClaims,
  type RealmTokenClaims,
  type TokenCheck,
  type TokenExpectations,
  type TokenReport,
  verifyToken,
} from "./attestation.ts";
export { Console, type OutputListener, type WaitOptions, type Writer } from "./console.ts";
export { type Engine, engines } from "./engine.ts";
export type { Try, TryKind } from "./host-tries.ts";
export type { EnterOptions, HostedRealm, HostedRealmOptions, RealmContent, RealmExit } from "./hosted-realm.ts";
export {
  type FwCfgEntry,
  type LoaderEntry,
  Machine,
  type MachineName,
  type MachineOptions,
  type PciDevice,
  type RealmOptions,
  type StopReason,
} from "./machine.ts";
export { type ConsoleName, consoleNames } from "./named-consoles.ts";
export {
  type ExitName,
  type GranuleName,
  type Place,
  type RealmEvent,
  type RealmEventKind,
  RealmHost,
  type RealmHostOptions,
  type RmiCalls,
} from "./realm-host.ts";
export { snapshotNote } from "./snapshot.ts";
export { type Stuck, type StuckPe, stuckMessage, stuckText, type WatchdogLimits } from "./watchdog.ts";
