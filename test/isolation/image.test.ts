// The same over a real RMM, from an image that whoever runs the tests brings.

import { test } from "vitest";
import { broughtImage } from "../support/rmm-image.ts";
import { wholeRun } from "./whole-run.ts";

const rmm = broughtImage("RME_TF_RMM", "a TF-RMM rmm.img of v0.6 to v0.8 for qemu_virt");

test.skipIf(rmm === undefined)("isolation over a whole run, TF-RMM being the RMM", () => wholeRun({ rmm: rmm as string }), 600_000);
