import { describe } from 'vitest'
import { type Peculiarities, tryOrm } from '../../../../test/try-orm.ts'
import { rtapiMikroOrm } from '../../src/index.ts'
import { type DatabaseName, missing, openDatabase } from './databases.ts'
import { Thing, namedDependents } from './entities.ts'
import { MikroWriter } from './mikro-writer.ts'
import { writePaths } from './write-paths.ts'

/** Tries the store and the change source on a database. */
export async function tryConformance(name: DatabaseName, peculiarities: Peculiarities<MikroWriter>): Promise<void> {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(`on ${name}${reason === undefined ? '' : ` (${reason})`}`, () => {
    tryOrm(name, { name: 'mikro-orm', paths: writePaths(name), open: (options) => open(name, options) }, peculiarities)
  })
}

async function open(name: DatabaseName, { outbox }: { readonly outbox: boolean }) {
  const database = await openDatabase(name)
  const live = rtapiMikroOrm(database.orm, {
    report: () => {},
    outbox,
    cascades: namedDependents,
    coarseKeys: 500,
  })
  return {
    live,
    store: live.store(Thing),
    other: rtapiMikroOrm(database.other, { report: () => {} }).store(Thing),
    writer: () => new MikroWriter(database.orm),
    async clear() {
      await database.clear()
      if (outbox) await database.other.em.execute('delete from rtapi_outbox')
    },
    close: () => database.close(),
  }
}
