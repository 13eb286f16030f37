import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Interval, IntervalTree } from '../src/interval-tree.ts'
import { randomNumbers } from './support/random-numbers.ts'

const end = fc.option(fc.nat(12), { nil: undefined, freq: 5 })
const intervals: fc.Arbitrary<Interval<number>> = fc.record({
  low: end,
  lowOpen: fc.boolean(),
  high: end,
  highOpen: fc.boolean(),
})

function holds({ low, lowOpen, high, highOpen }: Interval<number>, point: number): boolean {
  if (low !== undefined && (lowOpen ? point <= low : point < low)) return false
  return high === undefined || (highOpen ? point < high : point <= high)
}

function overlap(a: Interval<number>, b: Interval<number>): boolean {
  const { low: lowA = -Infinity, high: highA = Infinity } = a
  const { low: lowB = -Infinity, high: highB = Infinity } = b
  return highA >= lowB && highB >= lowA
}

function around(tree: IntervalTree<number, object>, point: number): object[] {
  const found: object[] = []
  tree.visit(point, (value) => found.push(value))
  return found
}

test('finds exactly the values whose intervals hold the point', () => {
  const steps = fc.array(fc.record({ interval: intervals, forget: fc.option(fc.nat(60)) }), {
    maxLength: 80,
    size: 'max',
  })
  fc.assert(
    fc.property(steps, fc.integer(), (steps, seed) => {
      const tree = new IntervalTree<number, object>((a, b) => a - b, randomNumbers(seed))
      const model: { interval: Interval<number> }[] = []
      for (const { interval, forget } of steps) {
        const value = { interval }
        tree.add(interval, value)
        model.push(value)
        const [gone] = forget === null ? [] : model.splice(forget, 1)
        if (gone !== undefined) tree.delete(gone.interval, gone)
      }
      for (let point = -1; point <= 13; point += 0.5) {
        const wanted = model.filter(({ interval }) => holds(interval, point))
        expect(new Set(around(tree, point))).toEqual(new Set(wanted))
        expect(around(tree, point)).toHaveLength(wanted.length)
      }
      for (const { interval } of model.slice(0, 5)) {
        expect(tree.count(interval, 100)).toBe(model.filter((other) => overlap(interval, other.interval)).length)
      }
      for (const value of model) tree.delete(value.interval, value)
      expect(tree.isEmpty).toBe(true)
    }),
    { numRuns: 300 },
  )
})

test('deleting what is not there changes nothing', () => {
  const tree = new IntervalTree<number, object>((a, b) => a - b, randomNumbers(1))
  const interval = { low: 1, lowOpen: false, high: 2, highOpen: false }
  const value = {}
  tree.add(interval, value)
  tree.delete(interval, {})
  tree.delete({ ...interval, highOpen: true }, value)
  expect(around(tree, 1)).toEqual([value])
})

test('stops counting at enough', () => {
  const tree = new IntervalTree<number, object>((a, b) => a - b, randomNumbers(1))
  for (let i = 0; i < 1_000; i++) tree.add({ low: i, lowOpen: false, highOpen: false }, {})
  const last = { low: 999, lowOpen: false, highOpen: false }
  expect(tree.count(last, 2_000)).toBe(1_000)
  const enough = tree.count(last, 10)
  expect(enough).toBeGreaterThanOrEqual(10)
  expect(enough).toBeLessThan(20)
})

test.each([
  ['ascending', (i: number) => i],
  ['descending', (i: number) => -i],
  ['shuffled', (i: number) => (i * 7_919) % 20_011],
])('costs the logarithm of its size, added in %s order', (_, place) => {
  let comparisons = 0
  const tree = new IntervalTree<number, object>((a, b) => {
    comparisons++
    return a - b
  }, randomNumbers(5))
  const items = Array.from({ length: 20_000 }, (_, i) => ({
    low: place(i),
    lowOpen: false,
    high: place(i) + 1,
    highOpen: true,
  }))
  const cost = (work: () => void): number => {
    comparisons = 0
    work()
    return comparisons / items.length
  }
  // log2(20,000) is 14.3; a list would cost 10,000.
  expect(cost(() => items.forEach((item) => tree.add(item, item)))).toBeLessThan(200)
  expect(cost(() => items.forEach((item) => expect(around(tree, item.low)).toEqual([item])))).toBeLessThan(100)
  expect(cost(() => items.forEach((item) => tree.delete(item, item)))).toBeLessThan(300)
  expect(tree.isEmpty).toBe(true)
})
