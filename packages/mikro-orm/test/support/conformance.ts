import { type StoreFactory, storeSuite } from '@rtapi/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type RtapiMikroOrm, rtapiMikroOrm } from '../../src/index.ts'
import { type DatabaseName, type TestOrm, missing, openOrm } from './databases.ts'
import { Thing } from './entities.ts'

/** Tries the store and the change source on a database. */
export async function tryConformance(database: DatabaseName, options: Omit<StoreFactory, 'open'> = {}): Promise<void> {
  const reason = await missing(database)
  describe.skipIf(reason !== undefined)(`on ${database}${reason === undefined ? '' : ` (${reason})`}`, () => {
    let orm: TestOrm
    let live: RtapiMikroOrm
    beforeAll(async () => {
      orm = await openOrm(database)
      live = rtapiMikroOrm(orm, { report: () => {} })
    })
    afterAll(async () => orm.close())

    describe('the store', () => {
      const suite = storeSuite({
        ...options,
        async open() {
          await orm.em.fork().nativeDelete(Thing, {})
          return { store: live.store(Thing) }
        },
      })
      for (const { name, run } of suite) test(name, run)
    })
  })
}
