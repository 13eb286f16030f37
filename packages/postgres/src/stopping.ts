import type { Clock } from '@rtapi/core'

/** Milliseconds that a source gives to what is under way when it is stopped. */
const STOP_TIME = 2_000

/** Waits for what is under way, but no longer than for 2 s: a channel layer may never answer. */
export async function withinStopTime(clock: Clock, underway: Promise<unknown> | undefined): Promise<void> {
  let cancel: (() => void) | undefined
  const timeIsUp = new Promise<void>((resolve) => (cancel = clock.setTimer(STOP_TIME, resolve)))
  await Promise.race([underway, timeIsUp])
  cancel?.()
}
