import { type MemoryAccess, memoryStore } from '@rtapi/core'
import {
  type PathName,
  type Thing,
  type ThingWriter,
  changeSourceSuite,
  pathNames,
  thing,
  thingFields,
} from '@rtapi/testing'
import { describe, test } from 'vitest'

const absent = { absent: 'a memory store writes each record by itself' }

function writerOf(access: MemoryAccess<Thing>): ThingWriter {
  return {
    create: async (data) => access.create(data),
    update: async (id, patch) => access.update(id, patch),
    remove: async (id) => access.delete(id),
    transaction: (work) => access.transaction((inner) => work(writerOf(inner))),
  }
}

const cases = changeSourceSuite({
  open() {
    const store = memoryStore<Thing>({ entity: 'things', fields: thingFields, unique: [['code']] })
    return { source: store, store, writer: writerOf(store), readCommitted: (id) => store.read([id])[0] }
  },
  concurrent: true,
  failingCommit: (writer) =>
    writer.transaction(async (inner) => {
      await inner.update(1, { code: 'taken' })
      await inner.create(thing({ id: 4, code: 'taken' }))
    }),
  paths: Object.fromEntries(pathNames.map((name) => [name, absent])) as Record<PathName, typeof absent>,
})

describe('the memory store is a change source', () => {
  for (const { name, run } of cases) test(name, run)
})
