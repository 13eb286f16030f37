import { expect, test } from 'vitest'
import { type Flushable, WriteQueue } from '../src/index.ts'

/** Ticks that end when the test says so. */
function handTicks(): { defer: (run: () => void) => void; end: () => void; readonly deferred: number } {
  let deferred: (() => void)[] = []
  return {
    defer: (run) => void deferred.push(run),
    end() {
      const work = deferred
      deferred = []
      for (const run of work) run()
    },
    get deferred() {
      return deferred.length
    },
  }
}

test('lets everybody write once, in the order of coming, when the tick ends', () => {
  const ticks = handTicks()
  const queue = new WriteQueue(ticks)
  const written: string[] = []
  const socket = (name: string): Flushable => ({ flush: () => void written.push(name) })
  queue.add(socket('a'))
  queue.add(socket('b'))
  expect([written, ticks.deferred]).toEqual([[], 1])
  ticks.end()
  expect([written, ticks.deferred]).toEqual([['a', 'b'], 0])
  queue.add(socket('c'))
  expect(ticks.deferred).toBe(1)
  ticks.end()
  expect(written).toEqual(['a', 'b', 'c'])
})

test('what comes while it writes is written in the next tick', () => {
  const ticks = handTicks()
  const queue = new WriteQueue(ticks)
  const written: number[] = []
  const again: Flushable = { flush: () => void (written.push(written.length) < 3 && queue.add(again)) }
  queue.add(again)
  for (const expected of [1, 2, 3, 3]) {
    ticks.end()
    expect(written).toHaveLength(expected)
  }
})
