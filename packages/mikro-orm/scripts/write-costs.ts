/**
 * What captures and the outbox cost plain writes of MikroORM on PostgreSQL, as ratios to MikroORM alone:
 * `node --conditions=rtapi-source packages/mikro-orm/scripts/write-costs.ts [writes]`.
 */
import { MikroORM, PostgreSqlDriver } from '@mikro-orm/postgresql'
import { compareWriteCosts } from '../../../test/write-costs.ts'
import { rtapiMikroOrm } from '../src/index.ts'
import { Thing } from '../test/support/entities.ts'

await compareWriteCosts(import.meta.filename, async (clientUrl, mode) => {
  const dbName = `mikro_orm_${process.pid}`
  const orm = await MikroORM.init({ driver: PostgreSqlDriver, entities: [Thing], clientUrl, dbName })
  await orm.schema.ensureDatabase()
  await orm.schema.create()
  if (mode !== 'alone') {
    const live = rtapiMikroOrm(orm, { outbox: mode === 'outbox' })
    await live.outbox?.install()
    await live.changes().start(() => Promise.resolve(true))
  }
  let id = 1
  const row = () => ({ id: id++, text: 'text', done: false, version: 1 })
  const text = () => ({ text: `text ${Math.random()}` })
  await orm.em.fork().insert(Thing, row())
  return {
    async 'a flush that creates a record'() {
      const em = orm.em.fork()
      em.create(Thing, row())
      await em.flush()
    },
    async 'a flush that changes a record'() {
      const em = orm.em.fork()
      em.assign(em.getReference(Thing, 1), text())
      await em.flush()
    },
    async 'a flush that creates ten records'() {
      const em = orm.em.fork()
      for (let i = 0; i < 10; i++) em.create(Thing, row())
      await em.flush()
    },
    'an update by key, outside of any transaction': () => orm.em.fork().nativeUpdate(Thing, { id: 1 }, text()),
  }
})
