import {
  type Api,
  type ChannelLayer,
  type Codec,
  type MemoryStore,
  type ResourceOptions,
  createApi,
  defineResource,
  groupBy,
  jsonCodec,
  memoryBus,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, connect, fakeClock } from '@rtapi/testing'
import { beforeEach, describe, expect, test } from 'vitest'

type Note = { id: number; topicId: number; text: string }
type Grant = { id: number; userId: string; topicId: number }

let clock: FakeClock
let notes: MemoryStore<Note>
let grants: MemoryStore<Grant>
/** A row that cannot be written as JSON, once it says so. */
let isPoisoned: boolean
const reports: string[] = []

beforeEach(() => {
  clock = fakeClock()
  reports.length = 0
  isPoisoned = false
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', topicId: 'integer', text: 'string' },
    rows: [1, 2].map((id) => ({ id, topicId: id, text: 'a' })),
  })
  grants = memoryStore<Grant>({
    entity: 'Grant',
    fields: { id: 'integer', userId: 'string', topicId: 'integer' },
    rows: [1, 2].map((id) => ({ id, userId: 'ada', topicId: id })),
  })
})

type Draft = Parameters<typeof notes.create>[0]
interface Options {
  readonly layer?: Partial<ChannelLayer>
  readonly resource?: Pick<ResourceOptions<Note, Draft, Draft>, 'groups' | 'dependsOn'>
  readonly codecs?: readonly Codec[]
}

function open({ layer = {}, resource = {}, codecs = [jsonCodec] }: Options = {}): Api {
  const real = memoryBus({ clock }).layer()
  const poison = (rows: readonly Note[]): readonly Note[] =>
    rows.map((row) => (isPoisoned && row.id === 1 ? { ...row, text: BigInt(1) as unknown as string } : row))
  return createApi({
    resources: [
      defineResource('notes', {
        store: {
          entity: 'Note',
          describe: () => notes.describe(),
          read: (keys) => poison(notes.read(keys)),
          find: (query) => poison(notes.find(query)),
          create: (data: Draft) => notes.create(data),
          update: (key, patch: Draft, where) => notes.update(key, patch, where),
          delete: (key, where) => notes.delete(key, where),
        },
        permissions: [
          {
            scope({ session }) {
              const mine = grants.find().filter(({ userId }) => userId === session.user?.id)
              return { topicId: { in: mine.map(({ topicId }) => topicId) } }
            },
          },
        ],
        dependsOn: [{ entity: 'Grant', users: ({ userId }) => (typeof userId === 'string' ? [userId] : undefined) }],
        ...resource,
      }),
    ],
    changes: [notes, grants],
    codecs,
    clock,
    authenticate: ({ token }) => ({ user: { id: String(token) } }),
    layer: {
      open: (events) => real.open(events),
      join: (group) => real.join(group),
      leave: (group) => real.leave(group),
      publish: (group, entry) => real.publish(group, entry),
      history: (group, since) => real.history(group, since),
      close: () => real.close(),
      ...layer,
    },
    report: (_error, { during }) => reports.push(during),
  })
}

const ada = (api: Api) => connect(api, { token: 'ada' })

