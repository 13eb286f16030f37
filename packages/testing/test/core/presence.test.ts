import {
  type Api,
  type ChannelLayer,
  type MemoryBus,
  type PresenceKeeper,
  type Session,
  type SessionSelector,
  createApi,
  memoryBus,
} from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock, faultyLayer } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

/** As the documentation states it, in milliseconds. */
const LIFETIME = 15_000
const BEAT = 5_000

let clock: FakeClock
let bus: MemoryBus
let apis: Api[]
let reports: string[]

beforeEach(() => {
  clock = fakeClock()
  bus = memoryBus({ clock })
  apis = []
  reports = []
})

afterEach(async () => {
  for (const api of apis) await api.close()
  expect(clock.timers).toBe(0)
})

/** One process. Tokens are `user`, `user/session` or `user/session/milliseconds`; without one a client is anonymous. */
function open(layer: ChannelLayer = bus.layer(), connectionsPerUser = 3): Api {
  const api = createApi({
    resources: [],
    layer,
    clock,
    limits: { connectionsPerUser },
    report: (error, { during }) => void reports.push(`${during}: ${String(error)}`),
    authenticate({ token }): Session | null {
      if (typeof token !== 'string') return null
      const [user = '', id, expiresAt] = token.split('/')
      return {
        user: user === '' ? null : { id: /^\d+$/.test(user) ? Number(user) : user },
        ...(id === undefined ? {} : { id }),
        ...(expiresAt === undefined ? {} : { expiresAt: clock.now() + Number(expiresAt) }),
      }
    },
  })
  apis.push(api)
  return api
}

async function join(api: Api, token?: string): Promise<TestClient> {
  const client = await connect(api, token === undefined ? {} : { token })
  await clock.settle()
  return client
}

/** Users and sessions of the list, as `user/session`, and whether it is all. */
async function listed(api: Api, selector: SessionSelector): Promise<readonly string[]> {
  const { connections, complete } = await api.sessions.list(selector)
  const names = connections.map(({ user, session = '-' }) => `${String(user)}/${session}`)
  return complete ? names : [...names, 'and perhaps more']
}

/** A process that is killed: it says nothing more, and takes nothing back. */
function mortalLayer(): { readonly layer: ChannelLayer; kill(): void } {
  const layer = faultyLayer(bus.layer(), { seed: 1, clock })
  return { layer, kill: () => layer.cut() }
}

