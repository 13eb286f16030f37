import { expect, test } from 'vitest'
import { LoopWatch } from '../src/loop-watch.ts'

/** Timers every 250 ms that come so many milliseconds late. */
function run(watch: LoopWatch, ...late: readonly number[]): readonly boolean[] {
  let now = 0
  return late.map((delay) => {
    watch.expect(now + 250)
    now += 250 + delay
    watch.came(now)
    return watch.isBehind
  })
}

test('late once is a pause, twice in a row too much work, until it comes in time again', () => {
  const watch = new LoopWatch(250)
  expect(run(watch, 0, 250, 251, 250, 251, 251, 9_000)).toEqual([false, false, false, false, false, true, true])
  expect(run(watch, 10)).toEqual([false])
})

test('what was lost is counted, from a tolerance on', () => {
  const watch = new LoopWatch(250)
  run(watch, 250, 300, 0, 5_000)
  expect(watch.lost).toBe(5_300)
})

test('with no timer nothing is late', () => {
  const watch = new LoopWatch(250)
  run(watch, 300, 300)
  watch.expect(undefined)
  watch.came(10_000)
  expect([watch.isBehind, watch.lost]).toEqual([false, 600])
})

test('may be told to tolerate everything', () => {
  expect(run(new LoopWatch(Number.POSITIVE_INFINITY), 1e6, 1e6)).toEqual([false, false])
})
