/**
 * What captures and the outbox cost a plain write on PostgreSQL, as a ratio to MikroORM alone:
 * `node --conditions=rtapi-source packages/mikro-orm/scripts/outbox-cost.ts [rounds]`.
 * The server runs without fsync on the same machine, where the share is largest.
 */
import { MikroORM, PostgreSqlDriver } from '@mikro-orm/postgresql'
import { startPostgres } from '../../../test/services/postgres.ts'
import { rtapiMikroOrm } from '../src/index.ts'
import { Thing } from '../test/support/entities.ts'

const WRITES = 10
const rounds = Number(process.argv[2] ?? 200)
const service = await startPostgres()

async function open(dbName: string, outbox?: boolean) {
  const orm = await MikroORM.init({ driver: PostgreSqlDriver, entities: [Thing], clientUrl: service.url, dbName })
  await orm.schema.ensureDatabase()
  await orm.schema.create()
  if (outbox === undefined) return orm
  const live = rtapiMikroOrm(orm, { outbox })
  await live.outbox?.install()
  await live.changes().start(() => Promise.resolve(true))
  return orm
}

const orms = { alone: await open('alone'), captures: await open('captures', false), outbox: await open('outbox', true) }

let id = 0
const kinds: Readonly<Record<string, (orm: MikroORM) => Promise<unknown>>> = {
  'a flush that creates a record': async (orm) => {
    id += 1
    const em = orm.em.fork()
    em.create(Thing, { id, text: 'text', done: false, version: 1 })
    await em.flush()
  },
  'a flush that changes a record': async (orm) => {
    const em = orm.em.fork()
    em.assign(em.getReference(Thing, 1), { text: `text ${Math.random()}` })
    await em.flush()
  },
  'a transaction of ten records': async (orm) => {
    const em = orm.em.fork()
    for (let i = 0; i < 10; i++) em.create(Thing, { id: ++id, text: 'text', done: false, version: 1 })
    await em.flush()
  },
  'an update outside of any transaction': (orm) =>
    orm.em.fork().nativeUpdate(Thing, { id: 1 }, { text: `text ${Math.random()}` }),
}

/** What a quarter is quicker than, since whatever else the machine does makes it only slower. */
const quartile = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? 0

for (const [kind, write] of Object.entries(kinds)) {
  const times: Record<string, number[]> = { alone: [], captures: [], outbox: [] }
  // The first round warms up. In turn, so that what else the machine does concerns all.
  for (let round = 0; round <= rounds; round++) {
    for (const [name, orm] of Object.entries(orms)) {
      const start = performance.now()
      for (let i = 0; i < WRITES; i++) await write(orm)
      if (round > 0) times[name]?.push((performance.now() - start) / WRITES)
    }
  }
  const [alone, captures, outbox] = ['alone', 'captures', 'outbox'].map((name) => quartile(times[name] ?? []))
  if (alone === undefined || captures === undefined || outbox === undefined) continue
  console.log(
    `${kind}: ${alone.toFixed(2)} ms alone; captures × ${(captures / alone).toFixed(2)}, with the outbox × ${(outbox / alone).toFixed(2)} (× ${(outbox / captures).toFixed(2)} of captures)`,
  )
}

await Promise.all(Object.values(orms).map((orm) => orm.close()))
await service.stop()
process.exit()
