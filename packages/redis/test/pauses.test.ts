import { fakeClock } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { Pauses } from '../src/pauses.ts'

test('a pause is longer after each failure, a second at most, and never none', async () => {
  for (const [failures, most] of [
    [1, 50],
    [3, 200],
    [50, 1_000],
  ] as const) {
    const clock = fakeClock()
    const pauses = new Pauses(clock)
    let isOver = false
    void pauses.beforeAttempt(failures).then(() => (isOver = true))
    await clock.advance(most / 2 - 1)
    expect(isOver).toBe(false)
    await clock.advance(most / 2 + 1)
    expect(isOver).toBe(true)
  }
})

test('closing ends all pauses, and there are no more', async () => {
  const clock = fakeClock()
  const pauses = new Pauses(clock)
  const waiting = pauses.wait(1_000)
  pauses.close()
  await waiting
  await pauses.wait(1_000)
  expect(clock.timers).toBe(0)
})
