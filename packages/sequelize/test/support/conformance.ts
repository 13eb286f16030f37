import { Transaction } from 'sequelize'
import { describe } from 'vitest'
import { type Peculiarities, tryOrm } from '../../../../test/try-orm.ts'
import { rtapiSequelize } from '../../src/index.ts'
import { type DatabaseName, missing, openDatabase } from './databases.ts'
import { SequelizeWriter } from './sequelize-writer.ts'
import { writePaths } from './write-paths.ts'

/** Tries the store and the change source on a database. */
export async function tryConformance(name: DatabaseName, peculiarities: Peculiarities<SequelizeWriter>): Promise<void> {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(`on ${name}${reason === undefined ? '' : ` (${reason})`}`, () => {
    tryOrm(name, { name: 'sequelize', paths: writePaths(name), open: (options) => open(name, options) }, peculiarities)
  })
}

async function open(name: DatabaseName, { outbox }: { readonly outbox: boolean }) {
  // As the README says: a transaction that reads first could not write once rows of the outbox have been removed meanwhile.
  const immediate = name === 'sqlite' && outbox
  const database = await openDatabase(name, immediate ? { transactionType: Transaction.TYPES.IMMEDIATE } : {})
  const live = rtapiSequelize(database.sequelize, { report: () => {}, outbox })
  const { Thing } = database.models
  return {
    live,
    store: live.store(Thing),
    other: rtapiSequelize(database.other, { report: () => {} }).store(database.otherModels.Thing),
    writer: () => new SequelizeWriter(database),
    async clear() {
      await database.clear()
      if (outbox) await database.other.query('delete from rtapi_outbox')
    },
    close: () => database.close(),
  }
}
