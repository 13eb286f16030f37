import { beforeEach, expect, test } from 'vitest'
import { Pace } from '../src/pace.ts'
import type { Clock } from '../src/runtime.ts'

let now: number
let deferred: (() => void)[]
let reports: string[]
let pace: Pace

const clock: Clock = {
  now: () => now,
  monotonic: () => now,
  setTimer() {
    throw new Error('it has no timer')
  },
  defer: (run) => void deferred.push(run),
}

beforeEach(() => {
  now = 0
  deferred = []
  reports = []
  pace = new Pace(clock, (_error, { during }) => reports.push(during))
})

const nextTurn = (): void => {
  for (const run of deferred.splice(0)) run()
}

test('a slice begins when the first asks, however late that is, and is over after its time', () => {
  now = 1e6
  expect(pace.isOver).toBe(false)
  now += 19
  expect(pace.isOver).toBe(false)
  now += 1
  expect(pace.isOver).toBe(true)
})

test('the next turn of the event loop has a slice of its own', () => {
  expect(pace.isOver).toBe(false)
  now = 100
  expect(pace.isOver).toBe(true)
  nextTurn()
  expect(pace.isOver).toBe(false)
})

test('all wait for one and the same turn, in the order of their coming, and who waits again waits for the next', async () => {
  const order: string[] = []
  const work = async (name: string): Promise<void> => {
    for (let i = 1; i <= 2; i++) {
      await pace.turn()
      order.push(`${name}${i}`)
    }
  }
  const all = Promise.all([work('a'), work('b')])
  expect(deferred).toHaveLength(1)
  nextTurn()
  await new Promise(setImmediate)
  expect(order).toEqual(['a1', 'b1'])
  expect(deferred).toHaveLength(1)
  nextTurn()
  await all
  expect(order).toEqual(['a1', 'b1', 'a2', 'b2'])
  expect(deferred).toEqual([])
})

test('what throws later is reported, and the others run', () => {
  const ran: number[] = []
  pace.later(() => {
    throw new Error('no')
  })
  pace.later(() => void ran.push(2))
  nextTurn()
  expect(ran).toEqual([2])
  expect(reports).toEqual(['later'])
})

test('nothing is deferred where nobody asks', () => {
  expect(deferred).toEqual([])
})
