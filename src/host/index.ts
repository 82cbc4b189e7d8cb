// The host of realms: everything that runs at Non-secure EL2.

export { type HostAction, HostAgent, type HostProgram, type HostTask } from "./agent.ts";
export { type BoardName, boardMaps } from "./board-maps.ts";
export { exitEc, exitIpa, type MmioAccess, mmioAccess, type RecExitView } from "./exits.ts";
export { expectedRim, planRealm, type RealmSetup, type RmiVersion } from "./plan.ts";
export { HostRealm, type RealmConfig } from "./realm.ts";
export { RmiClient, type RmiObserver, type RmiReply } from "./rmi.ts";
export { Vmm } from "./run.ts";
