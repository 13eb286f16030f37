import {
  type Api,
  type MemoryBus,
  type MemoryStore,
  RtapiError,
  type SessionRule,
  createApi,
  defineResource,
  isAuthenticated,
  memoryBus,
  memoryStore,
  sessionRecords,
  userRecords,
} from '@rtapi/core'
import { type FakeClock, type TestClient, connect, fakeClock, faultyLayer } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

type User = { id: number; role: string; active: boolean }
type SignIn = { id: string; userId: number }
type Note = { id: number; text: string }

let clock: FakeClock
let bus: MemoryBus
let users: MemoryStore<User>
let signIns: MemoryStore<SignIn>
let notes: MemoryStore<Note>
let apis: Api[]
let reports: string[]
let authentications: number

const rules: readonly SessionRule[] = [
  userRecords({ entity: 'User', fields: ['role', 'active'], ends: ({ active }) => active === false }),
  sessionRecords({ entity: 'SignIn' }),
]

beforeEach(() => {
  clock = fakeClock()
  bus = memoryBus({ clock })
  reports = []
  authentications = 0
  apis = []
  users = memoryStore<User>({
    entity: 'User',
    fields: { id: 'integer', role: 'string', active: 'boolean' },
    rows: [1, 2].map((id) => ({ id, role: 'admin', active: true })),
  })
  signIns = memoryStore<SignIn>({
    entity: 'SignIn',
    fields: { id: 'string', userId: 'integer' },
    rows: ['a', 'b', 'c'].map((id) => ({ id, userId: id === 'c' ? 2 : 1 })),
  })
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', text: 'string' },
    rows: [{ id: 1, text: 'one' }],
  })
})

afterEach(async () => {
  for (const api of apis) await api.close()
  expect(clock.timers).toBe(0)
})

function open(
  options: { readonly rules?: readonly SessionRule[]; readonly layer?: ReturnType<MemoryBus['layer']> } = {},
) {
  const api = createApi({
    resources: [
      defineResource('notes', {
        store: notes,
        permissions: [
          isAuthenticated,
          { scope: ({ session }) => (session.user as User | null)?.role === 'admin' || { text: 'public' } },
        ],
      }),
    ],
    // The first process writes.
    changes: apis.length === 0 ? [users, signIns, notes] : [],
    layer: options.layer ?? bus.layer(),
    clock,
    sessionRules: options.rules ?? rules,
    authenticate({ token }) {
      authentications++
      const signIn = signIns.find().find(({ id }) => id === token)
      const user = users.find().find(({ id }) => id === signIn?.userId)
      if (signIn === undefined || user?.active !== true) throw new RtapiError('unauthenticated', 'sign in')
      return { user, id: signIn.id }
    },
    report: (_error, { during }) => reports.push(during),
  })
  apis.push(api)
  return api
}

/** Connections of two processes: two sign-ins of the first user, one of the second. */
async function connectAll(): Promise<readonly TestClient[]> {
  const [one, two] = [open(), open()]
  return [await connect(one, { token: 'a' }), await connect(two, { token: 'b' }), await connect(two, { token: 'c' })]
}

const endings = (clients: readonly TestClient[]) =>
  clients.map(({ closed }) => closed && `${closed.code} ${closed.reason}`)

describe('in every process, and by the change of the record alone', () => {
  test('a user who is deleted has no sessions any more', async () => {
    const clients = await connectAll()
    users.delete(1)
    await clock.settle()
    expect(endings(clients)).toEqual(['4440 user deleted', '4440 user deleted', undefined])
  })

  test('nor has one who is switched off', async () => {
    const clients = await connectAll()
    users.update(1, { active: false })
    await clock.settle()
    expect(endings(clients)).toEqual(['4440 user deactivated', '4440 user deactivated', undefined])
    await expect(connect(apis[0] as Api, { token: 'a' })).rejects.toThrow('4401')
  })

  test('one who gets another role keeps the views, with what may be seen in it', async () => {
    const clients = await connectAll()
    const views = await Promise.all(clients.map((client) => client.subscribe({ resource: 'notes' })))
    users.update(1, { role: 'guest' })
    await clock.settle()
    expect(views.map(({ keys }) => keys)).toEqual([[], [], [1]])
    users.update(1, { role: 'admin' })
    await clock.settle()
    expect(views.map(({ keys, resets }) => [keys, resets])).toEqual([
      [[1], []],
      [[1], []],
      [[1], []],
    ])
    expect(endings(clients)).toEqual([undefined, undefined, undefined])
  })

  test('who signs out there is signed out there alone', async () => {
    const clients = await connectAll()
    signIns.delete('b')
    await clock.settle()
    expect(endings(clients)).toEqual([undefined, '4440 signed out', undefined])
  })

  test('nothing that was written together with the end of a session reaches it', async () => {
    const clients = await connectAll()
    for (const client of clients) await client.subscribe({ resource: 'notes' })
    users.update(1, { active: false })
    notes.update(1, { text: 'after the end' })
    await clock.settle()
    expect(clients.map(({ received }) => received.includes('after the end'))).toEqual([false, false, true])
  })
})

