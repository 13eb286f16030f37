import { allowAny, createApi, defineResource, groupBy, memoryStore } from '@rtapi/core'
import { connect } from '@rtapi/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { redisLayer } from '../src/index.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'
import { watchRejections } from './support/unhandled-rejections.ts'

allowForBusyMachine()

type Note = { readonly id: number; readonly topic: number; readonly text: string }

let redis: RedisServer
let rejections: ReturnType<typeof watchRejections>

beforeEach(async () => {
  rejections = watchRejections()
  redis = await startRedis()
})

afterEach(async () => {
  await redis.stop()
  expect(await rejections.stop()).toEqual([])
})

function start() {
  const store = memoryStore<Note>({ entity: 'Note', fields: { id: 'integer', topic: 'integer', text: 'string' } })
  const notes = defineResource('notes', {
    store,
    input: { create: ['topic', 'text'], update: ['text'] },
    groups: groupBy('topic'),
    permissions: [allowAny],
  })
  const reports: string[] = []
  const layer = redisLayer(redis.url, { timeout: 500, checkInterval: 150, probeInterval: 200 })
  const api = createApi({
    resources: [notes],
    changes: [store],
    layer,
    report: (_, { during }) => void reports.push(during),
    limits: { layerTimeout: 500, ownWriteTimeout: 500 },
  })
  return { store, layer, api, reports }
}

test.each(['killed', 'frozen'])('while Redis is %s, requests and views of this process go on', async (how) => {
  const { store, layer, api, reports } = start()
  const client = await connect(api, { timeout: 60_000 })
  const view = await client.subscribe({ resource: 'notes', where: { topic: 1 } })
  if (how === 'killed') await redis.kill()
  else redis.freeze()
  await eventually(() => expect(layer.stats().connections).toBe(0))

  const create = { resource: 'notes', action: 'create', data: { topic: 1, text: 'new' } } as const
  expect(await client.request(create)).toMatchObject({ ok: true, key: 1 })
  await view.until(([row]) => row?.['text'] === 'new')
  expect(await client.request({ resource: 'notes', action: 'get', key: 1 })).toMatchObject({ ok: true })
  const update = { resource: 'notes', action: 'update', key: 1, data: { text: 'changed' } } as const
  expect(await client.request(update)).toMatchObject({ ok: true })
  await view.until(([row]) => row?.['text'] === 'changed')
  expect(await client.request({ resource: 'notes', action: 'list' })).toMatchObject({ ok: true, rows: [{ key: 1 }] })

  // Somebody new sees a view whose group the process is in already.
  const other = await connect(api, { timeout: 60_000 })
  expect((await other.subscribe({ resource: 'notes', where: { topic: 1 } })).rows).toHaveLength(1)
  // Of another group it could not be known whether everything comes: the client is told to try again.
  await expect(other.subscribe({ resource: 'notes', where: { topic: 2 } })).rejects.toMatchObject({
    code: 'unavailable',
  })

  expect(await client.request({ resource: 'notes', action: 'delete', key: 1 })).toMatchObject({ ok: true })
  await view.until((rows) => rows.length === 0)
  expect(reports).toContain('layer.publish')

  if (how === 'killed') await redis.start()
  else redis.thaw()
  await eventually(() => expect(layer.stats()).toMatchObject({ unsent: 0, connections: 1 }))
  const late = await eventually(() => other.subscribe({ resource: 'notes', where: { topic: 2 } }))
  store.create({ topic: 2, text: 'after' })
  await late.until((rows) => rows.length === 1)
  await api.close()
})

test('a process that is started without Redis says so, and can be closed', async () => {
  await redis.kill()
  const { api, reports } = start()
  await expect(api.ready).rejects.toMatchObject({ code: 'unavailable' })
  expect(reports).toEqual(['start'])
  await api.close()
})
