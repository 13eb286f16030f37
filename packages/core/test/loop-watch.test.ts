import { expect, test } from 'vitest'
import { LoopWatch } from '../src/loop-watch.ts'

/** Timers every 250 ms that come so many milliseconds late. */
function run(watch: LoopWatch, ...late: readonly number[]): readonly string[] {
  let now = 0
  return late.map((delay) => {
    watch.expect(now + 250)
    now += 250 + delay
    return watch.came(now)
  })
}

test('late once is a pause, twice in a row too much work, until it comes in time again', () => {
  const watch = new LoopWatch(250)
  expect(run(watch, 0, 250, 251, 250, 251, 251, 9_000)).toEqual([
    'in time',
    'in time',
    'paused',
    'in time',
    'paused',
    'behind',
    'behind',
  ])
  expect(watch.isBehind).toBe(true)
  expect(run(watch, 10)).toEqual(['in time'])
  expect(watch.isBehind).toBe(false)
})

test('with no timer nothing is late', () => {
  const watch = new LoopWatch(250)
  run(watch, 300, 300)
  watch.expect(undefined)
  expect([watch.isBehind, watch.came(10_000), watch.isBehind]).toEqual([false, 'in time', false])
})

test('may be told to tolerate everything', () => {
  expect(run(new LoopWatch(Number.POSITIVE_INFINITY), 1e6, 1e6)).toEqual(['in time', 'in time'])
})
