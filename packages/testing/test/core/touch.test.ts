import {
  type Api,
  type LayerEntry,
  type MemoryBus,
  type MemoryStore,
  createApi,
  defineResource,
  groupBy,
  memoryBus,
  memoryStore,
  userRecords,
} from '@rtapi/core'
import { type FakeClock, type FaultyLayer, connect, fakeClock, faultyLayer } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Gated, gated } from './gated.ts'

type Task = { id: number; projectId: number; title: string; secret: string }
type Grant = { id: number; projectId: number; userId: string }

let clock: FakeClock
let bus: MemoryBus
/** Written unseen: no change source announces what happens in them. */
let tasks: MemoryStore<Task>
let grants: MemoryStore<Grant>
let users: MemoryStore<{ id: string }>
let here: Process
let there: Process

/** One process: an API, the doors before its store, and what it published. */
interface Process {
  readonly api: ReturnType<typeof createTaskApi>
  readonly store: Gated<Task>
  readonly layer: FaultyLayer
  readonly published: LayerEntry[]
  readonly reports: string[]
  /** How often rules and credentials were asked. */
  readonly asked: { scope: number; authenticate: number }
}

function createTaskApi(process: Omit<Process, 'api'>) {
  const { store, layer, asked, reports, published } = process
  return createApi({
    resources: [
      defineResource('tasks', {
        store: store.store,
        fields: ['id', 'projectId', 'title'],
        lookups: { titled: { field: 'title', operator: 'startsWith' } },
        groups: groupBy('projectId'),
        permissions: [
          {
            scope({ session }) {
              asked.scope++
              const own = grants.find().filter(({ userId }) => userId === session.user?.id)
              return { projectId: { in: own.map(({ projectId }) => projectId) } }
            },
          },
        ],
        dependsOn: [{ entity: 'Grant', users: ({ userId }) => [userId as string] }],
      }),
      defineResource('grants', { store: grants, permissions: [{ scope: () => true }] }),
      defineResource('users', { store: users, permissions: [] }),
    ],
    changes: [],
    sessionRules: [userRecords({ entity: 'User' })],
    authenticate({ token }) {
      asked.authenticate++
      return { user: { id: String(token) } }
    },
    clock,
    layer: {
      open: (events) => layer.open(events),
      join: (group) => layer.join(group),
      leave: (group) => layer.leave(group),
      publish(group, entry) {
        published.push(entry)
        return layer.publish(group, entry)
      },
      history: (group, since) => layer.history(group, since),
      close: () => layer.close(),
    },
    limits: { coarseKeys: 5 },
    report: (_error, { during }) => reports.push(during),
  })
}

function start(seed: number, options?: { readonly late: boolean }): Process {
  const layer = faultyLayer(bus.layer(), { seed, clock })
  const process = {
    store: gated(tasks, options),
    layer,
    published: [],
    reports: [],
    asked: { scope: 0, authenticate: 0 },
  }
  return { ...process, api: createTaskApi(process) }
}

beforeEach(() => {
  clock = fakeClock()
  bus = memoryBus({ clock })
  tasks = memoryStore<Task>({
    entity: 'Task',
    fields: { id: 'integer', projectId: 'integer', title: 'string', secret: 'string' },
    rows: [1, 2, 3, 4].map((id) => ({ id, projectId: id > 2 ? 8 : 7, title: 'old', secret: '' })),
  })
  grants = memoryStore<Grant>({
    entity: 'Grant',
    fields: { id: 'integer', projectId: 'integer', userId: 'string' },
    rows: [7, 8].map((projectId) => ({ id: projectId, projectId, userId: 'ada' })),
  })
  users = memoryStore<{ id: string }>({ entity: 'User', fields: { id: 'string' } })
  here = start(1)
  there = start(2)
})

afterEach(async () => {
  for (const { api } of [here, there]) await api.close()
  await clock.settle()
  expect(clock.timers).toBe(0)
})

