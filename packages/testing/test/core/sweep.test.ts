import {
  type Api,
  type ApiOptions,
  type ChannelLayer,
  type MemoryStore,
  createApi,
  defineResource,
  memoryBus,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type FaultyLayer, type TestClient, connect, fakeClock, faultyLayer } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Door, type Gated, gated } from './gated.ts'

type Task = { id: number; projectId: number; title: string }
type Grant = { id: number; projectId: number }

const INTERVAL = 60_000
/** A look at what is due comes with each of these. */
const TICK = 250

let clock: FakeClock
let layer: FaultyLayer
let tasks: MemoryStore<Task>
let grants: MemoryStore<Grant>
let store: Gated<Task>
let rule: Door
let asked: { scope: number }
let failing: { store: boolean; rule: boolean }
let reports: string[]
let api: Api
let client: TestClient

beforeEach(() => {
  clock = fakeClock()
  layer = faultyLayer(memoryBus({ clock }).layer(), { seed: 1, clock })
  tasks = memoryStore<Task>({
    entity: 'Task',
    fields: { id: 'integer', projectId: 'integer', title: 'string' },
    rows: [1, 2, 3, 4].map((id) => ({ id, projectId: id > 2 ? 8 : 7, title: 'old' })),
  })
  grants = memoryStore<Grant>({
    entity: 'Grant',
    fields: { id: 'integer', projectId: 'integer' },
    rows: [7, 8].map((projectId) => ({ id: projectId, projectId })),
  })
  store = gated(tasks)
  rule = new Door()
  asked = { scope: 0 }
  failing = { store: false, rule: false }
  reports = []
})

afterEach(async () => {
  await api.close()
  await clock.settle()
  expect(clock.timers).toBe(0)
  expect(api.stats()).toMatchObject({ connections: 0, subscriptions: 0, feeds: 0, timers: 0 })
})

/** What nobody announces: the stores are no change sources, unless it is asked for. */
async function start(
  options: Partial<ApiOptions<[]>> & { readonly gates?: Gated<Task>; readonly isSwept?: boolean } = {},
): Promise<void> {
  const { gates = store, isSwept = true, ...rest } = options
  const unsteady = {
    ...gates.store,
    find(query: Parameters<typeof gates.store.find>[0]) {
      if (failing.store) throw new Error('the database is away')
      return gates.store.find(query)
    },
  }
  const scope = () => {
    asked.scope++
    return rule.pass(() => {
      if (failing.rule) throw new Error('the database is away')
      return { projectId: { in: grants.find().map(({ projectId }) => projectId) } }
    })
  }
  api = createApi({
    clock,
    layer,
    limits: { heartbeatInterval: 1e9 },
    report: (_error, { during }) => reports.push(during),
    ...(isSwept ? { sweep: { interval: INTERVAL, jitter: 0 } } : {}),
    ...rest,
    resources: [
      defineResource('tasks', { store: unsteady, permissions: [{ scope }], dependsOn: [{ entity: 'Grant' }] }),
    ],
  })
  client = await connect(api)
}

const subscribe = (where?: Record<string, number>) =>
  client.subscribe({ resource: 'tasks', ...(where === undefined ? {} : { where }) })
const titles = (view: { readonly rows: readonly Record<string, unknown>[] }) => view.rows.map(({ title }) => title)
/** Until what is due after an interval has been done. */
const interval = () => clock.advance(INTERVAL + TICK)

describe('a write that nobody announces', () => {
  test('is shown after the interval: what came, what went, and what changed inside', async () => {
    await start()
    const view = await subscribe()
    tasks.update(1, { title: 'new' })
    tasks.delete(2)
    tasks.create({ projectId: 7, title: 'more' })
    await clock.advance(INTERVAL - TICK)
    expect(titles(view)).toEqual(['old', 'old', 'old', 'old'])
    await clock.advance(2 * TICK)
    expect(view.rows).toEqual(tasks.find())
    expect(view.resets).toEqual([])
  })

  test('is never shown without the option', async () => {
    await start({ isSwept: false })
    const view = await subscribe()
    tasks.update(1, { title: 'new' })
    await clock.advance(10 * INTERVAL)
    expect(titles(view)).not.toContain('new')
    expect(store.calls.find).toBe(1)
  })

  test('of a grant is found out, too: rows appear and disappear', async () => {
    await start()
    const view = await subscribe()
    grants.delete(8)
    await interval()
    expect(view.keys).toEqual([1, 2])
    grants.create({ id: 8, projectId: 8 })
    await interval()
    expect(view.keys).toEqual([1, 2, 3, 4])
    expect(view.resets).toEqual([])
  })
})