describe('sessions.list', () => {
  test('answers the connections to all processes: of a user, of a session, or all', async () => {
    const [one, two] = [open(), open()]
    const first = await join(one, '1/a')
    await clock.advance(10)
    await join(two, '1/b/60000')
    await clock.advance(10)
    await join(two, '2/c')
    await join(two)
    const anything = expect.any(String) as string
    const mine = { transport: 'test', remoteAddress: '::1', user: 1 }
    const { connections, complete } = await one.sessions.list({ user: 1 })
    expect(connections).toEqual([
      {
        ...mine,
        connection: first.welcome?.connection,
        process: anything,
        session: 'a',
        openedAt: clock.now() - 20,
        subscriptions: 0,
      },
      {
        ...mine,
        connection: anything,
        process: anything,
        session: 'b',
        openedAt: clock.now() - 10,
        expiresAt: clock.now() + 59_990,
      },
    ])
    expect(complete).toBe(true)
    expect(new Set(connections.map(({ process }) => process)).size).toBe(2)
    for (const api of [one, two]) {
      expect(await listed(api, { session: 'b' })).toEqual(['1/b'])
      expect(await listed(api, { user: 3 })).toEqual([])
      expect(await listed(api, { user: '1' })).toEqual([])
      expect(await listed(api, { user: 1, except: 'a' })).toEqual(['1/b'])
      expect((await listed(api, { everyone: true })).toSorted()).toEqual(['1/a', '1/b', '2/c', 'null/-'])
      expect(await listed(api, { everyone: true, except: 'b' })).toHaveLength(3)
    }
    await first.close()
    await clock.settle()
    expect(await listed(two, { user: 1 })).toEqual(['1/b'])
  })

  test('does not name those who have not said who they are, nor those who were refused', async () => {
    const [one, two] = [open(undefined, 1), open()]
    await connect(one, { hello: false })
    await join(one, '1/a')
    const refused = await connect(one, { hello: false })
    refused.send({ type: 'hello', versions: [1], token: '1/b' })
    await clock.settle()
    expect(refused.closed).toMatchObject({ code: 4429 })
    for (const api of [one, two]) expect(await listed(api, { everyone: true })).toEqual(['1/a'])
  })

  test('knows the session of new credentials, and not the one before', async () => {
    const [one, two] = [open(), open()]
    const client = await join(one, '1/a')
    await client.authenticate('1/b/90000')
    await clock.settle()
    expect(await listed(two, { session: 'a' })).toEqual([])
    expect(await listed(two, { session: 'b' })).toEqual(['1/b'])
    const [{ expiresAt } = {}] = (await two.sessions.list({ user: 1 })).connections
    expect(expiresAt).toBe(clock.now() + 90_000)
  })

  test('forgets who comes back as another user', async () => {
    const [one, two] = [open(), open()]
    const client = await join(one, '1/a')
    client.send({ type: 'auth', id: 'x', token: '2/b' })
    await clock.settle()
    expect(client.closed).toMatchObject({ code: 4451 })
    expect(await listed(two, { everyone: true })).toEqual([])
  })

  test('forgets a process that closes at once, and one that was killed after 15 seconds', async () => {
    const mortal = mortalLayer()
    const [one, two, three] = [open(), open(), open(mortal.layer)]
    await join(one, '1/a')
    await join(two, '1/b')
    await join(three, '1/c')
    await two.close()
    expect(await listed(one, { user: 1 })).toEqual(['1/a', '1/c'])
    mortal.kill()
    await clock.advance(LIFETIME - BEAT - 1)
    expect(await listed(one, { user: 1 })).toEqual(['1/a', '1/c'])
    await clock.advance(BEAT + 1)
    expect(await listed(one, { user: 1 })).toEqual(['1/a'])
  })

  test('keeps those who are silent for long', async () => {
    const [one, two] = [open(), open()]
    await join(one, '1/a')
    await clock.advance(10 * LIFETIME)
    expect(await listed(two, { user: 1 })).toEqual(['1/a'])
  })

  test('says that it does not know all without the layer, and with one that keeps no presence', async () => {
    const cut = faultyLayer(bus.layer(), { seed: 1, clock })
    const [one, two] = [open(cut), open()]
    await join(one, '1/a')
    await join(two, '1/b')
    cut.cut()
    expect(await listed(one, { user: 1 })).toEqual(['1/a', 'and perhaps more'])
    expect(await listed(two, { user: 1 })).toEqual(['1/b', '1/a'])
    const { presence: _, ...rest } = bound(bus.layer())
    const lonely = open(rest)
    await join(lonely, '1/c')
    expect(await listed(lonely, { user: 1 })).toEqual(['1/c', 'and perhaps more'])
  })

  test('a process that the layer did not reach says everything when it is back', async () => {
    const cut = faultyLayer(bus.layer(), { seed: 1, clock })
    const [one, two] = [open(cut), open()]
    const gone = await join(one, '1/gone')
    await join(one, '1/stays')
    cut.cut()
    await gone.close()
    await join(one, '1/new')
    await clock.advance(LIFETIME)
    expect(await listed(two, { user: 1 })).toEqual([])
    expect(reports.filter((report) => report.startsWith('presence'))).toHaveLength(1)
    cut.heal()
    await clock.advance(2_000)
    expect(await listed(two, { user: 1 })).toEqual(['1/stays', '1/new'])
  })

  test('clients that come and go while the layer is away leave nothing to be said', async () => {
    const writes: number[] = []
    const right = bus.layer()
    const cut = faultyLayer(right, { seed: 1, clock })
    const layer = watched(cut, (size) => writes.push(size))
    const one = open(layer)
    await join(one, '1/stays')
    cut.cut()
    for (let i = 0; i < 40; i++) {
      const client = await join(one, `1/${i}`)
      await client.close()
      await clock.advance(1_000)
    }
    writes.length = 0
    cut.heal()
    await clock.advance(2_000)
    // The user, the one session, and that this is all.
    expect(writes[0]).toBe(3)
    expect(await listed(open(), { user: 1 })).toEqual(['1/stays'])
  })

  test('is not called complete after the layer has lost what was said, until everybody has said it anew', async () => {
    const [one, two] = [open(), open()]
    await join(one, '1/a')
    await join(two, '1/b')
    await clock.advance(BEAT / 2)
    const { presence } = bus.layer()
    for (const process of (await presence?.read([]))?.keys() ?? []) await presence?.forget(process)
    expect(await listed(one, { user: 1 })).toEqual(['1/a', 'and perhaps more'])
    await clock.advance(2 * BEAT)
    for (const api of [one, two]) expect((await listed(api, { user: 1 })).toSorted()).toEqual(['1/a', '1/b'])
  })

  test('a process that was stopped for long says everything when it goes on', async () => {
    const [one, two] = [open(), open()]
    await join(one, '1/a')
    clock.stall(LIFETIME)
    expect(await listed(two, { user: 1 })).toEqual([])
    await clock.advance(300)
    expect(await listed(two, { user: 1 })).toEqual(['1/a'])
    expect(await listed(one, { user: 1 })).toEqual(['1/a', 'and perhaps more'])
    await clock.advance(2 * BEAT)
    expect(await listed(one, { user: 1 })).toEqual(['1/a'])
  })

  test('names a hundred connections of a user to another process, and says that there are more', async () => {
    const [one, two] = [open(undefined, 1_000), open()]
    for (let i = 0; i < 101; i++) await connect(one, { token: `1/${i}` })
    await clock.settle()
    expect(await listed(two, { user: 1 })).toHaveLength(101)
    expect((await listed(two, { user: 1 })).at(-1)).toBe('and perhaps more')
    expect(await listed(one, { user: 1 })).toHaveLength(101)
    expect(await listed(two, { session: '100' })).toEqual(['1/100'])
  })

  test('thousands of connections are told in parts, and the list is not complete before the last', async () => {
    const gate = gatedPresence(bus.layer())
    const [one, two] = [open(gate.layer), open()]
    await join(one, 'u')
    const [first] = (await two.sessions.list({ user: 'u' })).connections
    gate.shut()
    for (let i = 0; i < 2_500; i++) await connect(one, { token: `u${i}` })
    // What is said next is heard by a keeper that knows nothing any more.
    await bus.layer().presence?.forget(first?.process ?? '')
    const told: string[] = []
    for (let write = 0; write < 4; write++) {
      await gate.next()
      const list = await listed(two, { everyone: true })
      told.push(
        `${list.filter((name) => name.startsWith('u')).length}, ${list.at(-1)?.startsWith('and') ? 'more' : 'all'}`,
      )
    }
    expect(told).toEqual(['0, all', '999, more', '1998, more', '2501, all'])
    gate.open()
    await clock.settle()
  })

  test('nonsense in place of connections is not believed, and not fatal', async () => {
    const [one, two] = [open(), open()]
    await join(one, '1/a')
    await join(two, '1/b')
    const { presence } = bus.layer()
    const wrong = ['', '{', '[]', '{"count":"9","named":[]}', '{"count":1,"named":[{"connection":7}]}', 'null']
    for (const [i, text] of wrong.entries())
      await presence?.write({
        process: `p${i}`,
        anew: true,
        ttl: 1e6,
        values: new Map([
          ['u1', text],
          ['whole', '1'],
        ]),
      })
    expect(await listed(one, { user: 1 })).toEqual(['1/a', '1/b', 'and perhaps more'])
    expect(await listed(one, { everyone: true })).toEqual(['1/a', '1/b', 'and perhaps more'])
  })
})

