import { type Api, type PresenceWrite, createApi } from '@rtapi/core'
import { type TestSessions, type TestUser, testSessions } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type RedisLayer, redisLayer } from '../src/index.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'
import { watchRejections } from './support/unhandled-rejections.ts'

allowForBusyMachine()

let redis: RedisServer
let rejections: ReturnType<typeof watchRejections>
let sessions: TestSessions<TestUser>
const apis: Api[] = []
const layers: RedisLayer[] = []

beforeEach(async () => {
  rejections = watchRejections()
  redis = await startRedis()
  sessions = testSessions()
})

afterEach(async () => {
  await Promise.all(apis.splice(0).map((api) => api.close()))
  await Promise.all(layers.splice(0).map((layer) => layer.close()))
  await redis.stop()
  expect(await rejections.stop()).toEqual([])
})

async function openLayer(): Promise<RedisLayer> {
  const layer = redisLayer(redis.url, { timeout: 10_000 })
  await layer.open({ deliver: () => {}, lost: () => {} })
  layers.push(layer)
  return layer
}

async function start(): Promise<Api> {
  const api = createApi({
    resources: [],
    layer: redisLayer(redis.url, { timeout: 10_000 }),
    limits: { layerTimeout: 10_000 },
    report: () => {},
    authenticate: (handshake) => sessions.authenticate(handshake),
  })
  apis.push(api)
  await api.ready
  return api
}

function said(values: Readonly<Record<string, string>>, anew = false): PresenceWrite {
  return { process: 'p', values: new Map(Object.entries(values)), ttl: 60_000, anew }
}

const [HASH, LIST] = ['rtapi:{presence:p}', 'rtapi:{presence}:processes']

describe('what a process has said', () => {
  test('is said anew after a server came back with something older', async () => {
    const { presence } = await openLayer()
    expect(await presence.write(said({ user: 'old' }, true))).toBe(true)
    await redis.command('COPY', HASH, 'copy')
    expect(await presence.write(said({ user: 'new' }))).toBe(true)
    await redis.command('COPY', 'copy', HASH, 'REPLACE')
    expect(await presence.write(said({ other: 'x' }))).toBe(false)
    expect(await presence.write(said({ user: 'new', other: 'x' }, true))).toBe(true)
    expect((await presence.read('all')).get('p')).toEqual(
      new Map([
        ['user', 'new'],
        ['other', 'x'],
      ]),
    )
  })

  test('is said anew where somebody else has put something else', async () => {
    const { presence } = await openLayer()
    await presence.write(said({ user: '1' }, true))
    await redis.command('SET', HASH, 'nonsense')
    await redis.command('SET', LIST, 'nonsense')
    await expect(presence.read('all')).rejects.toMatchObject({ code: 'unavailable' })
    expect(await presence.write(said({}))).toBe(false)
    expect(await presence.write(said({ user: '1' }, true))).toBe(true)
    expect((await presence.read(['user'])).get('p')).toEqual(new Map([['user', '1']]))
  })

  test('ends by itself in Redis, and the list of processes with it', async () => {
    const { presence } = await openLayer()
    await presence.write({ ...said({ user: '1' }, true), ttl: 100 })
    await eventually(async () => expect(await redis.command('KEYS', '*presence*')).toEqual([]))
  })

  test('rejects in time while Redis stands still', async () => {
    const layer = redisLayer(redis.url, { timeout: 200 })
    layers.push(layer)
    await layer.open({ deliver: () => {}, lost: () => {} })
    redis.freeze()
    const { presence } = layer
    await expect(presence.write(said({}, true))).rejects.toMatchObject({ code: 'unavailable' })
    await expect(presence.read('all')).rejects.toMatchObject({ code: 'unavailable' })
    redis.thaw()
  })
})

describe('the connections of several processes', () => {
  async function users(api: Api): Promise<unknown> {
    const { connections, complete } = await api.sessions.list({ everyone: true })
    return { users: connections.map(({ user }) => Number(user)).toSorted((a, b) => a - b), complete }
  }

  test('are listed, and all is known again after Redis has lost everything', async () => {
    const [one, two] = [await start(), await start()]
    const [ann, bob] = [await sessions.createUser(), await sessions.createUser()]
    await sessions.connectAs(one, ann)
    await sessions.connectAs(two, bob)
    const all = { users: [ann.id, bob.id], complete: true }
    for (const api of [one, two]) await eventually(async () => expect(await users(api)).toEqual(all))
    await redis.command('FLUSHALL')
    expect(await users(one)).toEqual({ users: [ann.id], complete: false })
    for (const api of [one, two]) await eventually(async () => expect(await users(api)).toEqual(all))
    await two.close()
    expect(await users(one)).toEqual({ users: [ann.id], complete: true })
    await one.close()
    expect(await redis.command('KEYS', '*presence*')).toEqual([])
  })

  test('are accepted and closed while Redis stands still', async () => {
    const [one, two] = [await start(), await start()]
    const ann = await sessions.createUser()
    const gone = await sessions.connectAs(one, ann)
    redis.freeze()
    const client = await sessions.connectAs(one, ann)
    expect(client.welcome).toMatchObject({ user: ann.id })
    await gone.close()
    redis.thaw()
    await eventually(async () => {
      const { connections } = await two.sessions.list({ user: ann.id })
      expect(connections.map(({ connection }) => connection)).toEqual([client.welcome?.connection])
    })
  })
})
