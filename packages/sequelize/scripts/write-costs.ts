/**
 * What captures and the outbox cost plain writes of Sequelize on PostgreSQL, as ratios to Sequelize alone:
 * `node --conditions=rtapi-source packages/sequelize/scripts/write-costs.ts [writes]`.
 */
import { Sequelize } from 'sequelize'
import { compareWriteCosts } from '../../../test/write-costs.ts'
import { rtapiSequelize } from '../src/index.ts'
import { defineModels } from '../test/support/models.ts'

await compareWriteCosts(import.meta.filename, async (server, mode) => {
  const name = `sequelize_${process.pid}`
  const admin = new Sequelize(`${server}/postgres`, { logging: false })
  await admin.query(`create database ${name}`)
  await admin.close()
  const sequelize = new Sequelize(`${server}/${name}`, { logging: false })
  const { Thing } = defineModels(sequelize)
  await Thing.sync()
  if (mode !== 'alone') {
    const live = rtapiSequelize(sequelize, { outbox: mode === 'outbox' })
    await live.outbox?.install()
    await live.changes().start(() => Promise.resolve(true))
  }
  let id = 1
  const row = () => ({ id: id++, text: 'text', done: false, version: 1 })
  const text = () => ({ text: `text ${Math.random()}` })
  const thing = await Thing.create(row())
  return {
    'a record that is created': () => Thing.create(row()),
    'a record that is changed': () => thing.update(text()),
    'a transaction that changes a record': () =>
      sequelize.transaction((transaction) => thing.update(text(), { transaction })),
    'ten records that are created at once': () => Thing.bulkCreate(Array.from({ length: 10 }, row)),
    'an update by key': () => Thing.update(text(), { where: { id: 1 } }),
  }
})
