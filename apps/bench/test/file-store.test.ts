import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ChangeBatch, Filter } from '@rtapi/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FileStore } from '../src/targets/file-store.ts'
import { makeItem } from '../src/workload.ts'

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rtapi-bench-'))
})
afterEach(() => rm(folder, { recursive: true }))

const equals = (field: string, value: number): Filter => ({ type: 'compare', field, operator: 'eq', value })
const atLeast = (field: string, value: number): Filter => ({ type: 'compare', field, operator: 'gte', value })

test('what one process has written, another reads', () => {
  const one = new FileStore(folder, 3)
  const other = new FileStore(folder, 3)
  one.update(2, { revision: 1, at: 123_456_789 })
  expect(other.read([2, 3, 4])).toEqual([{ ...makeItem(2), revision: 1, at: 123_456_789 }, makeItem(3)])
  one.update(2, { at: 1 })
  expect(other.read([2])).toEqual([{ ...makeItem(2), revision: 1, at: 1 }])
})

test('finds by key, by other fields, and at most so many', () => {
  const store = new FileStore(folder, 5)
  const order = [['id', 'asc', 'integer']] as const
  const ids = (where: Filter, limit?: number): number[] =>
    store.find({ where, order, ...(limit === undefined ? {} : { limit }) }).map(({ id }) => id)
  expect(ids(equals('id', 4))).toEqual([4])
  expect(ids({ type: 'and', filters: [equals('id', 4), atLeast('price', 1e6)] })).toEqual([])
  expect(ids(atLeast('topic', 3))).toEqual([3, 4, 5])
  expect(ids(atLeast('topic', 3), 2)).toEqual([3, 4])
})

test('announces each update with the item before and after, and none of what is not there', () => {
  const store = new FileStore(folder, 2)
  const batches: ChangeBatch[] = []
  store.start((batch) => batches.push(batch))
  const written = store.update(1, { revision: 1 })
  expect(store.update(3, { revision: 1 })).toBeNull()
  store.stop()
  store.update(1, { revision: 2 })
  const after = { ...makeItem(1), revision: 1 }
  expect(written?.row).toEqual(after)
  expect(batches).toEqual([
    {
      tx: written?.tx,
      changes: [{ type: 'change', entity: 'item', key: 1, action: 'update', before: makeItem(1), after }],
    },
  ])
})
