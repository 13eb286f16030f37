import { describe, expect, test } from 'vitest'
import type { Change, CoarseChange } from '../src/change-source.ts'
import { rightsRecords, sessionRecords, userRecords } from '../src/session-rule.ts'
import type { Json, Key } from '../src/value.ts'

type Fields = Readonly<Record<string, Json>>

function change(action: Change['action'], before?: Fields, after?: Fields, key: Key = 7): Change {
  return { type: 'change', entity: 'E', key, action, ...(before && { before }), ...(after && { after }) }
}

const coarse: CoarseChange = { type: 'coarse', entity: 'E' }
const everyone = [{ everyone: true, command: 'refresh' }]
const refresh = [{ user: 7, command: 'refresh' }]
const deactivated = [{ user: 7, command: 'end', reason: 'user deactivated' }]

describe('the record of a user', () => {
  const rule = userRecords({ entity: 'E', fields: ['role', 'active'], ends: ({ active }) => active === false })

  test.each<[string, Change | CoarseChange, unknown]>([
    ['created', change('create', undefined, { role: 'admin' }), []],
    ['deleted', change('delete'), [{ user: 7, command: 'end', reason: 'user deleted' }]],
    ['switched off', change('update', { active: true }, { active: false }), deactivated],
    ['written while it is off', change('update', { name: 'a' }, { name: 'b', active: false }), deactivated],
    ['switched on', change('update', { active: false }, { active: true }), refresh],
    ['given another role', change('update', { role: 'a' }, { role: 'b' }), refresh],
    ['given a role, nobody knows which one it had', change('update', undefined, { role: 'b' }), refresh],
    ['renamed', change('update', { name: 'a' }, { name: 'b' }), []],
    ['changed in a way nobody knows', coarse, everyone],
  ])('%s', (_name, what, commands) => expect(rule.commands(what)).toEqual(commands))

  test('of which no fields are named, counts with all it has', () => {
    const any = userRecords({ entity: 'E' })
    expect(any.commands(change('update'))).toEqual(refresh)
    expect(any.commands(change('update', { name: 'a' }, { name: 'b' }))).toEqual(refresh)
  })

  test('whose key has several fields is none', () => {
    expect(() => rule.commands(change('delete', {}, {}, [1, 2]))).toThrow(TypeError)
  })
})

describe('the record of a sign-in', () => {
  const rule = sessionRecords({ entity: 'E' })
  const named = sessionRecords({ entity: 'E', session: ({ name }) => (typeof name === 'string' ? name : undefined) })

  test.each<[string, typeof rule, Change | CoarseChange, unknown]>([
    ['created', rule, change('create'), []],
    ['deleted', rule, change('delete'), [{ session: '7', command: 'end', reason: 'signed out' }]],
    ['changed', rule, change('update'), [{ session: '7', command: 'refresh' }]],
    ['changed in a way nobody knows', rule, coarse, everyone],
    [
      'deleted, by a name',
      named,
      change('delete', { name: 's' }),
      [{ session: 's', command: 'end', reason: 'signed out' }],
    ],
    ['deleted, and nobody knows its name', named, change('delete'), everyone],
  ])('%s', (_name, asked, what, commands) => expect(asked.commands(what)).toEqual(commands))
})

describe('a record that gives rights', () => {
  const rule = rightsRecords({ entity: 'E', users: ({ userId }) => (typeof userId === 'number' ? [userId] : []) })
  const of = (user: number): unknown => ({ user, command: 'refresh' })

  test.each<[string, Change | CoarseChange, unknown]>([
    ['created', change('create', undefined, { userId: 1 }), [of(1)]],
    ['deleted', change('delete', { userId: 1 }), [of(1)]],
    ['handed on', change('update', { userId: 1 }, { userId: 2 }), [of(1), of(2)]],
    ['changed', change('update', { userId: 1 }, { userId: 1 }), [of(1)]],
    ['of nobody', change('create', undefined, { userId: null }), []],
    ['of nobody knows whom', change('delete'), everyone],
    ['changed in a way nobody knows', coarse, everyone],
  ])('%s', (_name, what, commands) => expect(rule.commands(what)).toEqual(commands))
})