test('what several rules, or changes of one transaction, command alike is commanded once', async () => {
  const rule = userRecords({ entity: 'User' })
  const client = await connect(open({ rules: [rule, rule] }), { token: 'a' })
  const before = authentications
  users.update(1, { role: 'guest' })
  await clock.settle()
  expect([authentications - before, client.closed]).toEqual([1, undefined])
})

test('a rule that fails asks everybody anew', async () => {
  const api = open({
    rules: [
      {
        entity: 'User',
        commands() {
          throw new Error('broken')
        },
      },
    ],
  })
  const clients = [await connect(api, { token: 'a' }), await connect(api, { token: 'c' })]
  users.update(1, { active: false })
  await clock.settle()
  expect(endings(clients)).toEqual(['4401 not authenticated', undefined])
  expect(reports).toEqual(['changes.sessionRules'])
})

test('a command that the layer does not take is obeyed here at once, and elsewhere when the layer is back', async () => {
  const layer = faultyLayer(bus.layer(), { seed: 1, clock })
  const [one, two] = [open({ layer }), open()]
  const clients = [
    await connect(one, { token: 'a' }),
    await connect(two, { token: 'b' }),
    await connect(one, { token: 'c' }),
    await connect(two, { token: 'c' }),
  ]
  await clock.advance(1_000)
  layer.cut()
  users.update(1, { active: false })
  await expect(one.sessions.end({ user: 2 })).rejects.toThrow()
  await clock.advance(100)
  const here = ['4440 user deactivated', undefined, '4440 session ended', undefined]
  expect(endings(clients)).toEqual(here)
  expect(one.stats().timers).toBe(1)
  await clock.advance(20_000)
  expect(endings(clients)).toEqual(here)
  layer.heal()
  await clock.advance(1_500)
  expect(endings(clients)).toEqual([here[0], here[0], here[2], here[2]])
  expect(one.stats().timers).toBe(0)
  expect(reports).toContain('sessions.command')
})

test('everybody can be sent away, or asked anew, on every process', async () => {
  const clients = await connectAll()
  users.update(2, { active: true })
  await apis[0]?.sessions.refresh({ everyone: true })
  await clock.settle()
  expect(endings(clients)).toEqual([undefined, undefined, undefined])
  await apis[0]?.sessions.end({ everyone: true, except: 'c', reason: 'maintenance' })
  await clock.settle()
  expect(endings(clients)).toEqual(['4440 maintenance', '4440 maintenance', undefined])
})

describe('connections of one user', () => {
  test('are twenty, and others do not count among them', async () => {
    const api = open()
    const clients = []
    for (let i = 0; i < 20; i++) clients.push(await connect(api, { token: i % 2 === 0 ? 'a' : 'b' }))
    const refused = await connect(api, { hello: false })
    refused.send([
      { type: 'hello', versions: [1], token: 'a' },
      { type: 'request', id: 'r', resource: 'notes', action: 'list' },
    ])
    expect(await refused.untilClosed()).toMatchObject({ code: 4429 })
    expect(refused.messages.map(({ type }) => type)).toEqual(['goodbye'])
    expect((await connect(api, { token: 'c' })).closed).toBeUndefined()
    await clients[0]?.close()
    expect((await connect(api, { token: 'a' })).closed).toBeUndefined()
    expect((await api.sessions.list({ user: 1 })).connections).toHaveLength(20)
  })
})
