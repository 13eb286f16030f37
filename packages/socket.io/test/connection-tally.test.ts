import { expect, test } from 'vitest'
import { ConnectionTally } from '../src/connection-tally.ts'

test('twenty attempts within a minute, and as many in the next', () => {
  const tally = new ConnectionTally(0)
  const attempts = Array.from({ length: 21 }, (_, i) => tally.attempt(i))
  expect(attempts).toEqual(['first', ...Array.from({ length: 19 }, () => 'further'), 'too many'])
  expect(tally.attempt(60_000)).toBe('too many')
  expect(tally.attempt(60_001)).toBe('further')
})

test('eight sockets at once', () => {
  const tally = new ConnectionTally(0)
  for (let i = 0; i < 7; i++) tally.enter()
  expect(tally.isFull).toBe(false)
  tally.enter()
  expect(tally.isFull).toBe(true)
  tally.leave()
  expect(tally.isFull).toBe(false)
})