describe('a row that cannot be written', () => {
  test('ends the views of it, and no others of its store', async () => {
    const api = open()
    const client = await ada(api)
    const bad = await client.subscribe({ resource: 'notes', where: { topicId: 1 } })
    const good = await client.subscribe({ resource: 'notes', where: { topicId: 2 } })
    isPoisoned = true
    notes.update(1, { text: 'b' })
    notes.update(2, { text: 'b' })
    await good.until((rows) => rows[0]?.['text'] === 'b')
    expect(await bad.next('end')).toMatchObject({
      error: { code: 'internal', message: 'The server failed.' },
      again: true,
    })
    await expect(client.subscribe({ resource: 'notes' })).rejects.toMatchObject({ code: 'internal' })
    const fields = await client.subscribe({ resource: 'notes', fields: ['id', 'topicId'] })
    expect(fields.rows).toHaveLength(2)
    expect(await client.request({ resource: 'notes', action: 'list' })).toMatchObject({ error: { code: 'internal' } })
    isPoisoned = false
    expect((await client.subscribe({ resource: 'notes' })).rows).toHaveLength(2)
    expect(new Set(reports)).toEqual(new Set(['feed', 'request']))
    await api.close()
    expect(clock.timers).toBe(0)
  })

  test('by the codec of one client ends the views of that client', async () => {
    const fussy: Codec = {
      ...jsonCodec,
      name: 'fussy',
      encode(frame) {
        const text = JSON.stringify(frame)
        if (text.includes('unwritable')) throw new Error('the codec cannot write it')
        return text
      },
    }
    const api = open({ codecs: [jsonCodec, fussy] })
    const [plain, other] = [await ada(api), await connect(api, { token: 'ada', codec: fussy })]
    const [view, lost] = [await plain.subscribe({ resource: 'notes' }), await other.subscribe({ resource: 'notes' })]
    notes.update(1, { text: 'unwritable' })
    await view.until((rows) => rows[0]?.['text'] === 'unwritable')
    expect(await lost.next('end')).toMatchObject({ error: { code: 'internal' }, again: true })
    notes.update(1, { text: 'fine' })
    await view.until((rows) => rows[0]?.['text'] === 'fine')
    expect((await other.subscribe({ resource: 'notes' })).rows).toHaveLength(2)
    await api.close()
    expect(clock.timers).toBe(0)
  })
})

describe('a rule that names groups or users and fails', () => {
  test('leaves the change to be heard by all', async () => {
    let broken = false
    const naming = groupBy('topicId')
    const api = open({
      resource: {
        groups: {
          ...naming,
          ofRow(row) {
            if (broken) throw new Error('the rule is broken')
            return naming.ofRow(row)
          },
        },
      },
    })
    const client = await ada(api)
    const view = await client.subscribe({ resource: 'notes', where: { topicId: 1 } })
    broken = true
    notes.update(1, { text: 'b' })
    await view.until((rows) => rows[0]?.['text'] === 'b')
    expect(reports).toEqual(['changes.groups'])
    await api.close()
  })

  test('has everybody asked anew, and the changes of its transaction are told', async () => {
    const api = open({
      resource: {
        dependsOn: [
          {
            entity: 'Grant',
            users: () => {
              throw new Error('the rule is broken')
            },
          },
          {
            entity: 'Note',
            users: () => {
              throw new Error('the rule is broken')
            },
          },
        ],
      },
    })
    const client = await ada(api)
    const view = await client.subscribe({ resource: 'notes' })
    grants.delete(1)
    await view.until((rows) => rows.length === 1)
    notes.update(2, { text: 'b' })
    await view.until((rows) => rows[0]?.['text'] === 'b')
    expect(reports).toEqual(['changes.dependsOn', 'changes.dependsOn'])
    await api.close()
  })
})

describe('without the layer', () => {
  test('what a session may see changes at once in the process that changed it', async () => {
    let isCut = false
    const bus = memoryBus({ clock }).layer()
    const api = open({
      layer: {
        open: (events) => bus.open(events),
        join: (group) => bus.join(group),
        leave: (group) => bus.leave(group),
        history: (group, since) => bus.history(group, since),
        publish: (group, entry) => (isCut ? Promise.reject(new Error('cut off')) : bus.publish(group, entry)),
        close: () => bus.close(),
      },
    })
    const client = await ada(api)
    const view = await client.subscribe({ resource: 'notes' })
    isCut = true
    grants.delete(1)
    await view.until((rows) => rows.length === 1)
    notes.update(1, { text: 'not for ada' })
    notes.update(2, { text: 'b' })
    await view.until((rows) => rows[0]?.['text'] === 'b')
    expect(client.received).not.toContain('not for ada')
    await expect(api.sessions.end({ user: 'ada' })).rejects.toThrow('cut off')
    expect(client.closed).toMatchObject({ code: 4440 })
    await api.close()
  })
})
