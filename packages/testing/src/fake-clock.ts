import type { Clock } from '@rtapi/core'
import { turn } from './event-loop.ts'

/** A clock that stands still until the test moves it. */
export interface FakeClock extends Clock {
  /** Timers that are set now: 0 at the end of a test that leaves nothing behind. */
  readonly timers: number
  /** Pieces of work that wait for the end of the tick. */
  readonly deferred: number
  /** Runs what has been deferred so far; what that defers in turn waits for the next tick. */
  tick(): void
  /** Runs deferred work and lets promises settle, until nothing moves any more. Time stands still. */
  settle(): Promise<void>
  /** Lets so many milliseconds pass: each timer runs at its time, and everything settles before the next one. */
  advance(milliseconds: number): Promise<void>
  /**
   * Lets so many milliseconds pass in which nothing runs, as in a process that is busy or stopped: the timers that were
   * due meanwhile come late, with the next `advance`.
   */
  stall(milliseconds: number): void
  /** Sets the wall clock forward, or back: `now` jumps, `monotonic` and the timers do not. */
  shift(milliseconds: number): void
}

interface Timer {
  readonly due: number
  readonly run: () => void
}

/** Turns of the event loop without new deferred work after which all is still. */
const QUIET_TURNS = 3

/**
 * Makes a clock for tests.
 * @param start - what `now` says at first, in milliseconds since 1970. @default 2026-01-01T00:00:00Z
 */
export function fakeClock(start: number = Date.UTC(2026, 0, 1)): FakeClock {
  let offset = start
  let elapsed = 0
  let deferred: (() => void)[] = []
  // In the order of setting, so that of two timers due at once the first set runs first.
  const timers = new Set<Timer>()

  function nextTimer(until: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of timers) if (timer.due <= until && (next === undefined || timer.due < next.due)) next = timer
    return next
  }

  function tick(): void {
    const work = deferred
    deferred = []
    for (const run of work) run()
  }

  async function settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      if (deferred.length > 0) quiet = 0
      tick()
      await turn()
    }
    if (deferred.length > 0) await settle()
  }

  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    setTimer(delay, run) {
      const timer = { due: elapsed + Math.max(0, delay), run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    defer: (run) => void deferred.push(run),
    get timers() {
      return timers.size
    },
    get deferred() {
      return deferred.length
    },
    tick,
    settle,
    async advance(milliseconds) {
      const until = elapsed + milliseconds
      await settle()
      for (let timer = nextTimer(until); timer !== undefined; timer = nextTimer(until)) {
        timers.delete(timer)
        elapsed = Math.max(elapsed, timer.due)
        timer.run()
        await settle()
      }
      elapsed = until
    },
    stall: (milliseconds) => void (elapsed += milliseconds),
    shift: (milliseconds) => void (offset += milliseconds),
  }
}