describe('what happens while something is being said', () => {
  test('a client that is gone before it was said is not said to be there', async () => {
    const gate = gatedPresence(bus.layer())
    const [one, two] = [open(gate.layer), open()]
    gate.shut()
    const first = await join(one, '1/a')
    const second = await join(one, '1/b')
    await first.close()
    await second.close()
    await join(one, '1/c')
    gate.open()
    await clock.settle()
    expect(await listed(two, { user: 1 })).toEqual(['1/c'])
  })

  test('credentials that change meanwhile are said afterwards', async () => {
    const gate = gatedPresence(bus.layer())
    const [one, two] = [open(gate.layer), open()]
    gate.shut()
    const client = await join(one, '1/a')
    await client.authenticate('1/b')
    await client.authenticate('1/c')
    gate.open()
    await clock.settle()
    expect(await listed(two, { user: 1 })).toEqual(['1/c'])
    for (const session of ['a', 'b']) expect(await listed(two, { session })).toEqual([])
  })

  test('an API that closes meanwhile takes back what was said last', async () => {
    const gate = gatedPresence(bus.layer())
    const [one, two] = [open(gate.layer), open()]
    await join(one, '1/a')
    gate.shut()
    await join(one, '1/b')
    const closed = one.close()
    await clock.settle()
    gate.open()
    await closed
    expect(await listed(two, { everyone: true })).toEqual([])
  })
})

