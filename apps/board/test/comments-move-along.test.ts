import type { Change, ChangeBatch, ChangeSource } from '@rtapi/core'
import { describe, expect, test } from 'vitest'
import type { BoardStores } from '../src/domain/board-database.ts'
import { watchedChanges } from '../src/domain/watched-changes.ts'

type Fields = NonNullable<Change['before']>

const stores = {
  users: { entity: 'User' },
  tasks: { entity: 'Task' },
  comments: { entity: 'Comment' },
} as unknown as BoardStores

function watch(...changes: ChangeBatch['changes']) {
  const emitted: ChangeBatch['changes'][number][] = []
  const users: (number | undefined)[] = []
  const source: ChangeSource = { start: (emit) => emit({ tx: 't', changes }), stop: () => undefined }
  void watchedChanges(source, stores, (id) => users.push(id)).start((batch) => emitted.push(...batch.changes))
  return { emitted, users }
}

function change(entity: string, action: Change['action'], before?: Fields, after?: Fields): Change {
  return { type: 'change', entity, key: 7, action, ...(before && { before }), ...(after && { after }) }
}

describe('a user', () => {
  test.each<[string, ChangeBatch['changes'][number], (number | undefined)[]]>([
    ['deleted', change('User', 'delete'), [7]],
    ['switched off', change('User', 'update', { active: true }, { active: false }), [7]],
    ['given another role', change('User', 'update', { role: 'member' }, { role: 'admin' }), [7]],
    ['written where nothing is known of before', change('User', 'update', undefined, { role: 'member' }), [7]],
    ['somebody, it cannot be said who', { type: 'coarse', entity: 'User' }, [undefined]],
    ['renamed', change('User', 'update', { name: 'a', role: 'member' }, { name: 'b', role: 'member' }), []],
    ['created', change('User', 'create', undefined, { role: 'admin' }), []],
    ['and another entity', change('Task', 'update', { role: 'x' }, { role: 'y' }), []],
  ])('%s', (_, what, told) => {
    const { emitted, users } = watch(what)
    expect(users).toEqual(told)
    expect(emitted).toEqual([what])
  })
})

describe('a task', () => {
  const comments = { type: 'coarse', entity: 'Comment' }

  test('that moves to another project takes its comments along', () => {
    const moved = change('Task', 'update', { projectId: 1 }, { projectId: 2 })
    expect(watch(moved, moved).emitted).toEqual([moved, moved, comments])
  })

  test('of which it cannot be said takes them along too', () => {
    expect(watch({ type: 'coarse', entity: 'Task' }).emitted).toContainEqual(comments)
    expect(watch(change('Task', 'update', undefined, { projectId: 2 })).emitted).toContainEqual(comments)
  })

  test('that stays does not', () => {
    const stayed = change('Task', 'update', { projectId: 1, title: 'a' }, { projectId: 1, title: 'b' })
    expect(watch(stayed).emitted).toEqual([stayed])
    expect(watch(change('Task', 'create', undefined, { projectId: 1 })).emitted).toHaveLength(1)
  })
})