/** Lets the work go on that a call has deferred, and answers what the call did. */
async function settled<T>(call: Promise<T>): Promise<T> {
  const outcome = call.then(
    (value) => () => value,
    (error: unknown) => () => {
      throw error
    },
  )
  await clock.settle()
  return (await outcome)()
}

async function viewOn({ api }: { readonly api: Api }, where?: Record<string, number>, limit?: number) {
  const client = await connect(api, { token: 'ada' })
  return client.subscribe({
    resource: 'tasks',
    ...(where === undefined ? {} : { where }),
    ...(limit === undefined ? {} : { limit }),
  })
}

const titles = (view: { readonly rows: readonly Record<string, unknown>[] }) => view.rows.map(({ title }) => title)

describe('without a filter', () => {
  test('every view of the resource is brought up to date, on every process, rows that stay inside too', async () => {
    const [all, seven, far] = [await viewOn(here), await viewOn(here, { projectId: 7 }), await viewOn(there)]
    tasks.update(1, { title: 'new' })
    tasks.delete(2)
    tasks.create({ projectId: 8, title: 'more', secret: '' })
    await clock.settle()
    expect([titles(all), titles(seven), titles(far)].flat()).not.toContain('new')
    await settled(here.api.touch('tasks'))
    expect(all.rows).toEqual(far.rows)
    expect(titles(all)).toEqual(['new', 'old', 'old', 'more'])
    expect(titles(seven)).toEqual(['new'])
    expect([all, seven, far].flatMap(({ resets }) => resets)).toEqual([])
  })

  test('it is done when the views of this process have caught up, and not before', async () => {
    const view = await viewOn(here)
    tasks.update(1, { title: 'new' })
    here.store.find.close()
    let done = false
    const touching = here.api.touch('tasks').then(() => (done = true))
    await clock.settle()
    expect(done).toBe(false)
    here.store.find.open()
    await settled(touching)
    expect(titles(view)).toContain('new')
  })

  test('it is done while another process still reads', async () => {
    await viewOn(there)
    there.store.find.close()
    await settled(here.api.touch('tasks'))
    there.store.find.open()
    await clock.settle()
  })
})

describe('with a filter', () => {
  test('what matches now is read again, for views of other records as well', async () => {
    const [seven, eight] = [await viewOn(here, { projectId: 7 }), await viewOn(there, { projectId: 8 })]
    // From the view of others into the filter: neither was told, and only one of the views can show it now.
    tasks.update(3, { projectId: 7, title: 'moved' })
    await settled(here.api.touch('tasks', { projectId: 7 }))
    expect(titles(seven)).toEqual(['old', 'old', 'moved'])
    expect(eight.keys).toEqual([4])
  })

  test('what matched before, and was deleted or has left the filter, is found where it is shown', async () => {
    const [seven, all] = [await viewOn(here, { projectId: 7 }), await viewOn(there)]
    tasks.delete(1)
    tasks.update(2, { projectId: 8 })
    await settled(here.api.touch('tasks', { projectId: 7 }))
    expect(seven.keys).toEqual([])
    expect(all.rows.map(({ id, projectId }) => [id, projectId])).toEqual([
      [2, 8],
      [3, 8],
      [4, 8],
    ])
  })

  test('a record that has moved is told to the view of its new place where some view showed it in the old', async () => {
    const [seven, eight] = [await viewOn(here, { projectId: 7 }), await viewOn(here, { projectId: 8 })]
    tasks.update(2, { projectId: 8 })
    await settled(here.api.touch('tasks', { projectId: 7 }))
    expect([seven.keys, eight.keys]).toEqual([[1], [2, 3, 4]])
  })

  test('the new place is named, too, where nobody may have shown it in the old', async () => {
    const eight = await viewOn(here, { projectId: 8 })
    tasks.update(2, { projectId: 8 })
    await settled(here.api.touch('tasks', { projectId: 7 }))
    expect(eight.keys).toEqual([3, 4])
    await settled(here.api.touch('tasks', { projectId: { in: [7, 8] } }))
    expect(eight.keys).toEqual([2, 3, 4])
  })

  test('views that cannot show such records are not queried again', async () => {
    await viewOn(here, { projectId: 7 })
    await viewOn(here, { projectId: 8 })
    const before = here.store.calls.find
    await settled(here.api.touch('tasks', { projectId: 7 }))
    // Which records match, and the view of project 7.
    expect(here.store.calls.find - before).toBe(2)
  })

  test('a row enters a window, and the one behind it leaves', async () => {
    const first = await viewOn(here, undefined, 2)
    tasks.delete(1)
    await settled(here.api.touch('tasks', { titled: 'old' }))
    expect(first.keys).toEqual([2, 3])
  })

  test('as many records as can be named are named; one more, and all views are queried again', async () => {
    tasks.create({ projectId: 7, title: 'five', secret: '' })
    await settled(here.api.touch('tasks', { projectId: { in: [7, 8] } }))
    expect(here.published.filter(({ type }) => type === 'changes')).not.toEqual([])
    here.published.length = 0
    tasks.create({ projectId: 7, title: 'six', secret: '' })
    const other = await viewOn(there, { projectId: 9 })
    const before = there.store.calls.find
    await settled(here.api.touch('tasks', { projectId: { in: [7, 8] } }))
    expect(new Set(here.published.map((entry) => JSON.stringify(entry)))).toEqual(
      new Set([JSON.stringify({ type: 'coarse', tx: 'touch', entity: 'Task' })]),
    )
    expect(there.store.calls.find).toBe(before + 1)
    expect(other.rows).toEqual([])
  })

  test('fields that clients never see, lookups and dates may be named', async () => {
    const view = await viewOn(here)
    tasks.update(1, { title: 'new', secret: 'x' })
    // The types of the filter are those of clients.
    await settled(here.api.touch('tasks', { secret: 'x' } as object))
    expect(titles(view)).toContain('new')
    tasks.update(2, { title: 'newer' })
    await settled(here.api.touch('tasks', { titled: 'newe' }))
    expect(titles(view)).toContain('newer')
  })
})