describe('connections of one user to several processes', () => {
  test('above the limit the newest are closed, once those of a dead process would be forgotten', async () => {
    const [one, two, three] = [open(), open(), open()]
    const clients = [await join(one, '1'), await join(two, '1'), await join(two, '1')]
    const beyond = [await join(three, '1'), await join(three, '1')]
    const other = await join(three, '2')
    await clock.advance(LIFETIME - 1)
    expect(beyond.map(({ closed }) => closed)).toEqual([undefined, undefined])
    await clock.advance(BEAT + 1_000)
    for (const client of beyond) expect(client.closed).toMatchObject({ code: 4429 })
    await clock.advance(2 * LIFETIME)
    expect([...clients, other].map(({ closed }) => closed)).toEqual([undefined, undefined, undefined, undefined])
  })

  test('those that come at the same moment to all processes end within the limit', async () => {
    const processes = [open(), open(), open()]
    const clients = await Promise.all([0, 1, 2, 0, 1, 2].map((i) => connect(processes[i] as Api, { token: '1' })))
    await clock.advance(LIFETIME + BEAT + 1_000)
    const left = clients.filter(({ closed }) => closed === undefined)
    expect(left.length).toBeLessThanOrEqual(3)
    await clock.advance(2 * LIFETIME)
    expect(clients.filter(({ closed }) => closed === undefined)).toHaveLength(left.length)
  })

  test('whoever comes back from a process that was killed finds a place', async () => {
    const mortal = mortalLayer()
    const [one, two] = [open(), open(mortal.layer)]
    for (let i = 0; i < 3; i++) await join(two, '1')
    mortal.kill()
    const back = [await join(one, '1'), await join(one, '1'), await join(one, '1')]
    await clock.advance(4 * LIFETIME)
    expect(back.map(({ closed }) => closed)).toEqual([undefined, undefined, undefined])
  })

  test('places that become free are taken into account', async () => {
    const [one, two] = [open(), open()]
    const old = [await join(one, '1'), await join(one, '1'), await join(one, '1')]
    const client = await join(two, '1')
    await clock.advance(LIFETIME / 2)
    await old[0]?.close()
    await clock.advance(2 * LIFETIME)
    expect(client.closed).toBeUndefined()
    expect(await listed(one, { user: 1 })).toHaveLength(3)
  })

  test('those that came while the layer was away are counted when it is back', async () => {
    const cut = faultyLayer(bus.layer(), { seed: 1, clock })
    const [one, two] = [open(cut), open()]
    await Promise.all([one.ready, two.ready])
    cut.cut()
    const here = [await join(one, '1'), await join(one, '1')]
    const there = [await join(two, '1'), await join(two, '1')]
    await clock.advance(3 * LIFETIME)
    expect([...here, ...there].filter(({ closed }) => closed !== undefined)).toEqual([])
    cut.heal()
    await clock.advance(LIFETIME + 2 * BEAT)
    expect(here.map(({ closed }) => closed?.code)).toEqual([undefined, 4429])
    expect(there.map(({ closed }) => closed?.code)).toEqual([undefined, undefined])
  })

  test('a user who is back within the limit before anybody looked is left alone', async () => {
    const gate = gatedPresence(bus.layer())
    const [one, two] = [open(gate.layer), open()]
    for (let i = 0; i < 3; i++) await join(two, '1')
    gate.shut()
    const gone = await join(one, '1')
    await gone.close()
    gate.open()
    await clock.advance(4 * LIFETIME)
    expect(await listed(two, { user: 1 })).toHaveLength(3)
  })
})

/** A layer whose methods can be copied. */
function bound(layer: ChannelLayer): ChannelLayer {
  return {
    open: (events) => layer.open(events),
    join: (group) => layer.join(group),
    leave: (group) => layer.leave(group),
    publish: (group, entry) => layer.publish(group, entry),
    history: (group, since) => layer.history(group, since),
    close: () => layer.close(),
    ...(layer.presence === undefined ? {} : { presence: layer.presence }),
  }
}

/** A layer that tells how many labels are written at once. */
function watched(right: ChannelLayer, told: (size: number) => void): ChannelLayer {
  const presence = right.presence as PresenceKeeper
  return {
    ...bound(right),
    presence: {
      write(write) {
        told(write.values.size)
        return presence.write(write)
      },
      read: (labels) => presence.read(labels),
      forget: (process) => presence.forget(process),
    },
  }
}

/** A layer whose presence takes its time: while the gate is shut, writes wait. */
function gatedPresence(right: ChannelLayer): {
  readonly layer: ChannelLayer
  shut(): void
  open(): void
  /** Lets one write through, once there is one that waits, and answers it. */
  next(): Promise<void>
} {
  const presence = right.presence as PresenceKeeper
  let isShut = false
  const waiting: (() => void)[] = []
  return {
    layer: {
      ...bound(right),
      presence: {
        async write(write) {
          if (isShut) await new Promise<void>((resolve) => waiting.push(resolve))
          return presence.write(write)
        },
        read: (labels) => presence.read(labels),
        forget: (process) => presence.forget(process),
      },
    },
    shut: () => void (isShut = true),
    open() {
      isShut = false
      for (const letGo of waiting.splice(0)) letGo()
    },
    async next() {
      await clock.settle()
      waiting.shift()?.()
      await clock.settle()
    },
  }
}
