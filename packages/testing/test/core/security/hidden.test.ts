import {
  type Permission,
  allowAny,
  createApi,
  defineResource,
  isAuthenticated,
  memoryBus,
  memoryStore,
} from '@rtapi/core'
import { connect, fakeClock, seededRandom } from '@rtapi/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { type Note, closeWorlds, codeOf, openWorld } from './security-world.ts'
import { samePopulation } from './same-population.ts'

// What is asked and answered over the wire, `attackSuite` tries over every transport. This is what it cannot see.

afterEach(closeWorlds)

describe('A21 a field that one may not read', () => {
  test('is not named by a store that misses it in the data', async () => {
    const store = memoryStore({ entity: 'Note', fields: { id: 'integer', text: 'string', secret: 'string' } })
    const fields: Permission = { fields: () => ['id', 'text'] }
    const api = createApi({
      resources: [defineResource('notes', { store, permissions: [fields], input: { create: ['text'] } })],
      changes: [store],
    })
    const client = await connect(api)
    const reply = await client.request({ resource: 'notes', action: 'create', data: { text: 'x' } })
    expect(reply).toMatchObject({ ok: false, error: { code: 'invalid' } })
    expect(client.received).not.toContain('secret')
    await api.close()
  })
})

describe('A28 a record of somebody else', () => {
  // The work is the same: see `hidden.test.ts` for the calls of the store. Here is the time, as a client measures it.
  test.each(['get', 'update', 'delete'])(
    'takes the time of one that is not there: %s',
    async (action) => {
      const store = memoryStore<{ id: number; owner: string; text: string }>({
        entity: 'Note',
        fields: { id: 'integer', owner: 'string', text: 'string' },
        rows: Array.from({ length: 4_000 }, (_, i) => ({ id: 2 * i, owner: i === 0 ? 'ada' : 'bob', text: `${i}` })),
      })
      const api = createApi({
        resources: [
          defineResource('notes', {
            store,
            permissions: [isAuthenticated, { scope: ({ session }) => ({ owner: String(session.user?.id) }) }],
            input: { update: ['text'] },
          }),
        ],
        changes: [store],
        authenticate: ({ token }) => ({ user: { id: String(token) } }),
        limits: { rate: 1e9, burst: 1e9, misses: 1e9 },
      })
      const client = await connect(api, { token: 'ada' })
      const data = action === 'update' ? { data: { text: 'x' } } : {}
      const time = async (key: number): Promise<number> => {
        const from = performance.now()
        const reply = await client.request({ resource: 'notes', action, key, ...data })
        const took = performance.now() - from
        expect(reply).toMatchObject({ error: { code: 'not_found' } })
        return took
      }
      const random = seededRandom(28)
      const differs = async (): Promise<boolean> => {
        const hidden: number[] = []
        const missing: number[] = []
        for (let i = 1; i <= 2_000; i++) {
          // In pairs of a random order, so that what disturbs the machine disturbs both alike.
          const isFirst = random.chance(0.5)
          for (const key of isFirst ? [2 * i, 2 * i + 1] : [2 * i + 1, 2 * i])
            (key % 2 === 0 ? hidden : missing).push(await time(key))
        }
        return samePopulation(hidden, missing) <= 0.01
      }
      // The first round warms up. Of equal times one try in a hundred looks different by chance; three in a row are a difference.
      await differs()
      const isDifferent = (await differs()) && (await differs()) && (await differs())
      expect(isDifferent).toBe(false)
      await api.close()
    },
    60_000,
  )
})

describe('A32 one change for many', () => {
  test('a rule that writes into a record changes it for nobody', async () => {
    const meddling: Permission<Note> = {
      allowsRecord(_context, row) {
        Reflect.set(row, 'owner', 'eve')
        return true
      },
    }
    const world = openWorld({ rules: [meddling] })
    const [ada, bob] = [await world.as('ada'), await world.as('bob')]
    const view = await bob.subscribe({ resource: 'notes', key: 2 })
    expect(await codeOf(ada, { resource: 'notes', action: 'update', key: 2, data: { text: 'new' } })).toBe('ok')
    expect((await view.next('changes')).changes[0]?.data).toMatchObject({ owner: 'bob', text: 'new' })
    expect(world.notes.read([2])).toMatchObject([{ owner: 'bob' }])
  })
})

describe('A33 a user of whom only a part is known', () => {
  test.each([
    [{}],
    [{ role: 'Admin' }],
    [{ role: ['admin'] }],
    [{ roles: 'admin' }],
    [{ admin: 'true' }],
    [{ admin: 1 }],
  ])('is no administrator: %j', async (part) => {
    const world = openWorld({
      authenticate: ({ token }) => ({ user: { id: String(token), ...(token === 'half' ? part : {}) } }),
    })
    const client = await world.as('half')
    expect(await codeOf(client, { resource: 'vault', action: 'list' })).toBe('not_found')
  })

  test('and a rule that stumbles over it denies', async () => {
    const world = openWorld({
      rules: [
        {
          allows: ({ session }) =>
            session.user?.id === 'honest' || (session.user as unknown as { roles: string[] }).roles.includes('admin'),
        },
      ],
    })
    const client = await world.as('ada')
    expect(await codeOf(client, { resource: 'notes', action: 'list' })).toBe('unavailable')
    expect(client.received).not.toContain('roles')
    expect(world.reports.splice(0)).toHaveLength(1)
  })
})

test('A35 keys that look like names of groups are keys', async () => {
  const keys = [
    'a:b',
    'a*',
    '{a}',
    'a\r\nPUBLISH',
    '../a',
    '%',
    'a b',
    '\u00e9',
    'e\u0301',
    'rtapi:{a}',
    '0',
    '__proto__x',
  ]
  const clock = fakeClock()
  const bus = memoryBus({ clock })
  const store = memoryStore<{ id: string; text: string }>({
    entity: 'a:b',
    fields: { id: 'string', text: 'string' },
    rows: keys.map((id) => ({ id, text: 'old' })),
  })
  const api = createApi({
    resources: [defineResource('notes', { store, permissions: [allowAny] })],
    changes: [store],
    layer: bus.layer(),
    clock,
  })
  const client = await connect(api)
  const views = await Promise.all(keys.map((key) => client.subscribe({ resource: 'notes', key })))
  for (const [i, key] of keys.entries()) {
    store.update(key, { text: `new ${i}` })
    await clock.settle()
    const texts = views.map(({ rows }) => rows[0]?.['text'])
    expect(texts).toEqual(keys.map((_, j) => (j <= i ? `new ${j}` : 'old')))
  }
  await api.close()
})
