import { type ChangeSourceFactory, type StoreFactory, storeSuite } from '@rtapi/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { tryChangeSource } from '../../../../test/write-paths/try-change-source.ts'
import { type RtapiMikroOrm, rtapiMikroOrm } from '../../src/index.ts'
import { type DatabaseName, type TestDatabase, missing, openDatabase } from './databases.ts'
import { Thing, namedDependents } from './entities.ts'
import { MikroWriter } from './mikro-writer.ts'
import { writePaths } from './write-paths.ts'

/** What differs from database to database. */
export type Peculiarities = Pick<StoreFactory, 'decimalDigits'> &
  Pick<ChangeSourceFactory<MikroWriter>, 'concurrent' | 'failingCommit'>

/** Tries the store and the change source on a database. */
export async function tryConformance(name: DatabaseName, { decimalDigits, ...rest }: Peculiarities): Promise<void> {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(`on ${name}${reason === undefined ? '' : ` (${reason})`}`, () => {
    describe('the store', () => {
      let database: TestDatabase
      let live: RtapiMikroOrm
      beforeAll(async () => {
        database = await openDatabase(name)
        live = rtapiMikroOrm(database.orm, { report: () => {} })
      })
      afterAll(async () => database.close())

      const suite = storeSuite({
        ...(decimalDigits && { decimalDigits }),
        async open() {
          await database.clear()
          return { store: live.store(Thing) }
        },
      })
      for (const { name: title, run } of suite) test(title, run)
    })

    describe.each(['without', 'with'] as const)('the change source %s an outbox', (outbox) => {
      let database: TestDatabase
      let live: RtapiMikroOrm
      let other: RtapiMikroOrm
      beforeAll(async () => {
        database = await openDatabase(name)
        live = rtapiMikroOrm(database.orm, {
          report: () => {},
          cascades: namedDependents,
          coarseKeys: 500,
          outbox: outbox === 'with',
        })
        other = rtapiMikroOrm(database.other, { report: () => {} })
        await live.outbox?.install()
      })
      afterAll(async () => {
        live.stop()
        await database.close()
      })

      tryChangeSource('mikro-orm', name, {
        ...rest,
        entity: 'Thing',
        paths: writePaths(name),
        async open() {
          await database.clear()
          // What the case before has written after it had stopped its source.
          if (live.outbox !== undefined) await database.other.em.execute('delete from rtapi_outbox')
          return {
            source: live.changes(),
            writer: new MikroWriter(database.orm),
            store: live.store(Thing),
            readCommitted: async (id: number) => (await other.store(Thing).read([id]))[0],
            uncaptured: () => live.uncaptured().reduce((sum, { count }) => sum + count, 0),
          }
        },
      })
    })
  })
}
