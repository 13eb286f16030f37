import { expect, test } from 'vitest'
import { backoffDelay } from '../src/backoff.ts'

const limits = { minimum: 500, maximum: 20_000 }

test('the shortest wait never changes, the longest doubles up to the maximum', () => {
  const shortest = [0, 1, 5, 50, 5_000].map((attempt) => backoffDelay(attempt, { ...limits, random: () => 0 }))
  expect(shortest).toEqual([500, 500, 500, 500, 500])
  const almost = 1 - Number.EPSILON
  const longest = [0, 1, 2, 3, 4, 5, 6, 5_000].map((attempt) =>
    Math.round(backoffDelay(attempt, { ...limits, random: () => almost })),
  )
  expect(longest).toEqual([1_000, 1_500, 2_500, 4_500, 8_500, 16_500, 20_000, 20_000])
})
