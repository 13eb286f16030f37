import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { databaseErrorKind, errorOfKind } from '../src/database-error.ts'

test.each([
  [{ code: '23505' }, 'unique'],
  [{ code: '23P01' }, 'unique'],
  [{ errno: 1062, code: 'ER_DUP_ENTRY' }, 'unique'],
  [{ code: '23503' }, 'reference'],
  [{ errno: 1451, code: 'ER_ROW_IS_REFERENCED_2' }, 'reference'],
  [{ code: '40001' }, 'race'],
  [{ code: '40P01' }, 'race'],
  [{ errno: 1213, code: 'ER_LOCK_DEADLOCK' }, 'race'],
  [{ code: '23502' }, 'unfit'],
  [{ code: '23514' }, 'unfit'],
  [{ code: '22001' }, 'unfit'],
  [{ errno: 4025 }, 'unfit'],
  [{ code: '57014' }, 'unavailable'],
  [{ code: '53300' }, 'unavailable'],
  [{ code: 'ECONNREFUSED', errno: -111 }, 'unavailable'],
  [{ code: 'EPIPE' }, 'unavailable'],
  [{ errno: 1205 }, 'unavailable'],
  [new Error('Connection terminated unexpectedly'), 'unavailable'],
  [{ code: '42P01' }, undefined],
  [{ errno: 1146 }, undefined],
  [new Error('something else'), undefined],
  ['text', undefined],
  [undefined, undefined],
])('%o is %s', (error, kind) => {
  expect(databaseErrorKind(error)).toBe(kind)
})

test.each([
  ['insert into b values (1, 1, 1)', 'unique'],
  ['insert into b values (2, 9, 1)', 'reference'],
  ['insert into b values (2, null, 1)', 'unfit'],
  ['insert into b values (2, 1, -1)', 'unfit'],
])('SQLite refuses %s', (sql, kind) => {
  const database = new DatabaseSync(':memory:')
  database.exec('create table a (id integer primary key); insert into a values (1)')
  database.exec('create table b (id int primary key, a int not null references a (id), n int check (n > 0))')
  database.exec('insert into b values (1, 1, 1)')
  let thrown: unknown
  try {
    database.exec(sql)
  } catch (error) {
    thrown = error
  } finally {
    database.close()
  }
  expect(databaseErrorKind(thrown)).toBe(kind)
})

test('what a store throws says nothing of the database', () => {
  const cause = new Error('duplicate key value violates unique constraint "users_email_key" of alice@example.org')
  for (const kind of ['unique', 'reference', 'race', 'unfit', 'unavailable'] as const) {
    const error = errorOfKind(kind, cause)
    expect(error.message).not.toMatch(/key|alice/)
    expect(error.cause).toBe(cause)
  }
  expect(errorOfKind('unique', cause).code).toBe('conflict')
  expect(errorOfKind('unfit', cause, [{ path: ['email'], message: 'is required' }]).details).toHaveLength(1)
})
