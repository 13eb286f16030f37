import { type Api, type ReportContext, createApi } from '@rtapi/core'
import { type TestClient, type TestSessions, type TestUser, testSessions } from '@rtapi/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type RedisConnection, type RedisLayer, type RedisLayerOptions, redisLayer } from '../src/index.ts'
import { allowForBusyMachine, eventually } from './support/eventually.ts'
import { type TcpProxy, tcpProxy } from './support/tcp-proxy.ts'
import { watchRejections } from './support/unhandled-rejections.ts'

allowForBusyMachine()

const REVOKED = 4440

interface Node {
  readonly api: Api
  readonly layer: RedisLayer
  readonly reports: readonly string[]
}

let redis: RedisServer
let proxy: TcpProxy
let sessions: TestSessions<TestUser>
let rejections: ReturnType<typeof watchRejections>
/** Users whose tokens are worth nothing any more. */
let banned: Set<number>
const nodes: Node[] = []

beforeEach(async () => {
  rejections = watchRejections()
  redis = await startRedis()
  proxy = await tcpProxy(redis.port)
  sessions = testSessions()
  banned = new Set()
})

afterEach(async () => {
  await Promise.all(nodes.splice(0).map(({ api }) => api.close()))
  await proxy.stop()
  await redis.stop()
  expect(await rejections.stop()).toEqual([])
})

/** One process: what it knows of sessions it has from its clients' tokens, and from Redis. */
async function start(
  connection: RedisConnection,
  { keepsPresence = true, ...options }: RedisLayerOptions & { readonly keepsPresence?: boolean } = {},
): Promise<Node> {
  const reports: string[] = []
  const report = (error: unknown, { during }: ReportContext): void => void reports.push(`${during}: ${String(error)}`)
  const layer = redisLayer(connection, { timeout: 10_000, checkInterval: 150, probeInterval: 200, report, ...options })
  if (!keepsPresence) Object.assign(layer, { presence: undefined })
  const api = createApi({
    resources: [],
    layer,
    report,
    limits: { layerTimeout: options.timeout ?? 10_000 },
    async authenticate(handshake) {
      const session = await sessions.authenticate(handshake)
      return session !== null && banned.has(session.user?.id ?? 0) ? null : session
    },
  })
  await api.ready
  nodes.push({ api, layer, reports })
  return { api, layer, reports }
}

function connectAs(api: Api, user: TestUser): Promise<TestClient> {
  return sessions.connectAs(api, user, { timeout: 60_000 })
}

function untilClosed(client: TestClient): Promise<void> {
  return eventually(() => expect(client.closed).toMatchObject({ code: REVOKED }))
}

test("ending a user's sessions on one process closes the connections of the others", async () => {
  const [one, two] = [await start(redis.url), await start(redis.url)]
  const [ann, bob] = [await sessions.createUser(), await sessions.createUser()]
  const clients = [await connectAs(one.api, ann), await connectAs(two.api, ann), await connectAs(two.api, ann)]
  const others = [await connectAs(one.api, bob), await connectAs(two.api, bob)]
  await one.api.sessions.end({ user: ann.id, reason: 'fired' })
  for (const client of clients) await untilClosed(client)
  expect(clients[2]?.closed).toMatchObject({ code: REVOKED, reason: 'fired' })
  expect(others.map(({ closed }) => closed)).toEqual([undefined, undefined])
})

test('an end that did not come as a message is a gap, and is obeyed from the log', async () => {
  const [one, two] = [await start(redis.url), await start(proxy.url)]
  const ann = await sessions.createUser()
  const client = await connectAs(two.api, ann)
  proxy.cut()
  await eventually(() => expect(two.layer.stats().connections).toBe(0))
  await one.api.sessions.end({ user: ann.id })
  expect(client.closed).toBeUndefined()
  proxy.heal()
  await untilClosed(client)
  expect(two.layer.stats()).toMatchObject({ repaired: 1, lost: 0 })
})

test('an end whose number a later message shows to be missing is obeyed from the log', async () => {
  // Nothing is compared or tried, or asked meanwhile: only the next message can tell.
  const quiet = { checkInterval: 3_600_000, probeInterval: 3_600_000, keepsPresence: false }
  const [one, two] = [await start(redis.url), await start(proxy.url, quiet)]
  const [ann, bob] = [await sessions.createUser(), await sessions.createUser()]
  const client = await connectAs(two.api, ann)
  proxy.mute()
  await one.api.sessions.end({ user: ann.id })
  await eventually(() => expect(proxy.swallowed).toBeGreaterThan(0))
  proxy.unmute()
  expect(client.closed).toBeUndefined()
  await one.api.sessions.refresh({ user: bob.id })
  await untilClosed(client)
  expect(two.layer.stats()).toMatchObject({ resumed: 0, lost: 0 })
})

test('an end that the log does not have any more is a loss: everybody is asked anew who they are', async () => {
  const history = { entries: 1 }
  const [one, two] = [await start(redis.url, { history }), await start(proxy.url, { history })]
  const [ann, bob] = [await sessions.createUser(), await sessions.createUser()]
  const [anns, bobs] = [await connectAs(two.api, ann), await connectAs(two.api, bob)]
  proxy.cut()
  await eventually(() => expect(two.layer.stats().connections).toBe(0))
  banned.add(ann.id)
  await one.api.sessions.end({ user: ann.id })
  await one.api.sessions.refresh({ user: 'nobody' })
  const [key = ''] = (await redis.command('KEYS', '*:meta')) as string[]
  const group = /\{(.*)\}/.exec(key)?.[1] ?? ''
  const { epoch } = await one.layer.join(group)
  expect(await one.layer.history(group, { epoch, seq: 0 })).toBe('gone')
  proxy.heal()
  await eventually(() => expect(anns.closed).toBeDefined())
  expect(bobs.closed).toBeUndefined()
  expect(two.layer.stats()).toMatchObject({ repaired: 0, lost: 1 })
})

test('without Redis a process ends the sessions that it has itself, says so, and the others hear of it later', async () => {
  const [one, two] = [await start(proxy.url), await start(redis.url)]
  const ann = await sessions.createUser()
  const [here, there] = [await connectAs(one.api, ann), await connectAs(two.api, ann)]
  proxy.cut()
  await eventually(() => expect(one.layer.stats().connections).toBe(0))
  await expect(one.api.sessions.end({ user: ann.id })).rejects.toMatchObject({ code: 'unavailable' })
  await untilClosed(here)
  expect(there.closed).toBeUndefined()
  proxy.heal()
  await untilClosed(there)
})
