import { settle } from '@rtapi/testing'
import { afterEach, expect, test, vi } from 'vitest'

afterEach(() => vi.unstubAllGlobals())

/** Work in so many steps, each a promise deeper or a turn later. */
async function work(steps: number): Promise<number> {
  for (let i = 0; i < steps; i++) await Promise.resolve()
  return steps
}

test.each(['with setImmediate', 'without it, as in browsers'])(
  'settle waits for promises to settle, %s',
  async (how) => {
    if (how.startsWith('without')) vi.stubGlobal('setImmediate', undefined)
    let done = 0
    void work(1_000).then((steps) => (done = steps))
    await settle()
    expect(done).toBe(1_000)
  },
)

test('settle runs what a clock has deferred', async () => {
  let settled = false
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    setTimer: () => () => {},
    defer: () => {},
    settle() {
      settled = true
      return Promise.resolve()
    },
  }
  await settle(clock)
  expect(settled).toBe(true)
})
