import { expect, test } from 'vitest'
import type { Column } from '../src/dialects/dialect.ts'
import { postgresDialect } from '../src/dialects/postgres.ts'
import { never } from '../src/dialects/sql.ts'
import { keySql } from '../src/key-sql.ts'

const id: Column = { sql: '"id"', type: 'integer', nullable: false, declared: 'integer' }
const lang: Column = { sql: '"lang"', type: 'string', nullable: false, declared: 'text' }

test('one column is looked up in a list', () => {
  expect(keySql([1, 2], [id], postgresDialect)).toEqual({ text: '"id" in (?, ?)', params: [1, 2] })
})

test('several columns are compared one by one', () => {
  expect(
    keySql(
      [
        [1, 'de'],
        [2, 'en'],
      ],
      [id, lang],
      postgresDialect,
    ),
  ).toEqual({
    text: '(("id" = ? and "lang" = ?) or ("id" = ? and "lang" = ?))',
    params: [1, 'de', 2, 'en'],
  })
})

test('keys of another form are no record', () => {
  expect(keySql(['1', 1.5, [1, 2]], [id], postgresDialect)).toBe(never)
  expect(keySql([[1]], [id, lang], postgresDialect)).toBe(never)
  expect(keySql([], [id], postgresDialect)).toBe(never)
  expect(keySql(['x', 3], [id], postgresDialect).params).toEqual([3])
})