describe('permissions', () => {
  test('a touched record on which scopes depend has them asked anew, on every process', async () => {
    const [near, far] = [await viewOn(here), await viewOn(there)]
    grants.delete(8)
    await settled(here.api.touch('grants', { projectId: 8 }))
    expect([near.keys, far.keys]).toEqual([
      [1, 2],
      [1, 2],
    ])
  })

  test('it is done when the rules have been asked, and what they let through is shown', async () => {
    const view = await viewOn(here)
    const before = { ...here.asked }
    grants.create({ projectId: 9, userId: 'ada' })
    tasks.create({ projectId: 9, title: 'nine', secret: '' })
    await settled(here.api.touch('grants'))
    expect(titles(view)).toContain('nine')
    expect(here.asked).toEqual({ scope: before.scope + 1, authenticate: before.authenticate })
  })

  test('touched users are authenticated anew, on every process', async () => {
    await viewOn(here)
    await viewOn(there)
    const before = [here.asked.authenticate, there.asked.authenticate]
    await settled(here.api.touch('users', { id: 'ada' }))
    expect([here.asked.authenticate, there.asked.authenticate]).toEqual(before.map((count) => count + 1))
  })
})

describe('what it refuses', () => {
  test.each([
    ['an unknown resource', 'task', undefined, "there is no resource 'task'; there are tasks, grants, users"],
    ['an unknown field', 'tasks', { project: 7 }, "unknown field 'project' in where"],
    ['a value of another type', 'tasks', { projectId: 'seven' }, 'where.projectId'],
    ['what is no filter', 'tasks', 7, 'where: expected an object'],
  ])('%s', async (_, resource, where, message) => {
    await viewOn(here)
    const before = here.published.length
    const touch = (...touched: unknown[]) => here.api.touch(...(touched as ['tasks']))
    await expect(settled(touch(resource, where))).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringContaining(message) as string,
    })
    expect(here.published).toHaveLength(before)
  })

  test('a store that fails or hangs: nothing is announced', async () => {
    await here.api.ready
    const failing = createApi({
      resources: [
        defineResource('tasks', {
          store: {
            ...here.store.store,
            find() {
              throw new Error('gone')
            },
          },
          permissions: [{ scope: () => true }],
        }),
      ],
      clock,
    })
    await expect(settled(failing.touch('tasks', { projectId: 7 }))).rejects.toMatchObject({ code: 'unavailable' })
    await failing.close()
    here.store.find.close()
    const hanging = here.api.touch('tasks', { projectId: 7 })
    const outcome = expect(hanging).rejects.toMatchObject({ code: 'timeout' })
    await clock.settle()
    await clock.advance(5_000)
    await outcome
    expect(here.published).toEqual([])
    here.store.find.open()
  })

  test('a closed API', async () => {
    await here.api.close()
    await expect(here.api.touch('tasks')).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('a layer that is cut: this process catches up, and the caller knows of the others', async () => {
    const [near, far] = [await viewOn(here), await viewOn(there)]
    tasks.update(1, { title: 'new' })
    here.layer.cut()
    await expect(settled(here.api.touch('tasks', { projectId: 7 }))).rejects.toMatchObject({ code: 'unavailable' })
    expect(titles(near)).toContain('new')
    expect(titles(far)).not.toContain('new')
    here.layer.heal()
    await settled(here.api.touch('tasks', { projectId: 7 }))
    expect(titles(far)).toContain('new')
  })
})

