import type { MaybePromise } from './runtime.ts'

/** A key of one owner, held for one run of a write. */
export interface HeldKey {
  /** Whose key it is: 64 hexadecimal digits. Equal keys of different owners have nothing to do with each other. */
  readonly owner: string
  /** As the client chose it: 1–64 of `[A-Za-z0-9_-]`. */
  readonly key: string
  /** Random, 1–64 of `[A-Za-z0-9_-]`: proves that it was this run which reserved the key. */
  readonly run: string
}

/** What is written down before a write with an idempotency key runs. */
export interface Reservation extends HeldKey {
  /** A digest of what was asked, to tell a repetition from another request: 64 hexadecimal digits. */
  readonly request: string
  /** Milliseconds until the key is forgotten. */
  readonly ttl: number
  /** Keys that one owner may have at once. */
  readonly max: number
}

/** What is known of a key. */
export type KnownKey =
  /** It was free, and is now held by this run. */
  | { readonly state: 'reserved' }
  /** A run holds it that has not settled: it is under way, or its process has died. */
  | { readonly state: 'running'; readonly request: string }
  | { readonly state: 'settled'; readonly request: string; readonly result: string }
  /** The owner has as many keys as there may be; the next one is forgotten after so many milliseconds. */
  | { readonly state: 'full'; readonly retryAfter: number }

/**
 * Keeps what came of writes with an idempotency key, for all processes of an API. Results are opaque text, and hold no
 * rows: those are read anew for whoever repeats the write.
 *
 * `reserve` MUST be one atomic step: of any number of calls for a free key, in any processes, one alone is answered
 * `reserved`. A key that is held or settled MUST stay known until its time is over, also when the process that reserved
 * it is gone. `settle` and `release` MUST do nothing unless the run holds the key and has not settled it.
 *
 * A keeper MUST NOT drop a key to make room for another one, or the write behind it could run twice: it answers `full`.
 */
export interface ResultKeeper {
  reserve(reservation: Reservation): MaybePromise<KnownKey>
  /** Writes down the result of the run and keeps it for `ttl` milliseconds from now. */
  settle(held: HeldKey, result: string, ttl: number): MaybePromise<void>
  /** Forgets the key, since nothing was done under it. */
  release(held: HeldKey): MaybePromise<void>
  /** Releases everything that this process holds open; what was kept stays with the others. */
  close(): MaybePromise<void>
}
