import { type ErrorCode, type Limits, type RequestMessage, RtapiError } from './protocol.ts'
import type { Outcome } from './requested-action.ts'
import type { HeldKey, KnownKey, ResultKeeper } from './result-keeper.ts'
import { type Clock, type MaybePromise, type Report, withTimeout } from './runtime.ts'
import type { Session } from './session.ts'
import { sha256Hex } from './sha256.ts'
import type { Json } from './value.ts'

/** What keyed writes need around them. */
export interface KeyedWriteSurroundings {
  /** Absent: no results are kept, and keys are refused. */
  readonly results: ResultKeeper | undefined
  readonly limits: Limits
  readonly clock: Clock
  readonly report: Report
}

/** One request with an idempotency key, which its session may make. */
export interface KeyedWrite {
  readonly session: Session
  readonly message: RequestMessage
  readonly key: string
  /** Runs the write without a limit of time, and says when it begins to write: from then on it may have been done. */
  execute(begin: () => void): Promise<Outcome>
  /** What is kept of an outcome. */
  keep(outcome: Outcome): Outcome
  /** The answer to a repetition, from what was kept. */
  repeat(kept: Outcome): Promise<Outcome>
}

/** What is written down of a run that has settled. */
type Result =
  | { readonly outcome: Outcome }
  /** It was done, and its answer is too big to keep. */
  | { readonly outcome: 'too big' }
  | { readonly outcome: 'unknown' }

/** Codes by which a store, an override or an action says that it has written nothing. */
const nothingWritten: ReadonlySet<ErrorCode> = new Set([
  'bad_request',
  'unauthenticated',
  'forbidden',
  'not_found',
  'invalid',
  'conflict',
  'unsupported',
  'limit_exceeded',
  'rate_limited',
])

/** Milliseconds between two looks whether another run of the same write has ended: at first, and at most. */
const FIRST_LOOK = 50
const LAST_LOOK = 1_000

/**
 * Sees to it that a write with an idempotency key runs once, however often and wherever it is asked for: a repetition
 * waits for the run that is under way and is answered from what that came to.
 *
 * What certainly wrote nothing is forgotten, and may run again. What may have written, and cannot say so, is remembered
 * as unknown: a repetition is told that, and does not run.
 */
export class KeyedWrites {
  readonly #around: KeyedWriteSurroundings
  /** Repetitions that wait, each with what ends its wait. */
  readonly #waits = new Set<() => void>()
  #closed = false

  constructor(around: KeyedWriteSurroundings) {
    this.#around = around
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#waits.size
  }

  async run(write: KeyedWrite): Promise<Outcome> {
    const { results, limits, clock } = this.#around
    if (results === undefined)
      throw new RtapiError('unsupported', `this server keeps no results: leave out 'idempotencyKey'`)
    const owner = ownerOf(write.session)
    if (owner === undefined) throw new RtapiError('unauthenticated', `sign in to use 'idempotencyKey'`)
    const request = digestOf(write.message)
    const held: HeldKey = { owner, key: write.key, run: crypto.randomUUID() }
    const reservation = { ...held, request, ttl: limits.idempotencyTime, max: limits.idempotencyKeys }
    const until = clock.monotonic() + limits.storeTimeout
    for (let pause = FIRST_LOOK; ; pause = Math.min(pause * 2, LAST_LOOK)) {
      const known = await this.#reserve(() => results.reserve(reservation))
      if (known.state === 'full') {
        const { retryAfter } = known
        const message = `at most ${limits.idempotencyKeys} idempotency keys are kept of one user`
        throw new RtapiError('rate_limited', message, { retryAfter })
      }
      if (known.state === 'reserved') return this.#first(results, held, write)
      if (known.request !== request)
        throw new RtapiError('conflict', 'The idempotency key was used for another request.')
      if (known.state === 'settled') return repeated(write, JSON.parse(known.result) as Result)
      if (clock.monotonic() >= until) throw unknownOutcome()
      await this.#pause(pause)
    }
  }

