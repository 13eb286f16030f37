import type { Clock } from '@rtapi/core'

/** Frames that are served in one turn of the event loop, shared out among the sockets that have any; of one at most … */
const FRAMES = 256
const MOST = 32
/** … and at least, in frames of so many bytes: longer ones count for several. */
const LEAST = 2
const BYTES = 4_096
/** Milliseconds of a turn that go to what had to wait. */
const TIME = 8

type TurnClock = Pick<Clock, 'defer' | 'monotonic'>

/** A socket that has more to be served than a turn allows. */
export interface Waiter {
  /** Serves the next waiting frame if there is one and this turn allows it. */
  serveNext(): 'served' | 'waits' | 'done'
}

/** How much one socket has been served in a turn. */
export interface Share {
  turn: number
  used: number
}

/**
 * Shares the event loop among sockets. All that has come from one is read at once, which may be thousands of frames: what
 * goes beyond its share waits for the turns that follow, in each of which the others come first to what is their own.
 */
export class Turns {
  readonly #clock: TurnClock
  readonly #waiting = new Set<Waiter>()
  #turn = 0
  /** What each socket may have in this turn, and how many have had something. */
  #share = MOST
  #sharers = 0
  #isScheduled = false

  constructor(clock: TurnClock) {
    this.#clock = clock
  }

  /** Takes a frame of so many bytes from a share, or answers that it has to wait. The first of a turn never has to. */
  take(share: Share, bytes: number): boolean {
    if (share.turn !== this.#turn) {
      share.turn = this.#turn
      share.used = 0
      this.#sharers++
      this.#schedule()
    }
    const cost = 1 + bytes / BYTES
    if (share.used > 0 && share.used + cost > this.#share) return false
    share.used += cost
    return true
  }

  /** It will be asked to serve, until nothing waits any more. */
  wait(waiter: Waiter): void {
    this.#waiting.add(waiter)
    this.#schedule()
  }

  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#clock.defer(() => this.#next())
  }

  #next(): void {
    this.#turn++
    this.#share = Math.min(MOST, Math.max(LEAST, FRAMES / Math.max(this.#sharers, this.#waiting.size)))
    this.#sharers = 0
    this.#serve([...this.#waiting].values(), this.#clock.monotonic() + TIME)
  }

  #serve(waiters: Iterator<Waiter>, until: number): void {
    const next = this.#clock.monotonic() < until ? waiters.next() : undefined
    if (next === undefined || next.done === true) {
      this.#isScheduled = false
      if (this.#waiting.size > 0) this.#schedule()
      return
    }
    const waiter = next.value
    if (this.#waiting.delete(waiter)) {
      let state = waiter.serveNext()
      while (state === 'served') state = waiter.serveNext()
      // Behind those that have not been served yet.
      if (state === 'waits') this.#waiting.add(waiter)
    }
    // What was served goes on in promises: its time is known when they have nothing more to do.
    queueMicrotask(() => process.nextTick(() => this.#serve(waiters, until)))
  }
}
