import { describe, expect, test } from 'vitest'
import { ConnectionTrack } from '../src/connection-track.ts'
import type { Dialect } from '../src/dialects/dialect.ts'
import { mysqlDialect } from '../src/dialects/mysql.ts'
import { postgresDialect } from '../src/dialects/postgres.ts'
import { sqliteDialect } from '../src/dialects/sqlite.ts'
import { readStatement } from '../src/statement.ts'

/** Plays statements on a connection; what they write is their text. Answers what was committed, in order. */
function play(dialect: Dialect, ...steps: readonly (string | { readonly fails: unknown })[]): readonly string[] {
  const committed: string[] = []
  let count = 0
  const track = new ConnectionTrack<string>(dialect, {
    newId: () => String((count += 1)),
    committed: ({ id, entries }) => void committed.push(`${id}: ${entries.join(', ')}`),
    written(sql, transaction) {
      if (transaction === undefined) committed.push(`at once: ${sql}`)
      else transaction.add(sql)
    },
  })
  for (const step of steps) {
    if (typeof step === 'string') track.succeeded(step)
    else track.failed(step.fails)
  }
  return committed
}

const [a, b, c] = ['update a set x = 1', 'update b set x = 1', 'update c set x = 1'] as const

describe.each([
  ['PostgreSQL', postgresDialect],
  ['MariaDB', mysqlDialect],
  ['SQLite', sqliteDialect],
])('on %s', (_, dialect) => {
  test('what is committed, and nothing that is rolled back', () => {
    expect(play(dialect, 'begin', a, 'select 1', b, 'commit', 'begin', c, 'rollback')).toEqual([`1: ${a}, ${b}`])
  })

  test('without a transaction each statement is committed by itself', () => {
    expect(play(dialect, a, b)).toEqual([`at once: ${a}`, `at once: ${b}`])
  })

  test('a savepoint that is released, and then undone with the whole', () => {
    expect(play(dialect, 'begin', a, 'savepoint s', b, 'release savepoint s', 'rollback')).toEqual([])
  })

  test('a savepoint that is undone, and the rest committed', () => {
    const steps = ['begin', a, 'savepoint "s"', b, 'savepoint t', b, 'rollback to savepoint "s"', c, 'commit']
    expect(play(dialect, ...steps)).toEqual([`1: ${a}, ${c}`])
  })

  test('a commit that failed, and the rollback after it', () => {
    expect(play(dialect, 'begin', a, { fails: new Error('deferred') }, 'rollback', b)).toEqual([`at once: ${b}`])
  })
})

test('PostgreSQL takes the commit of a failed transaction, and rolls back', () => {
  const fails = { code: '23505' }
  expect(play(postgresDialect, 'begin', a, { fails }, 'commit')).toEqual([])
  expect(play(mysqlDialect, 'begin', a, { fails }, 'commit')).toEqual([`1: ${a}`])
  const saved = ['begin', a, 'savepoint s', { fails }, 'rollback to savepoint s', b, 'commit']
  expect(play(postgresDialect, ...saved)).toEqual([`1: ${a}, ${b}`])
})

test.each([{ code: 'ER_LOCK_DEADLOCK' }, { errno: 1213 }])('MariaDB ends a transaction at a deadlock: %o', (fails) => {
  expect(play(mysqlDialect, 'begin', a, { fails }, 'commit')).toEqual([])
  expect(play(mysqlDialect, 'begin', a, { fails }, b, 'rollback')).toEqual([`at once: ${b}`])
  // A savepoint begins no other one, and there is none to be released.
  const lost = ['begin', 'savepoint s', { fails }, 'savepoint t', b, { fails: { errno: 1305 } }, 'rollback']
  expect(play(mysqlDialect, ...lost)).toEqual([`at once: ${b}`])
})

test.each(['create table t (id int)', 'truncate table a'])('MariaDB commits at: %s', (sql) => {
  expect(play(mysqlDialect, 'begin', a, sql, b, 'rollback')[0]).toContain(`1: ${a}`)
  expect(play(mysqlDialect, 'begin', a, sql, b, 'rollback').at(-1)).toBe(`at once: ${b}`)
  expect(play(postgresDialect, 'begin', a, sql, b, 'rollback')).toEqual([])
})

test('SQLite begins a transaction at a savepoint, and commits it at its end', () => {
  expect(play(sqliteDialect, 'savepoint s', a, 'savepoint t', b, 'release t', 'release s', c)).toEqual([
    `1: ${a}, ${b}`,
    `at once: ${c}`,
  ])
})

test('reads matter only where one that fails spoils the transaction', () => {
  const handlers = { newId: () => 'id', committed: () => {}, written: () => {} }
  const read = readStatement('select 1')
  for (const [dialect, expected] of [
    [postgresDialect, true],
    [mysqlDialect, true],
    [sqliteDialect, false],
  ] as const) {
    const track = new ConnectionTrack<string>(dialect, handlers)
    expect(track.watches(read)).toBe(false)
    track.succeeded('begin')
    expect(track.watches(read)).toBe(expected)
    expect(track.watches(readStatement(a))).toBe(true)
  }
})
