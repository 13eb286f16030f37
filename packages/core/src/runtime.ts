/** What core needs from its surroundings; all of it is injected, so that tests own the time. */

export type MaybePromise<T> = T | Promise<T>

/** Goes on with a value: at once if it is there, so that what is answered at once costs no promise. */
export function after<T, R>(work: MaybePromise<T>, goOn: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(work) ? Promise.resolve(work).then(goOn) : goOn(work)
}

/** What `await` would wait for: a promise of whatever make. */
export function isPromise<T>(work: MaybePromise<T>): work is Promise<T> {
  return work instanceof Promise || (isObject(work) && 'then' in work && typeof work.then === 'function')
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Time. */
export interface Clock {
  /** Milliseconds since 1970; used for `expiresAt` alone. */
  now(): number
  /** Milliseconds that only grow; used for every duration. */
  monotonic(): number
  /** Calls `run` once after `delay` milliseconds; returns its undo. */
  setTimer(delay: number, run: () => void): () => void
  /** Calls `run` at the end of the current tick, after the I/O that is ready now. */
  defer(run: () => void): void
}

/** Where work that nobody awaits reports its failures. */
export interface ReportContext {
  /** What failed, in a few words with a stable beginning: `store.read`, `layer.publish` … */
  readonly during: string
  readonly resource?: string
  readonly action?: string
  readonly connection?: string
  /** The id of the user. */
  readonly user?: string | number
  /** Reports of this kind that were left out before this one, so as not to flood the log. */
  readonly dropped?: number
}

/** Receives every error that no caller waits for. It must not throw; if it does, that is swallowed. */
export type Report = (error: unknown, context: ReportContext) => void

declare const setImmediate: ((run: () => void) => unknown) | undefined

/** The clock of the machine. Timers do not keep the process alive where the platform offers that. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(delay, run) {
    const timer: unknown = setTimeout(run, Math.min(delay, 2_147_483_647))
    // Node hands out an object, browsers a number.
    if (typeof timer === 'object' && timer !== null && 'unref' in timer) (timer as { unref(): void }).unref()
    return () => clearTimeout(timer as Parameters<typeof clearTimeout>[0])
  },
  defer(run) {
    if (typeof setImmediate === 'function') setImmediate(run)
    else setTimeout(run, 0)
  },
}

/** Settles with the promise, or rejects with `onTimeout()` after `delay` milliseconds. The timer is always cleared. */
export function withTimeout<T>(clock: Clock, delay: number, work: MaybePromise<T>, onTimeout: () => Error): Promise<T> {
  if (!(work instanceof Promise)) return Promise.resolve(work)
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(delay, () => reject(onTimeout()))
    work.then(resolve, reject).finally(cancel)
  })
}
