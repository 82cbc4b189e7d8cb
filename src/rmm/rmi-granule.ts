// RMI: versions, features, granule delegation (DEN0137 B4.3.7 to B4.3.9, B4.3.23).

import { arg, INPUT, ok, type RmiHandler } from "./cx.ts";
import { featureRegister0 } from "./features.ts";
import { GranuleState } from "./granules.ts";
import { ABI_VERSION, RmiStatus, rmiCode } from "./status.ts";

export const version: RmiHandler = (_cx, _pe, args) => {
  const status = arg(args, 0) === ABI_VERSION ? RmiStatus.SUCCESS : RmiStatus.ERROR_INPUT;
  return [rmiCode(status), ABI_VERSION, ABI_VERSION];
};

export const features: RmiHandler = (cx, _pe, args) => ok(arg(args, 0) === 0n ? featureRegister0(cx.features) : 0n);

export const granuleDelegate: RmiHandler = (cx, pe, args) => {
  const pa = cx.granules.findIn(arg(args, 0), GranuleState.UNDELEGATED);
  if (pa < 0) return INPUT;
  // Secure or Root memory, or the RMM's own.
  if (cx.monitor.delegate(pe, pa) !== 0) return INPUT;
  cx.memory.wipe(pa);
  cx.granules.transition(pa, GranuleState.UNDELEGATED, GranuleState.DELEGATED);
  return ok();
};

export const granuleUndelegate: RmiHandler = (cx, pe, args) => {
  const pa = cx.granules.findIn(arg(args, 0), GranuleState.DELEGATED);
  if (pa < 0) return INPUT;
  // A DELEGATED granule is zero already. EL3 can refuse only when its table disagrees with our states.
  if (cx.monitor.undelegate(pe, pa) !== 0) return INPUT;
  cx.granules.transition(pa, GranuleState.DELEGATED, GranuleState.UNDELEGATED);
  return ok();
};