describe('at the wrong moment', () => {
  test('during a snapshot that was read before the write: it is read again', async () => {
    const late = start(3, { late: true })
    const client = await connect(late.api, { token: 'ada' })
    late.store.find.close()
    const opening = client.subscribe({ resource: 'tasks' })
    await clock.settle()
    expect(late.store.find.waiting).toBe(1)
    tasks.update(1, { title: 'new' })
    const touching = late.api.touch('tasks')
    await clock.settle()
    late.store.find.open()
    const view = await opening
    await settled(touching)
    expect(titles(view)).toContain('new')
    expect(view.resets).toEqual([])
    await late.api.close()
  })

  test('while a view is queried because of another touch: the query is asked once more', async () => {
    const view = await viewOn(here)
    here.store.find.close()
    const first = here.api.touch('tasks')
    await clock.settle()
    const second = here.api.touch('tasks')
    await clock.settle()
    here.store.find.letOne()
    await clock.settle()
    // The first query has been answered; the second touch wants one that began after it.
    tasks.update(1, { title: 'new' })
    here.store.find.open()
    await settled(Promise.all([first, second]))
    expect(titles(view)).toContain('new')
  })

  test('after a client has come back and kept its rows: they are not what the view had when it was read', async () => {
    const view = await viewOn(here)
    const client = await connect(here.api, { token: 'ada' })
    const left = await client.subscribe({ resource: 'tasks' })
    await client.close()
    tasks.update(1, { title: 'new' })
    const again = await connect(here.api, { token: 'ada' })
    const back = await again.resubscribe(left)
    expect(titles(back)).toEqual(['old', 'old', 'old', 'old'])
    await settled(here.api.touch('tasks'))
    expect(titles(back)).toEqual(['new', 'old', 'old', 'old'])
    expect(back.resets).toEqual([])
    const before = view.log.length
    await settled(here.api.touch('tasks'))
    expect(view.log).toHaveLength(before)
  })

  test('and the only viewer goes: it is done, and nothing is left of the feed', async () => {
    const client = await connect(here.api, { token: 'ada' })
    const view = await client.subscribe({ resource: 'tasks' })
    here.store.find.close()
    const touching = here.api.touch('tasks')
    await clock.settle()
    client.send({ type: 'unsubscribe', id: view.id })
    await settled(touching)
    expect(here.api.stats().feeds).toBe(0)
    here.store.find.open()
    await clock.settle()
    expect(here.api.stats()).toMatchObject({ feeds: 0, timers: 1 })
  })

  test('and the API is closed: nobody waits for ever', async () => {
    await viewOn(here)
    here.store.find.close()
    const touching = here.api.touch('tasks')
    await clock.settle()
    await settled(here.api.close())
    await settled(touching)
    here.store.find.open()
  })
})