  /** Ends all waiting. */
  close(): void {
    this.#closed = true
    for (const wake of this.#waits) wake()
  }

  /** Runs the write, and writes down what came of it, also when that takes longer than anybody waits. */
  #first(results: ResultKeeper, held: HeldKey, write: KeyedWrite): Promise<Outcome> {
    const { clock, limits, report } = this.#around
    return new Promise((resolve, reject) => {
      let cancel: (() => void) | undefined
      let isLate = false
      const begin = (): void => {
        cancel ??= clock.setTimer(limits.storeTimeout, () => {
          isLate = true
          reject(unknownOutcome())
        })
      }
      const run = async (): Promise<Outcome> => {
        try {
          const outcome = await write.execute(begin)
          await this.#settle(results, held, { outcome: write.keep(outcome) })
          return outcome
        } catch (error) {
          if (cancel === undefined || (error instanceof RtapiError && nothingWritten.has(error.code)))
            await this.#tell('results.release', () => results.release(held))
          else await this.#settle(results, held, { outcome: 'unknown' })
          // Nobody hears of it any more.
          if (isLate && !(error instanceof RtapiError))
            report(error, { during: 'request', resource: write.message.resource })
          throw error
        }
      }
      run()
        .then(resolve, reject)
        .finally(() => cancel?.())
    })
  }

  async #reserve(work: () => MaybePromise<KnownKey>): Promise<KnownKey> {
    try {
      return await this.#inTime(work)
    } catch (error) {
      this.#around.report(error, { during: 'results.reserve' })
      // Whether it runs once cannot be known without them, and so it does not run.
      throw new RtapiError('unavailable', 'The results of earlier writes cannot be read now.', { cause: error })
    }
  }

  #settle(results: ResultKeeper, held: HeldKey, result: Result): Promise<void> {
    const { idempotencyResult, idempotencyTime } = this.#around.limits
    return this.#tell('results.settle', () => {
      const text = JSON.stringify(result)
      const kept = text.length <= idempotencyResult ? text : JSON.stringify({ outcome: 'too big' } satisfies Result)
      return results.settle(held, kept, idempotencyTime)
    })
  }

  /** The write has been answered for by then: a failure leaves the key held, and its outcome unknown to who repeats it. */
  async #tell(during: string, work: () => MaybePromise<void>): Promise<void> {
    try {
      await this.#inTime(work)
    } catch (error) {
      this.#around.report(error, { during })
    }
  }

  async #inTime<T>(work: () => MaybePromise<T>): Promise<T> {
    const { clock, limits } = this.#around
    return withTimeout(clock, limits.layerTimeout, work(), () => new Error('the results did not answer in time'))
  }

  async #pause(delay: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waits.delete(wake)
        cancel()
        resolve()
      }
      const cancel = this.#around.clock.setTimer(delay, wake)
      this.#waits.add(wake)
      if (this.#closed) wake()
    })
    if (this.#closed) throw new RtapiError('unavailable', 'The server is shutting down.')
  }
}

function repeated(write: KeyedWrite, { outcome }: Result): MaybePromise<Outcome> {
  if (outcome === 'unknown') throw unknownOutcome()
  if (outcome === 'too big')
    throw new RtapiError('limit_exceeded', 'The write was done before; its answer was too big to be kept.')
  return write.repeat(outcome)
}

/** Whose keys a session uses: those of its user, or, of a session without one, its own. */
function ownerOf({ user, id }: Session): string | undefined {
  if (user !== null) return sha256Hex(JSON.stringify(['user', user.id]))
  return id === undefined ? undefined : sha256Hex(JSON.stringify(['session', id]))
}

/** Everything that makes it another request. The order of names in objects does not. */
function digestOf({ type: _type, id: _id, idempotencyKey: _key, ...asked }: RequestMessage): string {
  return sha256Hex(JSON.stringify(asked, (_name, value: Json) => (isObject(value) ? sorted(value) : value)))
}

function isObject(value: Json): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sorted(value: { readonly [name: string]: Json }): Json {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function unknownOutcome(): RtapiError {
  return new RtapiError('timeout', 'The write was begun, and its outcome is unknown: look at the records.')
}
