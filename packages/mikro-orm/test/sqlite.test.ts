import { storeSuite } from '@rtapi/testing'
import { describe, test } from 'vitest'
import { rtapiMikroOrm } from '../src/index.ts'
import { openSqlite } from './support/databases.ts'
import { Thing } from './support/entities.ts'

describe('the store on SQLite', () => {
  const suite = storeSuite({
    decimalDigits: { most: 15, reason: 'SQLite keeps decimals as doubles' },
    async open() {
      const orm = await openSqlite()
      return { store: rtapiMikroOrm(orm).store(Thing), close: async () => orm.close() }
    },
  })
  for (const { name, run } of suite) test(name, run)
})
