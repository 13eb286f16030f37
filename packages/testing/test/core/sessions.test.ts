import {
  type Api,
  type MemoryBus,
  RtapiError,
  createApi,
  defineResource,
  isAuthenticated,
  memoryBus,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'

type Task = { id: number; projectId: number }
type Member = { id: number; userId: string; projectId: number }

let clock: FakeClock
let bus: MemoryBus
const tasks = () =>
  memoryStore<Task>({
    entity: 'Task',
    fields: { id: 'integer', projectId: 'integer' },
    rows: [
      { id: 1, projectId: 1 },
      { id: 2, projectId: 2 },
    ],
  })
const members = () =>
  memoryStore<Member>({
    entity: 'Member',
    fields: { id: 'integer', userId: 'string', projectId: 'integer' },
    rows: [{ id: 1, userId: 'ada', projectId: 1 }],
  })
let store: ReturnType<typeof tasks>
let membership: ReturnType<typeof members>
/** Tokens: `<user>` or `<user>:<expiry>`; a user in `banned` is refused. */
const banned = new Set<string>()
/** Holds the answer of a scope back, so that a test can look in between. */
let gate: Promise<void> | undefined

function open(sources: boolean): Api {
  return createApi({
    resources: [
      defineResource('tasks', {
        store,
        permissions: [
          isAuthenticated,
          {
            async scope({ session }) {
              const mine = membership.find().filter(({ userId }) => userId === session.user?.id)
              await gate
              return { projectId: { in: mine.map(({ projectId }) => projectId) } }
            },
          },
        ],
        dependsOn: [{ entity: 'Member', users: ({ userId }) => (typeof userId === 'string' ? [userId] : undefined) }],
      }),
    ],
    changes: sources ? [store, membership] : [],
    layer: bus.layer(),
    clock,
    authenticate({ token }) {
      const [id = '', expiry] = (token ?? '').split(':')
      if (id === '') return null
      if (banned.has(id)) throw new RtapiError('unauthenticated', 'banned')
      return { user: { id }, id: `session of ${id}`, ...(expiry === undefined ? {} : { expiresAt: Number(expiry) }) }
    },
  })
}

let api: Api
let other: Api

beforeEach(() => {
  clock = fakeClock()
  bus = memoryBus({ clock })
  store = tasks()
  membership = members()
  banned.clear()
  gate = undefined
  api = open(true)
  other = open(false)
})

describe('a change of what a session may see', () => {
  test('gained and lost, the difference is sent, in every process', async () => {
    const views = await Promise.all(
      [api, other].map(async (process) => (await connect(process, { token: 'ada' })).subscribe({ resource: 'tasks' })),
    )
    membership.create({ userId: 'ada', projectId: 2 })
    for (const view of views) {
      expect((await view.next('changes')).changes).toMatchObject([{ action: 'create', key: 2 }])
      expect(view.keys).toEqual([1, 2])
    }
    membership.delete(1)
    for (const view of views) {
      expect((await view.next('changes')).changes).toEqual([{ action: 'delete', key: 1 }])
      expect(view.resets).toEqual([])
    }
    store.update(2, { projectId: 1 })
    for (const view of views) expect((await view.next('changes')).changes).toMatchObject([{ action: 'delete', key: 2 }])
  })

  test('nothing flows under the old rule while the new one is asked', async () => {
    const client = await connect(api, { token: 'ada' })
    const view = await client.subscribe({ resource: 'tasks' })
    let release = (): void => undefined
    gate = new Promise((resolve) => (release = resolve))
    membership.delete(1)
    store.create({ id: 3, projectId: 1 })
    await client.receiveNothing()
    release()
    expect((await view.next('changes')).changes).toEqual([{ action: 'delete', key: 1 }])
    await client.receiveNothing()
  })

  test('does not touch the views of others', async () => {
    const client = await connect(api, { token: 'bob' })
    await client.subscribe({ resource: 'tasks' })
    membership.create({ userId: 'ada', projectId: 2 })
    await client.receiveNothing()
  })

  test('that leaves the rule as it was lets everything through that was held back', async () => {
    const client = await connect(api, { token: 'ada' })
    const view = await client.subscribe({ resource: 'tasks' })
    let release = (): void => undefined
    gate = new Promise((resolve) => (release = resolve))
    membership.create({ userId: 'ada', projectId: 1 })
    store.create({ id: 3, projectId: 1 })
    await client.receiveNothing()
    release()
    await view.until((rows) => rows.length === 2)
  })
})

describe('ending', () => {
  test('by user, on every process, but for one session', async () => {
    const clients = [
      await connect(api, { token: 'ada' }),
      await connect(other, { token: 'ada' }),
      await connect(other, { token: 'bob' }),
    ]
    await api.sessions.end({ user: 'ada', reason: 'logged out' })
    await clock.settle()
    expect(clients.map(({ closed }) => closed?.code)).toEqual([4440, 4440, undefined])
    expect(clients[0]?.messages.at(-1)).toMatchObject({
      type: 'goodbye',
      code: 4440,
      reason: 'logged out',
      again: false,
    })
    const kept = await connect(api, { token: 'ada' })
    await api.sessions.end({ user: 'ada', except: 'session of ada' })
    await other.sessions.end({ session: 'session of bob' })
    await clock.settle()
    expect([kept.closed, clients[2]?.closed?.code]).toEqual([undefined, 4440])
  })

  test('a refresh of a user who is no longer let in closes', async () => {
    const client = await connect(other, { token: 'ada' })
    await client.subscribe({ resource: 'tasks' })
    banned.add('ada')
    await api.sessions.refresh({ user: 'ada' })
    expect(await client.untilClosed()).toMatchObject({ code: 4401 })
  })
})

describe('new credentials in place', () => {
  test('of the same user keep the views', async () => {
    const client = await connect(api, { token: 'ada' })
    const view = await client.subscribe({ resource: 'tasks' })
    expect(await client.authenticate('ada:99999999999999')).toMatchObject({ ok: true })
    store.create({ id: 3, projectId: 1 })
    await view.until((rows) => rows.length === 2)
    expect(view.resets).toEqual([])
  })

  test.each(['bob', null])('of %j close with 4451', async (token) => {
    const client = await connect(api, { token: 'ada' })
    client.send({ type: 'auth', id: 'x', token })
    expect(await client.untilClosed()).toMatchObject({ code: 4451 })
  })
})

describe('expiry', () => {
  const at = (seconds: number): string => `ada:${clock.now() + seconds * 1_000}`

  test('is announced, pauses delivery, and goes on after a refresh', async () => {
    const client = await connect(api, { token: at(150) })
    const view = await client.subscribe({ resource: 'tasks' })
    await clock.advance(89_000)
    await client.receiveNothing()
    await clock.advance(1_500)
    expect(await client.next('expiring')).toMatchObject({ type: 'expiring' })
    await clock.advance(60_000)
    store.create({ id: 3, projectId: 1 })
    await client.receiveNothing()
    expect(await client.request({ resource: 'tasks', action: 'list' })).toMatchObject({
      error: { code: 'unauthenticated' },
    })
    client.send({ type: 'subscribe', id: 'late', resource: 'tasks' })
    expect(await client.next('end')).toMatchObject({ id: 'late', error: { code: 'unauthenticated' } })
    expect(await client.authenticate(at(100))).toMatchObject({ ok: true })
    await view.until((rows) => rows.length === 2)
  })

  test('without a refresh closes', async () => {
    const client = await connect(api, { token: at(10) })
    await clock.advance(36_000)
    expect(client.closed).toMatchObject({ code: 4451 })
  })

  test('that has passed already is refused', async () => {
    await expect(connect(api, { token: at(-1) })).rejects.toThrow('4401')
  })
})
