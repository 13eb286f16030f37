import { memoryStore } from '@rtapi/core'
import { type Thing, storeSuite, thingFields } from '@rtapi/testing'
import { describe, test } from 'vitest'

const cases = storeSuite({
  open: () => ({ store: memoryStore<Thing>({ entity: 'things', fields: thingFields, unique: [['code']] }) }),
})

describe('the memory store is a store', () => {
  for (const { name, run } of cases) test(name, run)
})
