import { type ChangeSourceFactory, type StoreFactory, storeSuite } from '@rtapi/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { tryChangeSource } from '../../../../test/write-paths/try-change-source.ts'
import { type RtapiSequelize, rtapiSequelize } from '../../src/index.ts'
import { type DatabaseName, type TestDatabase, missing, openDatabase } from './databases.ts'
import { SequelizeWriter } from './sequelize-writer.ts'
import { writePaths } from './write-paths.ts'

/** What differs from database to database. */
export type Peculiarities = Pick<StoreFactory, 'decimalDigits'> &
  Pick<ChangeSourceFactory<SequelizeWriter>, 'concurrent' | 'failingCommit'>

/** Tries the store and the change source on a database. */
export async function tryConformance(name: DatabaseName, { decimalDigits, ...rest }: Peculiarities): Promise<void> {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(`on ${name}${reason === undefined ? '' : ` (${reason})`}`, () => {
    describe('the store', () => {
      let database: TestDatabase
      let live: RtapiSequelize
      beforeAll(async () => {
        database = await openDatabase(name)
        live = rtapiSequelize(database.sequelize, { report: () => {} })
      })
      afterAll(async () => database.close())

      const suite = storeSuite({
        ...(decimalDigits && { decimalDigits }),
        async open() {
          await database.clear()
          return { store: live.store(database.models.Thing) }
        },
      })
      for (const { name, run } of suite) test(name, run)
    })

    describe.each(['without', 'with'] as const)('the change source %s an outbox', (outbox) => {
      let database: TestDatabase
      let live: RtapiSequelize
      let other: RtapiSequelize
      beforeAll(async () => {
        database = await openDatabase(name)
        live = rtapiSequelize(database.sequelize, { report: () => {}, outbox: outbox === 'with' })
        other = rtapiSequelize(database.other, { report: () => {} })
        await live.outbox?.install()
      })
      afterAll(async () => {
        live.stop()
        await database.close()
      })

      tryChangeSource('sequelize', name, {
        ...rest,
        entity: 'Thing',
        paths: writePaths(name),
        async open() {
          await database.clear()
          // What the case before has written after it had stopped its source.
          if (live.outbox !== undefined) await database.other.query('delete from rtapi_outbox')
          return {
            source: live.changes(),
            writer: new SequelizeWriter(database),
            store: live.store(database.models.Thing),
            readCommitted: async (id: number) => (await other.store(database.otherModels.Thing).read([id]))[0],
            uncaptured: () => live.uncaptured().reduce((sum, { count }) => sum + count, 0),
          }
        },
      })
    })
  })
}
