import { expect, test } from 'vitest'
import { PollPace } from '../src/poll-pace.ts'

test('the fifth poll within half a second that gets no further has to wait', () => {
  const pace = new PollPace()
  expect([0, 100, 200, 300, 499].map((now) => pace.pauseAt(3, now))).toEqual([0, 0, 0, 0, 1_000])
  expect(pace.pauseAt(3, 500), 'half a second after the first').toBe(0)
})

test('one that gets further begins anew', () => {
  const pace = new PollPace()
  expect([1, 1, 1, 1, 2, 2, 2, 2, 3].map((cursor) => pace.pauseAt(cursor, 0))).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0])
})

test('going back is not getting further', () => {
  const pace = new PollPace()
  expect([5, 3, 5, 3, 5].map((cursor) => pace.pauseAt(cursor, 0))).toEqual([0, 0, 0, 0, 1_000])
})