test('a client that came back and kept its rows is told what has become of them', async () => {
  await start()
  const left = await subscribe()
  await client.close()
  tasks.update(1, { title: 'new' })
  client = await connect(api)
  const back = await client.resubscribe(left)
  expect(titles(back)).not.toContain('new')
  await interval()
  expect(titles(back)).toContain('new')
  expect(back.resets).toEqual([])
})

describe('what it costs', () => {
  test('no timer of its own, and none at all without connections', async () => {
    await start()
    await subscribe()
    expect(api.stats().timers).toBe(1)
    await client.close()
    await clock.settle()
    expect(api.stats().timers).toBe(0)
    await clock.advance(10 * INTERVAL)
    expect(store.calls.find).toBe(1)
  })

  test('one query for each distinct view, and nothing is sent where nothing has changed', async () => {
    await start()
    for (const where of [undefined, { projectId: 7 }, { projectId: 8 }]) await subscribe(where)
    const second = await connect(api)
    await second.subscribe({ resource: 'tasks' })
    await clock.settle()
    const [finds, frames] = [store.calls.find, client.frames.length]
    await interval()
    expect(store.calls.find - finds).toBe(3)
    expect(client.frames).toHaveLength(frames)
  })

  test('never more than a quarter of the snapshots at once, and new views need not wait', async () => {
    await start({ limits: { snapshots: 8, heartbeatInterval: 1e9 } })
    for (let id = 1; id <= 6; id++) await subscribe({ id })
    store.find.close()
    await interval()
    expect(store.find.waiting).toBe(2)
    const opening = subscribe({ projectId: 7 })
    await clock.settle()
    expect(store.find.waiting).toBe(3)
    store.find.letOne()
    await clock.settle()
    expect(store.find.waiting).toBe(3)
    store.find.open()
    expect((await opening).keys).toEqual([1, 2])
  })

  test('a view that was queried meanwhile is left out until its interval is over', async () => {
    await start()
    await subscribe()
    await clock.advance(INTERVAL / 2)
    const touching = api.touch('tasks')
    await clock.settle()
    await touching
    const before = store.calls.find
    await clock.advance(INTERVAL / 2 + TICK)
    expect(store.calls.find).toBe(before)
    await clock.advance(INTERVAL / 2)
    expect(store.calls.find).toBe(before + 1)
  })

  test('the rules of a resource that depends on nothing are not asked', async () => {
    clock = fakeClock()
    let rules = 0
    const scope = () => {
      rules++
      return true
    }
    api = createApi({
      clock,
      sweep: { interval: INTERVAL },
      resources: [defineResource('tasks', { store: tasks, permissions: [{ scope }] })],
    })
    client = await connect(api)
    await subscribe()
    const before = rules
    await interval()
    expect(rules).toBe(before)
  })
})

describe('when something fails', () => {
  test('a store that is away is reported, views keep their rows, and it is asked again soon but not at once', async () => {
    await start()
    const view = await subscribe()
    tasks.update(1, { title: 'new' })
    failing.store = true
    await interval()
    expect(reports).toEqual(['store.find'])
    expect(titles(view)).toEqual(['old', 'old', 'old', 'old'])
    expect(api.stats().timers).toBe(1)
    await clock.advance(INTERVAL / 20)
    expect(reports).toHaveLength(1)
    failing.store = false
    await clock.advance(INTERVAL / 10)
    expect(titles(view)).toContain('new')
    expect(view.resets).toEqual([])
  })

  test('a store that hangs holds one place until its time is over', async () => {
    await start()
    const view = await subscribe()
    tasks.update(1, { title: 'new' })
    store.find.close()
    await interval()
    await clock.advance(5_000)
    expect(reports).toEqual(['store.find'])
    store.find.open()
    await clock.advance(INTERVAL / 10 + TICK)
    expect(titles(view)).toContain('new')
  })

  test('a rule that fails ends nothing and holds nothing back', async () => {
    await start({ changes: [tasks] })
    const view = await subscribe()
    failing.rule = true
    await interval()
    expect(reports).toEqual(['permission.scope'])
    tasks.update(1, { title: 'new' })
    await clock.settle()
    expect(titles(view)).toContain('new')
    grants.delete(8)
    failing.rule = false
    await clock.advance(INTERVAL / 10 + TICK)
    expect(view.keys).toEqual([1, 2])
    expect(view.end).toBeUndefined()
  })

  test('a view that has come to hold too many rows ends as any other', async () => {
    await start({ limits: { viewRows: 4, heartbeatInterval: 1e9 } })
    const view = await subscribe()
    tasks.create({ projectId: 7, title: 'one too many' })
    await interval()
    expect(view.resets).toEqual(['overflow'])
    expect(view.end?.error?.code).toBe('limit_exceeded')
  })
})

