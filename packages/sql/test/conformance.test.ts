import { storeSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { NodeSqliteStore } from './support/node-sqlite-store.ts'

describe('a store without an ORM', () => {
  const suite = storeSuite({
    decimalDigits: { most: 15, reason: 'SQLite keeps decimals as doubles' },
    open: () => ({ store: new NodeSqliteStore() }),
  })
  for (const { name, run } of suite) test(name, run)
})
