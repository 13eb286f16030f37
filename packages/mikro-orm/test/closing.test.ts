import { expect, test } from 'vitest'
import { rtapiMikroOrm } from '../src/index.ts'
import { missing, openDatabase } from './support/databases.ts'

const reason = await missing('postgres')

test.skipIf(reason !== undefined)('closing waits for a connection that is on its way', async () => {
  const database = await openDatabase('postgres')
  const { orm } = database
  const live = rtapiMikroOrm(orm)
  const ask = () => orm.em.fork().execute('select 1 as one')
  // Whatever is in the pool is taken, so that the next question opens a connection.
  const em = orm.em.fork()
  await em.begin()
  const first = ask()
  await new Promise(setImmediate)
  const closed = orm.close()
  await expect(ask()).rejects.toThrow('destroyed')
  expect(await first).toMatchObject([{ one: 1 }])
  await em.commit()
  await closed
  // MikroORM opens it again for whoever asks.
  expect(await ask()).toMatchObject([{ one: 1 }])
  live.stop()
  await database.close()
})
