// What a translator gets and gives: plain data, so that it may work in another thread.

import type { Func, ModuleSpec } from "../../wasm/module.ts";

/** A predecoded entry, and how a PE came to it. */
export interface Place {
  readonly ip: number;
  /** Virtual address of its page, low and high word. */
  readonly lo: number;
  readonly hi: number;
  /** Address of the fetch TLB. */
  readonly tlb: number;
  /** Accesses had to be aligned there (SCTLR_ELx.A, or a disabled MMU). */
  readonly aligned: boolean;
}

/** A page of code as it stood when the job was written. */
export interface CodeImage {
  /** Address of its predecoded entries. */
  readonly offset: number;
  readonly words: Int32Array;
  /** A bit for each word that is worth following: reached by branches before, or for a wide region, translated. */
  readonly warm: Uint32Array;
  /** A bit for each word where a translation begins, or will. */
  readonly begun: Uint32Array;
}

/** An entry whose region is wanted. */
export interface Wanted {
  readonly place: Place;
  readonly page: CodeImage;
  /** For a wide region: pages that the fetch TLB knows, by their distance from the entry's page in pages of virtual addresses. */
  readonly around: ReadonlyMap<number, CodeImage> | undefined;
}
export interface Job {
  readonly id: number;
  readonly wanted: readonly Wanted[];
}

/** A region that was compiled. Its effects, which are many objects, are not kept. */
export interface Found {
  readonly place: Place;
  readonly wide: boolean;
  /** Addresses of the predecoded entries of the pages that hold its code. */
  readonly pages: readonly number[];
  /** Instructions. */
  readonly size: number;
  /** Predecoded entry of the first instruction, and number of instructions, of its blocks. */
  readonly runs: readonly (readonly [first: number, count: number])[];
  /** Writes system registers. */
  readonly system: boolean;
}
export interface Answer {
  /** That of the job. */
  readonly id: number;
  readonly found: readonly Found[];
  /** Exports the functions of the regions as "0", "1", ...; undefined when nothing was found. */
  readonly module: WebAssembly.Module | undefined;
  /** Size of the module. */
  readonly bytes: number;
  /** Milliseconds spent in translation and in the host's compiler. */
  readonly translateMs: number;
  readonly compileMs: number;
  /** Of a translator in the same thread. */
  readonly funcs?: readonly Func[];
}

/** What a translator has to know of the machine that its code is for. */
export interface Target {
  /** Names of the rows of the instruction table that its PEs do not have. */
  readonly absent: readonly string[];
  /** The memory as modules import it. */
  readonly memory: ModuleSpec["memory"];
  /** The host multiplies and adds with one rounding. */
  readonly fused: boolean;
}

/** Translates in its own time; answers come in the order of the jobs. */
export interface TranslationService {
  /** Does the guest run on meanwhile? */
  readonly remote: boolean;
  post(job: Job): void;
  /** The next answer, if it is there. */
  poll(): Answer | undefined;
}
/** Makes the service for one machine; undefined: it is to translate itself. */
export type Translation = (target: Target) => TranslationService | undefined;
