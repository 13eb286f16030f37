import type { Clock } from '@rtapi/core'

/** The part of the time that the client uses; tests pass one of their own. */
export type ClientClock = Pick<Clock, 'monotonic' | 'setTimer'>

/** The clock of the machine. Its timers keep a Node process alive: a client that reconnects is not done. */
export const systemClock: ClientClock = {
  monotonic: () => performance.now(),
  setTimer(delay, run) {
    const timer = setTimeout(run, Math.min(delay, 2_147_483_647))
    return () => clearTimeout(timer)
  },
}
