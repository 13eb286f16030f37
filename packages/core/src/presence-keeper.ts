import type { MaybePromise } from './runtime.ts'

/** What a process says of itself. */
export interface PresenceWrite {
  /** Names one life of a process, and is never used again: 1–64 of `[A-Za-z0-9_-]`. */
  readonly process: string
  /** Any text under each label; `undefined` takes it back. At most 1,000 labels. */
  readonly values: ReadonlyMap<string, string | undefined>
  /** Milliseconds from now for which all that the process says is kept, unless it writes again. */
  readonly ttl: number
  /** Whatever the process said before is taken back first. */
  readonly anew: boolean
}

/** What processes say, by process and label. */
export type Presences = ReadonlyMap<string, ReadonlyMap<string, string>>

/**
 * Keeps what each process says of itself for all to read, for as long as the process lives: who is connected to it. Labels
 * and values are opaque.
 *
 * What a process says MUST be gone once its `ttl` has passed without another write, all of it at once, however the process
 * came to its end; other processes' words MUST NOT be touched by that. A write MUST be one atomic step, and unless it is
 * `anew` it MUST do nothing when nothing is kept of the process any more: it answers `false`, and the process says
 * everything anew. A write that has been answered MUST be seen by every read that begins afterwards.
 *
 * Processes write a few times a second at most, one call at a time, and read as often.
 * A keeper MUST NOT let a call wait for more than the timeout (2 s by default): it rejects instead.
 */
export interface PresenceKeeper {
  /** Answers `false` if nothing is kept of the process, and nothing was written therefore. */
  write(write: PresenceWrite): MaybePromise<boolean>
  /** What the processes that are alive say under these labels, or in all; one that says nothing there has an empty map. */
  read(labels: readonly string[] | 'all'): MaybePromise<Presences>
  /** Takes back all that a process said; it is not among those alive any more. */
  forget(process: string): MaybePromise<void>
}
