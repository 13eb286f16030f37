import type { Change, ChangeBatch, ChangeSource } from '@rtapi/core'
import { expect, test } from 'vitest'
import type { BoardStores } from '../src/domain/board-database.ts'
import { commentsMoveAlong } from '../src/domain/comments-move-along.ts'

type Fields = NonNullable<Change['before']>

const stores = { tasks: { entity: 'Task' }, comments: { entity: 'Comment' } } as unknown as BoardStores
const comments = { type: 'coarse', entity: 'Comment' }

function emitted(...changes: ChangeBatch['changes']): ChangeBatch['changes'] {
  const heard: ChangeBatch['changes'][number][] = []
  const source: ChangeSource = { start: (emit) => void emit({ tx: 't', changes }), stop: () => undefined }
  void commentsMoveAlong(source, stores).start((batch) => heard.push(...batch.changes))
  return heard
}

function change(entity: string, action: Change['action'], before?: Fields, after?: Fields): Change {
  return { type: 'change', entity, key: 7, action, ...(before && { before }), ...(after && { after }) }
}

test('a task that moves to another project takes its comments along', () => {
  const moved = change('Task', 'update', { projectId: 1 }, { projectId: 2 })
  expect(emitted(moved, moved)).toEqual([moved, moved, comments])
})

test('a task of which it cannot be said takes them along too', () => {
  expect(emitted({ type: 'coarse', entity: 'Task' })).toContainEqual(comments)
  expect(emitted(change('Task', 'update', undefined, { projectId: 2 }))).toContainEqual(comments)
})

test('a task that stays does not, and nothing else that changes', () => {
  const stayed = change('Task', 'update', { projectId: 1, title: 'a' }, { projectId: 1, title: 'b' })
  expect(emitted(stayed)).toEqual([stayed])
  expect(emitted(change('Task', 'create', undefined, { projectId: 1 }))).toHaveLength(1)
  expect(emitted(change('User', 'update', { projectId: 1 }, { projectId: 2 }))).toHaveLength(1)
})
