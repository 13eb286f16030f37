import { assert, property, string } from 'fast-check'
import { expect, test } from 'vitest'
import { checkPrefix, groupKeys } from '../src/group-keys.ts'

/** The part of a key that decides on its slot, as Redis finds it. */
function hashTag(key: string): string {
  const start = key.indexOf('{')
  const end = key.indexOf('}', start + 1)
  return start >= 0 && end > start + 1 ? key.slice(start + 1, end) : key
}

function allKeys(name: string): string[] {
  const { channel, meta, log } = groupKeys('p', name)
  return [channel, meta, log]
}

const name = string({ unit: 'binary-ascii', minLength: 1, maxLength: 64 })

test('all keys of a group are in one slot', () => {
  assert(
    property(name, (name) => {
      const [channel = '', ...others] = allKeys(name).map(hashTag)
      expect(channel.length).toBeGreaterThan(0)
      for (const other of others) expect(other).toBe(channel)
    }),
  )
})

test('different groups have different keys', () => {
  assert(
    property(name, name, (one, two) => {
      const keys = new Set([...allKeys(one), ...allKeys(two)])
      expect(keys.size).toBe(one === two ? 3 : 6)
    }),
  )
  for (const [one, two] of [
    ['{', '%7b'],
    ['a}:meta', 'a'],
    ['%', '%25'],
  ] as const) {
    expect(groupKeys('p', one).channel).not.toBe(groupKeys('p', two).channel)
    expect(groupKeys('p', one).meta).not.toBe(groupKeys('p', two).channel)
  }
})

test('a prefix cannot hold what would move the groups', () => {
  for (const prefix of ['rtapi', 'app:rt', 'a/b.c-d_e', 'p'.repeat(64)]) expect(checkPrefix(prefix)).toBe(prefix)
  for (const prefix of ['', '{', '}', 'a b', 'a\n', 'ü', 'p'.repeat(65)])
    expect(() => checkPrefix(prefix)).toThrow(TypeError)
})
