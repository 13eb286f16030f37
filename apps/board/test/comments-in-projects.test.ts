import { type Filter, memoryStore } from '@rtapi/core'
import { expect, test } from 'vitest'
import type { BoardStores } from '../src/domain/board-database.ts'
import { commentsInProjects } from '../src/domain/comments-in-projects.ts'
import { anyOf, where } from '../src/domain/queries.ts'

function board() {
  const tasks = memoryStore({
    entity: 'Task',
    fields: { id: 'integer', projectId: 'integer' },
    rows: [
      { id: 1, projectId: 10 },
      { id: 2, projectId: 20 },
      { id: 3, projectId: 20 },
    ],
  })
  const comments = memoryStore({
    entity: 'Comment',
    fields: { id: 'integer', taskId: 'integer', text: 'string' },
    rows: [
      { id: 1, taskId: 1, text: 'a' },
      { id: 2, taskId: 2, text: 'b' },
      { id: 3, taskId: 3, text: 'c' },
    ],
  })
  const stores = { tasks, comments } as unknown as BoardStores
  return { tasks, comments, store: commentsInProjects(stores) }
}

const all = (...filters: Filter[]): Filter => ({ type: 'and', filters })
const order = [['id', 'asc', 'integer']] as const

test('rows carry the project of their task', async () => {
  const { store } = board()
  expect(await store.read([1, 3])).toMatchObject([{ projectId: 10 }, { projectId: 20 }])
  expect(store.describe().fields['projectId']).toEqual({ type: 'integer', nullable: false, optional: true })
})

test.each<[string, Filter, number[]]>([
  ['one project', where('projectId', 'eq', 20), [2, 3]],
  ['some projects', where('projectId', 'in', [10, 20]), [1, 2, 3]],
  ['a project with no tasks', where('projectId', 'eq', 30), []],
  ['a task of the project', all(where('taskId', 'eq', 2), where('projectId', 'in', [20])), [2]],
  ['a task of another project', all(where('taskId', 'eq', 1), where('projectId', 'in', [20])), []],
  ['a comment of the project', all(where('id', 'in', [1, 2]), where('projectId', 'eq', 20)), [2]],
  ['nested', all(anyOf(where('projectId', 'eq', 10), where('id', 'eq', 3)), where('taskId', 'in', [1, 2, 3])), [1, 3]],
  ['not of the project', { type: 'compare', field: 'projectId', operator: 'ne', value: 20 }, [1]],
  ['no project at all', where('taskId', 'eq', 1), [1]],
])('a filter on %s', async (_, filter, ids) => {
  const { store } = board()
  expect((await store.find({ where: filter, order })).map(({ id }) => id)).toEqual(ids)
})

test('follow a task that moves', async () => {
  const { store, tasks } = board()
  tasks.update(2, { projectId: 10 })
  const rows = await store.find({ where: where('projectId', 'eq', 10), order })
  expect(rows).toMatchObject([
    { id: 1, projectId: 10 },
    { id: 2, projectId: 10 },
  ])
})

test('are of no project once their task is gone', async () => {
  const { store, tasks } = board()
  tasks.delete(1)
  expect(await store.read([1])).toMatchObject([{ projectId: 0 }])
})

test('a write is held to the project', async () => {
  const { store, comments } = board()
  expect(await store.update(1, { text: 'x' }, where('projectId', 'in', [20]))).toBeNull()
  expect(await store.delete(1, where('projectId', 'in', [20]))).toBeNull()
  expect(comments.find()).toHaveLength(3)
  const updated = await store.update(1, { text: 'x' }, where('projectId', 'in', [10]))
  expect(updated?.row).toMatchObject({ text: 'x', projectId: 10 })
  expect(await store.delete(1, where('projectId', 'in', [10]))).not.toBeNull()
  expect(comments.find()).toHaveLength(2)
})
