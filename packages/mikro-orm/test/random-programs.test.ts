import { TransactionPropagation } from '@mikro-orm/core'
import type { Key } from '@rtapi/core'
import type { SqlEntityManager } from '@mikro-orm/sql'
import { AnnouncedRecords, type ProgramSubject, runRandomProgram, seedsFrom } from '@rtapi/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rtapiMikroOrm } from '../src/index.ts'
import { type DatabaseName, type TestDatabase, type TestOptions, missing, openDatabase } from './support/databases.ts'
import { namedDependents, tables } from './support/entities.ts'
import { LiveViews } from './support/live-views.ts'
import { fillForPrograms, programSteps } from './support/program-steps.ts'

const allSeeds = seedsFrom(process.env['SEEDS'], [5, 8, 14, 18, 33, 49])

type Em = SqlEntityManager

/** A new connection to the database, as far as it is used here. */
interface Connection {
  executeQuery(query: { readonly sql: string; readonly parameters: readonly unknown[] }): Promise<unknown>
}

/** Locks that another transaction of the same program holds must fail, since it waits for this one. */
const impatience: Readonly<Record<DatabaseName, string | undefined>> = {
  sqlite: undefined,
  postgres: "set lock_timeout = '100ms'",
  mariadb: 'set innodb_lock_wait_timeout = 1',
}

const refusingTrigger: Readonly<Record<DatabaseName, readonly string[]>> = {
  sqlite: ["create trigger refuse before insert on label when new.id = 6 begin select raise(abort, 'refused'); end"],
  postgres: [
    "create function refuse() returns trigger language plpgsql as $$ begin if new.id = 6 then raise 'refused'; end if; return new; end $$",
    'create trigger refuse before insert on label for each row execute function refuse()',
    'alter table item alter constraint item_shelf_id_foreign deferrable initially immediate',
  ],
  mariadb: [
    "create trigger refuse before insert on label for each row if new.id = 6 then signal sqlstate '45000'; end if",
  ],
}

async function open(name: DatabaseName): Promise<TestDatabase> {
  const set = impatience[name]
  const options: TestOptions =
    set === undefined
      ? {}
      : {
          onCreateConnection: async (connection) => {
            await (connection as Connection).executeQuery({ sql: set, parameters: [] })
          },
        }
  const database = await openDatabase(name, options)
  for (const sql of refusingTrigger[name]) await database.other.em.execute(sql)
  return database
}

function subjectOn(name: DatabaseName, { orm }: TestDatabase): ProgramSubject<Em> {
  return {
    steps: programSteps(name),
    separate: name !== 'sqlite',
    writer: () => orm.em.fork(),
    async transaction(em, kind, work) {
      const propagation = kind === 'separate' ? TransactionPropagation.REQUIRES_NEW : TransactionPropagation.NESTED
      await em.transactional(async (inner) => work(inner), { propagation })
    },
  }
}

/** Whether a record is committed, by the name of its entity. */
function lookupIn({ other }: TestDatabase): (entity: string, key: Key) => Promise<boolean> {
  const metas = new Map([...other.getMetadata().getAll().values()].map((meta) => [meta.className, meta]))
  return async (entity, key) => {
    const meta = metas.get(entity)
    if (meta === undefined) throw new Error(`there is no entity ${entity}`)
    const columns = meta.getPrimaryProps().map(({ fieldNames }) => fieldNames[0] ?? '')
    const sql = `select 1 from ${meta.tableName} where ${columns.map((column) => `${column} = ?`).join(' and ')}`
    return (await other.em.fork().execute<unknown[]>(sql, [key].flat())).length > 0
  }
}

const everywhere = (['sqlite', 'postgres', 'mariadb'] as const).flatMap((name) => [
  { name, outbox: false, seeds: allSeeds },
  { name, outbox: true, seeds: allSeeds.slice(0, Math.ceil(allSeeds.length / 2)) },
])

describe.each(everywhere)('random programs on $name, outbox $outbox', async ({ name, outbox, seeds }) => {
  const reason = await missing(name)
  describe.skipIf(reason !== undefined)(reason ?? 'each database by itself', () => {
    let database: TestDatabase
    let twin: TestDatabase
    let views: LiveViews
    let records = new AnnouncedRecords(() => Promise.resolve(true))
    let undo: () => void
    beforeAll(async () => {
      database = await open(name)
      twin = await open(name)
      const live = rtapiMikroOrm(database.orm, { report: () => {}, cascades: namedDependents, coarseKeys: 5, outbox })
      await live.outbox?.install()
      const source = live.changes()
      await source.start((batch) => records.receive(batch))
      views = await LiveViews.open(live)
      undo = () => live.stop()
    })
    afterAll(async () => {
      undo()
      await views.close()
      await Promise.all([database.close(), twin.close()])
    })

    /** Through the MikroORM that is watched, so that the views hear of it. */
    const begin = async (): Promise<void> => {
      for (const { orm } of [database, twin]) {
        for (const table of tables) await orm.em.fork().execute('delete from ??', [table])
        await fillForPrograms(orm.em.fork())
      }
    }

    test.each(seeds)('of seed %i', { timeout: 60_000 }, async (seed) => {
      await begin()
      records = new AnnouncedRecords(lookupIn(database))
      const subject = {
        ...subjectOn(name, database),
        async committed() {
          expect(await records.uncommitted(), `announced by the program of seed ${seed}`).toEqual([])
        },
      }
      const log = await runRandomProgram(subject, seed)
      const other = await runRandomProgram(subjectOn(name, twin), seed)
      // What MariaDB locks depends on how far it has cleared up what was deleted before.
      const isLocked = [...log, ...other].some((line) => line.includes('ER_LOCK_WAIT_TIMEOUT'))
      if (!isLocked) expect(log).toEqual(other)
      await views.untilTrue(database.other).catch((error: unknown) => {
        throw new Error(`after ${log.join('\n')}`, { cause: error })
      })
    })

    test.each(seeds)('by two at once, of seed %i', { timeout: 60_000 }, async (seed) => {
      await begin()
      records = new AnnouncedRecords(lookupIn(database), { anyOrder: true })
      const subject = { ...subjectOn(name, database), separate: false }
      await Promise.all([seed, seed + 1_000_000].map(async (one) => runRandomProgram(subject, one)))
      expect(await records.uncommitted()).toEqual([])
      await views.untilTrue(database.other)
    })
  })
})
