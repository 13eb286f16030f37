import { expect, test } from 'vitest'
import { TokenBucket } from '../src/token-bucket.ts'

test('gives its burst at once and then its rate, and says how long to wait', () => {
  const bucket = new TokenBucket(2, 3, 0)
  expect([bucket.take(3, 0), bucket.take(1, 0), bucket.take(2, 0)]).toEqual([0, 500, 1_000])
  expect([bucket.take(1, 400), bucket.take(1, 500), bucket.take(1, 500)]).toEqual([100, 0, 500])
  expect([bucket.take(3, 100_000), bucket.take(1, 100_000)]).toEqual([0, 500])
})

test('lends what it has not, and everybody waits behind those before', () => {
  const bucket = new TokenBucket(1, 2, 0)
  expect([0, 0, 0, 0, 0].map((now) => bucket.owe(1, now))).toEqual([0, 0, 1_000, 2_000, 3_000])
  expect(bucket.owe(1, 3_500)).toBe(500)
  expect([bucket.isFull(5_000), bucket.isFull(6_500)]).toEqual([false, true])
})
