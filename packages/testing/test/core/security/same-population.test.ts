import { seededRandom } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { samePopulation } from './same-population.ts'

test('agrees with published values', () => {
  // One sample wholly below the other: z = -5.291 for 20 and 20 (without a correction for continuity: -5.410).
  const low = Array.from({ length: 20 }, (_, i) => i)
  expect(
    samePopulation(
      low,
      low.map((value) => value + 100),
    ),
  ).toBeCloseTo(6.3e-8, 8)
  expect(samePopulation(low, low)).toBeCloseTo(1, 6)
  expect(samePopulation([1, 1, 1], [1, 1])).toBe(1)
})

test('finds a shift of a tenth of the spread in two thousand tries, and none where there is none', () => {
  const random = seededRandom(1)
  const sample = (shift: number): number[] =>
    Array.from({ length: 2_000 }, () => random.next() + random.next() + random.next() + shift)
  let found = 0
  let mistaken = 0
  for (let i = 0; i < 50; i++) {
    if (samePopulation(sample(0), sample(0.07)) <= 0.01) found++
    if (samePopulation(sample(0), sample(0)) <= 0.01) mistaken++
  }
  expect([found > 35, mistaken < 5]).toEqual([true, true])
})
