import { expect, test } from 'vitest'
import { subscriptionsOf } from '../src/load/dialect.ts'
import { rows } from '../src/rows.ts'
import { followedRecords, makeFilter, randomFrom, shuffled } from '../src/workload.ts'

const never = { type: 'changes', atOnce: 0, interval: 0 } as const

test('every record has the same number of followers, and no socket follows one twice', () => {
  const workload = { records: 200, sockets: 50, following: { type: 'nothing' } as const, traffic: never }
  const lists = followedRecords(workload, 20)
  expect(lists).toHaveLength(50)
  for (const list of lists) expect(new Set(list).size).toBe(20)
  const followers = new Map<number, number>()
  for (const key of lists.flat()) followers.set(key, (followers.get(key) ?? 0) + 1)
  expect(followers.size).toBe(200)
  expect(new Set(followers.values())).toEqual(new Set([5]))
})

test('a shuffle keeps every record once, and is the same in every process', () => {
  const once = shuffled(100, randomFrom(7))
  expect(once.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
  expect(shuffled(100, randomFrom(7))).toEqual(once)
  expect(shuffled(100, randomFrom(8))).not.toEqual(once)
})

test('no two filters are alike', () => {
  const filters = Array.from({ length: 10_000 }, (_, i) => JSON.stringify(makeFilter(i, 10_000)))
  expect(new Set(filters).size).toBe(10_000)
})

test.each(rows)('$name: every socket has its subscriptions', ({ workload }) => {
  const { following, sockets } = workload
  const subscriptions = subscriptionsOf(workload)
  const each = following.type === 'nothing' ? 0 : following.type === 'all' ? 1 : following.each
  expect(subscriptions.map((list) => list.length)).toEqual(Array.from({ length: sockets }, () => each))
})