describe('at the wrong moment', () => {
  test('a query read before a change does not overwrite what is newer', async () => {
    const late = gated(tasks, { late: true })
    await start({ changes: [tasks], gates: late })
    const view = await subscribe()
    late.find.close()
    await interval()
    expect(late.find.waiting).toBe(1)
    tasks.update(1, { title: 'newer' })
    tasks.delete(2)
    await clock.settle()
    expect(titles(view)).toEqual(['newer', 'old', 'old'])
    const before = view.log.length
    late.find.open()
    await clock.settle()
    expect(titles(view)).toEqual(['newer', 'old', 'old'])
    expect(view.log).toHaveLength(before)
    tasks.update(1, { title: 'newest' })
    await clock.settle()
    expect(titles(view)).toEqual(['newest', 'old', 'old'])
  })

  test('a change that is under way when the query is answered comes out once, and newest', async () => {
    const late = gated(tasks, { late: true })
    await start({ changes: [tasks], gates: late })
    const view = await subscribe()
    late.find.close()
    await interval()
    late.read.close()
    tasks.update(1, { title: 'newer' })
    late.find.open()
    await clock.settle()
    expect(late.read.waiting).toBe(1)
    tasks.update(1, { title: 'newest' })
    await clock.settle()
    late.read.open()
    await clock.settle()
    expect(titles(view)).toEqual(['newest', 'old', 'old', 'old'])
    const told = view.log.flatMap((message) => (message.type === 'changes' ? message.changes : []))
    expect(told.map(({ data }) => data?.['title'])).toEqual(['newer', 'newest'])
  })

  test('while the layer is cut, what this process can read is shown; when it is back the view stands', async () => {
    await start()
    const view = await subscribe()
    layer.cut()
    tasks.update(1, { title: 'new' })
    await interval()
    expect(titles(view)).toContain('new')
    layer.heal()
    await clock.advance(5_000)
    tasks.update(2, { title: 'newer' })
    await interval()
    expect(titles(view)).toContain('newer')
  })

  test('a view that is lost and made anew while it is queried is left to that', async () => {
    const late = gated(tasks, { late: true })
    let lose: (() => void) | undefined
    const real = memoryBus({ clock }).layer()
    const losing: ChannelLayer = {
      open(events) {
        lose = () => events.lost()
        return real.open(events)
      },
      join: (group) => real.join(group),
      leave: (group) => real.leave(group),
      publish: (group, entry) => real.publish(group, entry),
      history: (group, since) => real.history(group, since),
      close: () => real.close(),
    }
    await start({ gates: late, layer: losing })
    const view = await subscribe()
    late.find.close()
    await interval()
    expect(late.find.waiting).toBe(1)
    tasks.update(1, { title: 'new' })
    lose?.()
    await clock.settle()
    late.find.open()
    await view.until((rows) => rows[0]?.['title'] === 'new')
    expect(view.resets).toEqual(['gap'])
    const before = late.calls.find
    await interval()
    expect(late.calls.find).toBe(before + 1)
  })

  test('the only viewer goes while its view is queried', async () => {
    await start()
    const view = await subscribe()
    store.find.close()
    await interval()
    client.send({ type: 'unsubscribe', id: view.id })
    await clock.settle()
    expect(api.stats().feeds).toBe(0)
    store.find.open()
    await clock.settle()
    await subscribe()
    await interval()
    expect(store.calls.find).toBe(4)
  })

  test('the API is closed while views are queried and rules asked', async () => {
    await start()
    await subscribe()
    store.find.close()
    rule.close()
    await interval()
    expect([store.find.waiting, rule.waiting]).toEqual([1, 1])
    const closing = api.close()
    await clock.settle()
    await closing
    store.find.open()
    rule.open()
    const before = { ...store.calls }
    await clock.advance(2 * INTERVAL)
    expect(store.calls).toEqual(before)
  })

  test('a grant goes while views are queried: nothing of it is told afterwards', async () => {
    const late = gated(tasks, { late: true })
    await start({ changes: [grants], gates: late })
    const view = await subscribe()
    late.find.close()
    tasks.update(3, { title: 'secret' })
    await interval()
    grants.delete(8)
    await clock.settle()
    late.find.open()
    await view.until((rows) => rows.length === 2)
    await clock.settle()
    expect(client.received).not.toContain('secret')
    expect(view.keys).toEqual([1, 2])
  })

  test('a grant goes while the sweep asks the rule: the older answer counts for nothing', async () => {
    await start({ changes: [grants] })
    const view = await subscribe()
    rule.close()
    await interval()
    expect(rule.waiting).toBe(1)
    grants.delete(8)
    await clock.settle()
    expect(rule.waiting).toBe(2)
    rule.letOne('last')
    await view.until((rows) => rows.length === 2)
    rule.open()
    await clock.settle()
    expect(view.keys).toEqual([1, 2])
    expect(view.resets).toEqual([])
  })
})
