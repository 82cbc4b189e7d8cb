import { test } from "vitest";
import { wholeRun } from "./whole-run.ts";

test("isolation over a whole run, the agent being the RMM", () => wholeRun({}), 600_000);
