import { type Limits, type ServerMessage, defaultLimits } from '@rtapi/core'
import { type TestClient, connect } from '@rtapi/testing'
import { type World, outcome, state, told } from './limit-world.ts'

/** How one limit is tried. */
export interface LimitCase {
  /** A small one, where the default would take long. @default the default */
  readonly limit?: number
  /** Others that must not stand in the way. */
  readonly rest?: Partial<Limits>
  /** Does as much as `amount` says, and answers what came of it. */
  readonly probe: (world: World, amount: number) => Promise<string>
  readonly within: string
  readonly beyond: string
  /** How much is still within the limit, and how much is not. @default the limit, and one more */
  readonly at?: (limit: number) => number
  readonly above?: (limit: number) => number
}

export const list = (rest: object): object => ({ type: 'request', id: 'r', resource: 'notes', action: 'list', ...rest })
const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])
const clause = { id: { gt: 0 } }

/** Lets so many milliseconds pass, and answers whether the client is still there. */
const afterTime = async (world: World, milliseconds: number, client = world.client): Promise<string> => {
  await world.clock.advance(milliseconds)
  return state(client)
}

/** What takes effect with the next look, of which there are four a second. */
const looked = { at: (limit: number) => limit - 1, above: (limit: number) => limit + 250 }
const free = { rate: 1e9, burst: 1e9 }

const PONG = '{"type":"pong"}'.length

/** A client that reads nothing, and so many bytes, a multiple of 15, that wait for it. */
async function unread(world: World, bytes: number): Promise<void> {
  world.client.pause()
  for (let held = 0; held < bytes; held += PONG) world.client.sendRaw('{"type":"ping"}')
  await world.clock.settle()
}

