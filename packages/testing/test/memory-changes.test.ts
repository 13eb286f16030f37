import { memoryStore } from '@rtapi/core'
import { type Thing, changeSourceSuite, thingFields } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { failingCommit, memoryWriter, noPaths } from './support/memory-writer.ts'

const cases = changeSourceSuite({
  open() {
    const store = memoryStore<Thing>({ entity: 'things', fields: thingFields, unique: [['code']] })
    return { source: store, store, writer: memoryWriter(store), readCommitted: (id) => store.read([id])[0] }
  },
  concurrent: true,
  failingCommit,
  paths: noPaths,
})

describe('the memory store is a change source', () => {
  for (const { name, run } of cases) test(name, run)
})
