// Running the host's own programs (apt-get, dpkg-deb, xz), with errors a person can act on.

import { spawn } from "node:child_process";
import { EmuError } from "../../util/errors.ts";

/** The Debian package that provides each program we call, for the message when it is missing. */
const PROVIDER: Record<string, string> = {
  "apt-get": "apt",
  "apt-cache": "apt",
  "apt-config": "apt",
  dpkg: "dpkg",
  "dpkg-deb": "dpkg",
  "dpkg-source": "dpkg-dev",
  make: "make",
  xz: "xz-utils",
  zstd: "zstd",
};

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: Uint8Array;
  /** Called with each line that the program writes to file descriptor 3. */
  readonly onStatus?: (line: string) => void;
}

/** Runs a program to its end and returns its standard output. A non-zero exit becomes one EmuError with the program's last words. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["pipe", "pipe", "pipe", "pipe"],
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
    forwardLines(child.stdio[3] as NodeJS.ReadableStream | null, options.onStatus);
    child.on("error", (error: NodeJS.ErrnoException) => reject(startError(program, error)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(Buffer.concat(out));
      else reject(new EmuError("tool-failed", failure(program, args, Buffer.concat(err).toString(), signal ?? `exit ${code}`)));
    });
    child.stdin?.on("error", () => {}); // the program may end before it read everything; its exit code tells
    child.stdin?.end(options.input ?? "");
  });
}

function forwardLines(stream: NodeJS.ReadableStream | null, onLine: ((line: string) => void) | undefined): void {
  let rest = "";
  stream?.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine?.(line);
  });
}

function startError(program: string, error: NodeJS.ErrnoException): EmuError {
  if (error.code !== "ENOENT") return new EmuError("tool-failed", `cannot run ${program}: ${error.message}`);
  const provider = PROVIDER[program];
  return new EmuError("tool-missing", `${program} is not installed${provider ? ` (Debian package ${provider})` : ""}`);
}

function failure(program: string, args: readonly string[], stderr: string, how: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("W:"));
  const last = lines.slice(-2).join(" ");
  return `${program} ${args.find((a) => !a.startsWith("-")) ?? ""} failed (${how})${last ? `: ${last}` : ""}`;
}