/** A case for every limit that there is. */
export const limitCases: Readonly<Record<keyof Limits, LimitCase>> = {
  frame: {
    probe: (world, bytes) => told(world, JSON.stringify(list({ limit: 1 })).padEnd(bytes)),
    within: 'ok',
    beyond: '4413',
  },
  batch: {
    probe: (world, count) =>
      told(
        world,
        many(count, () => ({ type: 'ping' })),
      ),
    within: 'pong',
    beyond: 'limit_exceeded',
  },
  depth: {
    // The message is one level, and `data` begins the next.
    probe: (world, levels) => told(world, { ...list({}), action: 'take', data: nested(levels - 2) }),
    within: 'ok',
    beyond: 'bad_request',
  },
  nodes: {
    // The message itself, its five other members, and `data`.
    probe: (world, nodes) => told(world, { ...list({}), action: 'take', data: many(nodes - 6, () => 1) }),
    within: 'ok',
    beyond: 'limit_exceeded',
  },
  objectKeys: {
    probe: (world, keys) =>
      told(world, { ...list({}), action: 'take', data: Object.fromEntries(many(keys, (i) => [`k${i}`, 1])) }),
    within: 'ok',
    beyond: 'limit_exceeded',
  },
  string: {
    probe: (world, length) => told(world, { ...list({}), action: 'take', data: { text: 'x'.repeat(length) } }),
    within: 'ok',
    beyond: 'limit_exceeded',
  },
  filterDepth: {
    probe: (world, levels) => {
      let where: object = clause
      for (let level = 0; level < levels; level++) where = { and: [where] }
      return told(world, list({ where }))
    },
    within: 'ok',
    beyond: 'bad_request',
  },
  filterClauses: {
    probe: (world, count) => told(world, list({ where: { or: many(count, () => clause) } })),
    within: 'ok',
    beyond: 'bad_request',
  },
  filterList: {
    probe: (world, count) => told(world, list({ where: { id: { in: many(count, (i) => i) } } })),
    within: 'ok',
    beyond: 'bad_request',
  },
  filterText: {
    probe: (world, length) => told(world, list({ where: { text: { startsWith: 'x'.repeat(length) } } })),
    within: 'ok',
    beyond: 'bad_request',
  },
  sortFields: {
    limit: 1,
    probe: (world, count) =>
      told(
        world,
        list({
          order: [
            ['id', 'asc'],
            ['text', 'asc'],
          ].slice(0, count),
        }),
      ),
    within: 'ok',
    beyond: 'bad_request',
  },
  helloTimeout: {
    probe: async (world, time) => afterTime(world, time, await connect(world.api, { hello: false })),
    ...looked,
    within: 'open',
    beyond: '4408',
  },
  heartbeatInterval: {
    probe: async ({ api, clock }, time) => {
      const silent = await connect(api, { pong: false })
      await clock.advance(time)
      return silent.messages.at(-1)?.type ?? ''
    },
    ...looked,
    within: 'welcome',
    beyond: 'ping',
  },
  heartbeatTimeout: {
    probe: async (world, time) => {
      const silent = await connect(world.api, { pong: false })
      return afterTime(world, defaultLimits.heartbeatInterval + time, silent)
    },
    ...looked,
    above: (limit) => limit + 500,
    within: 'open',
    beyond: '4454',
  },
  connectionsPerUser: {
    probe: async ({ api, clock }, count) => {
      const clients = many(count - 1, () => connect(api, { hello: false }))
      for (const client of await Promise.all(clients)) client.send({ type: 'hello', versions: [1], token: 'ada' })
      await clock.settle()
      return state((await Promise.all(clients)).at(-1) as TestClient)
    },
    within: 'open',
    beyond: '4429',
  },
  subscriptions: {
    rest: free,
    probe: async (world, count) => {
      for (let i = 1; i < count; i++) world.client.send({ type: 'subscribe', id: `s${i}`, resource: 'notes' })
      await world.clock.settle()
      return told(world, { type: 'subscribe', id: 'last', resource: 'notes' })
    },
    within: 'snapshot',
    beyond: 'limit_exceeded',
  },
  viewRows: {
    limit: 5,
    probe: (world, count) => {
      for (let i = 1; i < count; i++) world.notes.create({ text: `${i}` })
      return told(world, { type: 'subscribe', id: 's', resource: 'notes' })
    },
    within: 'snapshot',
    beyond: 'limit_exceeded',
  },
  requestsInFlight: {
    probe: async (world, count) => {
      world.behind.find.close()
      for (let i = 1; i < count; i++) world.client.sendRaw(JSON.stringify({ ...list({}), id: `r${i}` }))
      return told(world, list({}))
    },
    within: 'nothing',
    beyond: 'limit_exceeded',
  },
  pageDefault: {
    limit: 5,
    probe: async (world, count) => {
      for (let i = 1; i < count; i++) world.notes.create({ text: `${i}` })
      const reply = await world.client.request({ resource: 'notes', action: 'list' })
      return reply.ok && reply.next !== undefined ? 'a page' : 'all'
    },
    within: 'all',
    beyond: 'a page',
  },
  pageMax: {
    probe: (world, limit) => told(world, list({ limit })),
    within: 'ok',
    beyond: 'limit_exceeded',
  },
  snapshotPart: {
    limit: 3_000,
    probe: async (world, bytes) => {
      // Beside the rows there is room for an eighth of names, and for each row 16 bytes of its key and 96 of names.
      const row = '{"id":1,"text":""}'.length + 16 + 96
      world.notes.update(1, { text: 'x'.repeat(700 - row) })
      world.notes.create({ text: 'x'.repeat(bytes - 375 - 700 - row) })
      await told(world, { type: 'subscribe', id: 's', resource: 'notes' })
      return `${world.client.messages.filter(({ type }) => type === 'snapshot').length} parts`
    },
    within: '1 parts',
    beyond: '2 parts',
  },
  reply: {
    limit: 2_000,
    probe: (world, bytes) => {
      const empty = '{"type":"reply","id":"r","ok":true,"data":""}'.length
      return told(world, { ...list({}), action: 'echo', key: bytes - empty })
    },
    within: 'ok',
    beyond: 'limit_exceeded',
  },
  have: {
    probe: (world, count) =>
      told(world, { type: 'subscribe', id: 's', resource: 'notes', since: 'x', have: many(count, (i) => i) }),
    within: 'snapshot',
    beyond: 'bad_request',
  },
  rate: {
    limit: 10,
    rest: { burst: 1 },
    probe: async (world, perSecond) => {
      const replies = []
      for (let i = 0; i < 40; i++) {
        await world.clock.advance(1_000 / perSecond)
        replies.push(await told(world, list({})))
      }
      return [...new Set(replies)].sort().join(' ')
    },
    within: 'ok',
    beyond: 'ok rate_limited',
  },
  burst: {
    probe: async (world, count) => {
      let last = ''
      for (let i = 0; i < count; i++) last = await told(world, list({}))
      return last
    },
    within: 'ok',
    beyond: 'rate_limited',
  },
  badMessages: {
    probe: async (world, count) => {
      for (let i = 0; i < count; i++) world.client.sendRaw('{')
      return Promise.resolve(state(world.client))
    },
    at: (limit) => limit - 1,
    above: (limit) => limit,
    within: 'open',
    beyond: '4400',
  },
  misses: {
    probe: async (world, count) => {
      let last = ''
      for (let i = 0; i < count; i++) last = await told(world, { ...list({}), action: 'get', key: 99 })
      return last
    },
    within: 'not_found',
    beyond: 'nothing',
  },
  sendSoft: {
    limit: 3_000,
    probe: async (world, bytes) => {
      const view = await world.client.subscribe({ resource: 'notes' })
      await unread(world, bytes)
      // Above it two changes of one record become one; up to it both go out.
      const before = world.client.frames.length
      for (const text of ['a', 'b']) {
        world.notes.update(1, { text })
        await world.clock.settle()
      }
      world.client.resume()
      await view.until((rows) => rows[0]?.['text'] === 'b')
      return `${world.client.frames.length - before} frames`
    },
    above: (limit) => limit + PONG,
    within: '2 frames',
    beyond: '1 frames',
  },
  sendHard: {
    limit: 8_000,
    rest: { sendSoft: 0, ...free },
    probe: async (world, bytes) => {
      const view = await world.client.subscribe({ resource: 'notes' })
      await unread(world, PONG)
      world.notes.update(1, { text: 'x'.repeat(bytes) })
      await world.clock.advance(500)
      world.client.resume()
      await view.until((rows) => rows[0]?.['text'] === 'x'.repeat(bytes))
      return view.resets.join(' ') || 'no reset'
    },
    at: (limit) => limit - 300,
    within: 'no reset',
    beyond: 'overflow',
  },
  sendTimeout: {
    rest: { sendSoft: 0, heartbeatInterval: 1e9 },
    probe: async (world, time) => {
      await world.client.subscribe({ resource: 'notes' })
      await unread(world, PONG)
      world.notes.update(1, { text: 'new' })
      // Once until what waits is given up, and once more.
      return afterTime(world, 2 * time)
    },
    ...looked,
    above: (limit) => limit + 500,
    within: 'open',
    beyond: '4450',
  },
  sendBudget: {
    limit: 5_000,
    probe: async (world, bytes) => {
      const other = await connect(world.api)
      other.pause()
      other.sendRaw('{"type":"ping"}')
      world.client.pause()
      for (let held = 2 * PONG; held <= bytes; held += PONG) world.client.sendRaw('{"type":"ping"}')
      await world.clock.advance(500)
      return `${state(world.client)} ${state(other)}`
    },
    above: (limit) => limit + PONG,
    within: 'open open',
    beyond: '4450 open',
  },
  loopLag: {
    probe: async (world, lag) => {
      for (let i = 0; i < 2; i++) {
        await world.clock.advance(1)
        world.clock.stall(lag + 249)
        // The timer that was due comes now, and the next one is set.
        await world.clock.advance(0)
      }
      return told(world, list({}))
    },
    within: 'ok',
    beyond: 'unavailable',
  },
  ruleTimeout: {
    probe: async (world, time) => {
      world.rule.close()
      world.client.sendRaw(JSON.stringify(list({})))
      await world.clock.settle()
      await world.clock.advance(time)
      return world.client.messages.at(-1)?.type ?? ''
    },
    at: (limit) => limit - 1,
    above: (limit) => limit,
    within: 'welcome',
    beyond: 'reply',
  },
  storeTimeout: {
    probe: async (world, time) => {
      world.behind.find.close()
      world.client.sendRaw(JSON.stringify(list({})))
      await world.clock.settle()
      await world.clock.advance(time)
      return outcome(world.client.messages.at(-1) as ServerMessage)
    },
    at: (limit) => limit - 1,
    above: (limit) => limit,
    within: 'welcome',
    beyond: 'timeout',
  },
  layerTimeout: {
    probe: async (world, time) => {
      const publish = world.layer.publish.bind(world.layer)
      world.layer.publish = () => new Promise(() => undefined)
      let isOver = false
      const command = world.api.sessions.refresh({ user: 'nobody' }).catch(() => void (isOver = true))
      await world.clock.advance(time)
      const answer = isOver ? 'given up' : 'waits'
      world.layer.publish = publish
      await world.clock.advance(1)
      await command
      return answer
    },
    at: (limit) => limit - 1,
    above: (limit) => limit,
    within: 'waits',
    beyond: 'given up',
  },
  ownWriteTimeout: {
    probe: async (world, time) => {
      await world.client.subscribe({ resource: 'notes' })
      world.behind.read.close()
      world.client.send({ type: 'request', id: 'w', resource: 'notes', action: 'create', data: { text: 'x' } })
      await world.clock.settle()
      await world.clock.advance(time)
      const reply = world.client.messages.find((message) => message.type === 'reply')
      return reply?.type === 'reply' && reply.ok && reply.pending === true ? 'pending' : 'waits'
    },
    at: (limit) => limit - 1,
    above: (limit) => limit,
    within: 'waits',
    beyond: 'pending',
  },
  snapshots: {
    limit: 3,
    probe: async (world, count) => {
      world.behind.find.close()
      for (let i = 0; i < count; i++)
        world.client.send({ type: 'subscribe', id: `s${i}`, resource: 'notes', where: { id: i } })
      await world.clock.settle()
      return world.behind.find.waiting === count ? 'all at once' : `${world.behind.find.waiting} at once`
    },
    within: 'all at once',
    beyond: '3 at once',
  },
  expiryWarning: {
    limit: 5_000,
    probe: async ({ api, clock }, left) => {
      const client = await connect(api, { token: 'bob:60000' })
      await clock.advance(60_000 - left)
      return client.messages.at(-1)?.type ?? ''
    },
    at: (limit) => limit + 1,
    above: (limit) => limit - 250,
    within: 'welcome',
    beyond: 'expiring',
  },
  expiryGrace: {
    probe: async (world, time) => {
      const client = await connect(world.api, { token: 'bob:1000' })
      return afterTime(world, 1_000 + time, client)
    },
    ...looked,
    within: 'open',
    beyond: '4451',
  },
  coarseKeys: {
    limit: 3,
    probe: async (world, count) => {
      await world.client.subscribe({ resource: 'notes' })
      const { find } = world.behind.calls
      await world.notes.transaction((transaction) => {
        for (let i = 0; i < count; i++) transaction.create({ text: `${i}` })
      })
      await world.clock.settle()
      return world.behind.calls.find === find ? 'read by key' : 'queried again'
    },
    within: 'read by key',
    beyond: 'queried again',
  },
  idempotencyTime: {
    probe: async (world, time) => {
      const create = { resource: 'notes', action: 'create', data: { text: 'x' }, idempotencyKey: 'k' }
      const first = await world.client.request(create)
      await world.clock.advance(time)
      const again = await world.client.request(create)
      return first.ok && again.ok && first.key === again.key ? 'once' : 'twice'
    },
    at: (limit) => limit - 1,
    above: (limit) => limit,
    within: 'once',
    beyond: 'twice',
  },
  idempotencyKeys: {
    limit: 10,
    probe: async (world, count) => {
      let last = ''
      for (let i = 0; i < count; i++)
        last = await told(world, { ...list({}), action: 'echo', key: 1, idempotencyKey: `k${i}` })
      return last
    },
    within: 'ok',
    beyond: 'rate_limited',
  },
  idempotencyResult: {
    probe: async (world, bytes) => {
      const empty = '{"outcome":{"data":""}}'.length
      const echo = { ...list({}), action: 'echo', key: bytes - empty, idempotencyKey: 'k' }
      await told(world, echo)
      return told(world, echo)
    },
    within: 'ok',
    beyond: 'limit_exceeded',
  },
}
