import { expect, test } from 'vitest'
import { canonicalText } from '../src/filter-algebra.ts'
import { parseWhere } from '../src/parse-where.ts'
import { and, or } from '../src/where.ts'
import { fieldTypes } from './support/filters.ts'

const text = (where: unknown): string => canonicalText(parseWhere(where, { types: fieldTypes }))

test('and and or read as the arrays that clients write', () => {
  const mine = { nick: 'me' }
  const open = { done: { ne: true } }
  expect(text(and(mine, open))).toBe(text({ nick: 'me', done: { ne: true } }))
  expect(text(or(mine, open))).toBe(text({ or: [mine, open] }))
  expect(text(or(and(mine, open), { rank: 1 }))).toBe(text({ or: [{ and: [mine, open] }, { rank: 1 }] }))
  expect(text(or(mine))).toBe(text(mine))
})

test('of nothing, and matches everything and or nothing', () => {
  expect(parseWhere(and(), { types: {} })).toEqual({ type: 'const', value: true })
  expect(parseWhere(or(), { types: {} })).toEqual({ type: 'const', value: false })
})
