import type { Clock } from '@rtapi/core'

declare const setImmediate: ((run: () => void) => unknown) | undefined

/** One turn of the event loop: every promise chain that needs no I/O or timer has come to its end. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve)
    else {
      const { port1, port2 } = new MessageChannel()
      port1.addEventListener('message', () => {
        port1.close()
        resolve()
      })
      port1.start()
      port2.postMessage(0)
    }
  })
}

/** Turns after which in-memory work counts as finished: more than any chain of deferred steps in rtapi. */
const TURNS = 12

/**
 * Lets everything that is under way in this process come to rest: deferred work of the clock, promises, and the I/O that
 * is ready. Timers of the real clock and answers that are still on their way from elsewhere are not waited for.
 */
export async function settle(clock?: Clock): Promise<void> {
  if (clock !== undefined && canSettle(clock)) await clock.settle()
  else for (let i = 0; i < TURNS; i++) await turn()
}

/** A clock that knows how to come to rest, as `fakeClock` does. */
export function canSettle(clock: Clock): clock is Clock & { settle(): Promise<void> } {
  return 'settle' in clock && typeof clock.settle === 'function'
}
