import { beforeEach, describe, expect, test } from 'vitest'
import type { Clock } from '../src/runtime.ts'
import { Sweep, type SweepOptions } from '../src/sweep.ts'

/** Something that is asked, and how that goes. */
class Thing {
  readonly name: string
  askedAt = 0
  constructor(name: string) {
    this.name = name
  }
}

let now: number
let things: Thing[]
/** Who is being asked, with what ends it. */
let asking: { readonly thing: Thing; readonly end: (isAsked: boolean) => void }[]
let log: { readonly name: string; readonly at: number }[]

const clock: Clock = {
  now: () => now,
  monotonic: () => now,
  setTimer() {
    throw new Error('it has no timer of its own')
  },
  defer() {
    throw new Error('it defers nothing')
  },
}

beforeEach(() => {
  now = 0
  things = []
  asking = []
  log = []
})

function sweepOf(options: SweepOptions, width = 1_000): Sweep<Thing> {
  return new Sweep<Thing>({
    ...options,
    clock,
    width,
    things: () => things,
    askedAt: ({ askedAt }) => askedAt,
    ask(thing) {
      log.push({ name: thing.name, at: now })
      return new Promise((end) => asking.push({ thing, end }))
    },
  })
}

/** Lets time pass with a look at each step; who is asked answers at once, if so wanted. */
async function pass(sweep: Sweep<Thing>, until: number, answer: boolean | 'none' = true): Promise<void> {
  for (; now <= until; now += 10) {
    sweep.look()
    if (answer !== 'none') await end(answer)
  }
}

async function end(isAsked: boolean): Promise<void> {
  while (asking.length > 0) {
    for (const { end } of asking.splice(0)) end(isAsked)
    for (let i = 0; i < 5; i++) await Promise.resolve()
  }
}

const names = (count: number) => Array.from({ length: count }, (_, n) => new Thing(`t${n}`))
const timesOf = (name: string) => log.filter((asked) => asked.name === name).map(({ at }) => at)

test('without jitter each is asked at the interval exactly', async () => {
  things = names(1)
  await pass(sweepOf({ interval: 1_000, jitter: 0 }), 3_500)
  expect(timesOf('t0')).toEqual([1_000, 2_000, 3_000])
})

test('with jitter those that began together part, and no pause is longer than the interval', async () => {
  things = names(100)
  await pass(sweepOf({ interval: 1_000 }), 5_000)
  for (const { name } of things) {
    const times = [0, ...timesOf(name)]
    expect(times.length).toBeGreaterThanOrEqual(5)
    const pauses = times.slice(1).map((time, i) => time - (times[i] ?? 0))
    for (const pause of pauses) {
      expect(pause).toBeGreaterThanOrEqual(500)
      // A look comes every ten milliseconds.
      expect(pause).toBeLessThanOrEqual(1_010)
    }
  }
  const first = log.filter(({ at }) => at <= 1_000)
  const atOnce = Math.max(...first.map(({ at }) => first.filter((other) => other.at === at).length))
  expect(atOnce).toBeLessThanOrEqual(5)
})

test('who was asked meanwhile by somebody else has its interval anew', async () => {
  things = names(2)
  const sweep = sweepOf({ interval: 1_000, jitter: 0 })
  await pass(sweep, 800)
  const [first] = things
  if (first !== undefined) first.askedAt = 800
  await pass(sweep, 1_900)
  expect([timesOf('t0'), timesOf('t1')]).toEqual([[1_800], [1_000]])
})

test('never more at once than the width, the longest overdue first, the next when one is done', async () => {
  things = names(6)
  for (const [i, thing] of things.entries()) thing.askedAt = -i
  const sweep = sweepOf({ interval: 1_000, jitter: 0 }, 2)
  now = 2_000
  sweep.look()
  sweep.look()
  expect(log.map(({ name }) => name)).toEqual(['t5', 't4'])
  asking.shift()?.end(true)
  for (let i = 0; i < 5; i++) await Promise.resolve()
  expect(log.map(({ name }) => name)).toEqual(['t5', 't4', 't3'])
  await end(true)
  expect(log.map(({ name }) => name)).toEqual(['t5', 't4', 't3', 't2', 't1', 't0'])
})

test('who waited for a place and was asked meanwhile is left out', async () => {
  things = names(2)
  const sweep = sweepOf({ interval: 1_000, jitter: 0 }, 1)
  now = 1_000
  sweep.look()
  const waiting = things.find(({ name }) => name !== log[0]?.name)
  if (waiting !== undefined) waiting.askedAt = 1_000
  await end(true)
  expect(log).toHaveLength(1)
})

test('who could not be asked comes again after a tenth of the interval, and nobody twice at once', async () => {
  things = names(1)
  const sweep = sweepOf({ interval: 1_000, jitter: 0 })
  await pass(sweep, 5_000, 'none')
  expect(timesOf('t0')).toEqual([1_000])
  await end(false)
  const failedAt = now
  await pass(sweep, failedAt + 150, false)
  expect(timesOf('t0')).toEqual([1_000, failedAt + 100])
})

test('who comes later is found in time', async () => {
  things = names(1)
  const sweep = sweepOf({ interval: 1_000, jitter: 0 })
  await pass(sweep, 500)
  const late = new Thing('late')
  late.askedAt = now
  things.push(late)
  await pass(sweep, 1_700)
  expect(timesOf('late')).toEqual([late.askedAt + 1_000])
})

test('after its end nothing begins, also not when what runs is done', async () => {
  things = names(3)
  const sweep = sweepOf({ interval: 1_000, jitter: 0 }, 1)
  now = 1_000
  sweep.look()
  sweep.close()
  await end(true)
  now = 5_000
  sweep.look()
  expect(log).toHaveLength(1)
})

describe('what cannot be', () => {
  test.each([
    { interval: 0 },
    { interval: -1 },
    { interval: Number.NaN },
    { interval: 10, jitter: 11 },
    { interval: 10, jitter: -1 },
  ])('%o', (options) => {
    expect(() => sweepOf(options)).toThrow(TypeError)
  })
})
