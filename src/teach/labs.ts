// The labs: short exercises on the programs in firmware/labs. What each is about, and how to see that its goal is reached.

/** A fault that happened during a run. */
export interface LabFault {
  /** Security state that made the access: "Secure", "Non-secure", "Root", "Realm". */
  readonly security: string;
  /** Exception level that made the access, and the one that took the exception. */
  readonly el: number;
  readonly target: number;
  /** It was a granule protection fault, not something else; of a table walk, or of the access itself. */
  readonly granule: boolean;
  readonly walk: boolean;
  /** Stage and level of the table walk. */
  readonly stage: 1 | 2;
  readonly level: number;
  /** One sentence. */
  readonly text: string;
}

/** One access that the program reports: "  Realm EL2: load: 0x5555". */
export interface LabLook {
  readonly security: string;
  readonly el: number;
  /** "load", "store", ... */
  readonly access: string;
  /** "done", a value, or the exception. */
  readonly result: string;
}

/** What a run has left: its console output, and the faults in their order. */
export interface LabRun {
  readonly console: string;
  readonly faults: readonly LabFault[];
  /** The program powered off by itself. */
  readonly ended: boolean;
}

export interface Verdict {
  readonly reached: boolean;
  /** One or two sentences. */
  readonly text: string;
}

export interface Lab {
  /** Name of the folder in firmware/labs and of the source in it. */
  readonly name: string;
  readonly title: string;
  /** What the learner is to bring about. */
  readonly goal: string;
  readonly judge: (run: LabRun) => Verdict;
}

const reached = (text: string): Verdict => ({ reached: true, text });
const missed = (text: string): Verdict => ({ reached: false, text });

/** The accesses that a program has reported, in their order. */
export function looksOf(console: string): LabLook[] {
  return [...console.matchAll(/^ {2}(Secure|Non-secure|Root|Realm) EL(\d): ([\w-]+): (.*?)\r?$/gm)].map(
    ([, security, el, access, result]) => ({
      security: security as string,
      el: Number(el),
      access: access as string,
      result: result as string,
    }),
  );
}

const failed = (look: LabLook | undefined): boolean => look !== undefined && / taken to EL\d/.test(look.result);
const isRead = (security: string) => (l: LabLook) => l.security === security && l.access === "load";

/** What no goal is reached without: the program ran to its end, and its report and the faults of the machine agree. */
function credible(run: LabRun): Verdict | undefined {
  if (!run.ended) return missed("The program did not come to its end.");
  const looks = looksOf(run.console);
  const reported = looks.filter(failed);
  const agree = reported.length === run.faults.length && reported.every((l, i) => l.security === run.faults[i]?.security);
  if (!agree) return missed(`The program reports ${reported.length} faults, the machine has seen ${run.faults.length}.`);
  return undefined;
}

function judgeFirstGpf(run: LabRun): Verdict {
  const looks = looksOf(run.console);
  const realm = looks.find(isRead("Realm"));
  const host = looks.find(isRead("Non-secure"));
  if (!realm || !host) return missed("Both states must read the page.");
  if (failed(realm)) return missed("The Realm read fails; it is to succeed.");
  if (!failed(host)) return missed("The Non-secure read is let through: its space agrees with the GPI.");
  if (!run.faults.some((f) => f.security === "Non-secure" && f.granule && !f.walk && f.target === 2))
    return missed("The Non-secure read fails, but not with a granule protection fault taken to EL2.");
  return reached(
    "The granule belongs to the Realm space: Realm reads it, and the Non-secure read ends in a granule protection fault at EL2.",
  );
}

function judgeWalkVsOutput(run: LabRun): Verdict {
  const [fault] = run.faults;
  if (!fault?.granule || fault.el !== 1) return missed("There was no granule protection fault of EL1.");
  if (!fault.walk) return missed("The fault is one of the access itself, not of a table walk.");
  if (fault.target !== 2)
    return missed(`The fault is of the walk, level ${fault.level}, but it is taken to EL${fault.target}: it is a table of the guest's.`);
  if (fault.stage !== 2) return missed("The fault is taken to EL2, but it is of a table of the guest's.");
  if (fault.level !== 3) return missed(`The fault is taken to EL2, but it is of level ${fault.level}.`);
  return reached("A stage 2 table of level 3 was gone: the fault belongs to stage 2 and goes to EL2; the guest's kernel does not see it.");
}

function judgeFourViews(run: LabRun): Verdict {
  const reads = looksOf(run.console).filter((l) => l.access === "load");
  const states = ["Realm", "Non-secure", "Secure", "Root"];
  if (reads.length !== 4 || !states.every((s) => reads.some(isRead(s)))) return missed("All four states must read the page once.");
  const granted = reads.filter((l) => !failed(l)).map((l) => l.security);
  if (!granted.includes("Root")) return missed("Root's read fails: its descriptor names a space to which the granule does not belong.");
  if (granted.length !== 2 || !granted.includes("Realm")) return missed(`These reads succeed: ${granted.join(", ")}.`);
  return reached("Root reaches the Realm's granule when it names the Realm space, and only then. The state alone opens nothing.");
}

function judgeMissingTlbi(run: LabRun): Verdict {
  const looks = looksOf(run.console);
  const host = looks.filter(isRead("Non-secure"));
  const [before, during, after] = host;
  if (host.length !== 3 || !looks.some((l) => l.security === "Realm" && l.access === "store" && !failed(l)))
    return missed("The host must read the page three times, and the realm must write its secret.");
  if (failed(before)) return missed("The host could not read its own page.");
  if (!failed(during))
    return missed(`After the delegation the host reads ${during?.result}: a TLB entry from before still lets it through.`);
  if (!run.faults.every((f) => f.granule && !f.walk)) return missed("The host's read fails, but not with a granule protection fault.");
  if (after?.result !== "0x0") return missed(`After the page came back the host reads ${after?.result}, not zeros.`);
  return reached("No TLB remembers the page as the host's: its read after the delegation faults, and it gets the page back empty.");
}

const rows: readonly Lab[] = [
  {
    name: "first-gpf",
    title: "A first granule protection fault",
    goal: "the Realm read succeeds, the Non-secure read ends in a granule protection fault",
    judge: judgeFirstGpf,
  },
  {
    name: "walk-vs-output",
    title: "A fault on the walk, a fault on the output",
    goal: "a granule protection fault on the walk at level 3 that is taken to EL2",
    judge: judgeWalkVsOutput,
  },
  {
    name: "four-views",
    title: "Four states look at one granule",
    goal: "exactly two of four reads succeed: that of Realm and that of Root",
    judge: judgeFourViews,
  },
  {
    name: "missing-tlbi",
    title: "Delegate, undelegate, and the missing TLBI",
    goal: "after the delegation the host's read faults; when it has the page back, it reads zeros",
    judge: judgeMissingTlbi,
  },
];

/** All labs, easiest first. */
export const labs: readonly Lab[] = rows.map((lab) => ({ ...lab, judge: (run) => credible(run) ?? lab.judge(run) }));
