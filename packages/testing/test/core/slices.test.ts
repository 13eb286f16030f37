import {
  type Api,
  type Change,
  type ChangeSource,
  type ChannelLayer,
  type Clock,
  type MemoryStore,
  type ServerMessage,
  type WireChange,
  type WireRow,
  allowAny,
  createApi,
  defineResource,
  memoryBus,
  memoryStore,
} from '@rtapi/core'
import { type FakeClock, type TestClient, type TestView, connect, fakeClock } from '@rtapi/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { turn } from '../../src/event-loop.ts'
import { type Gated, gated } from './gated.ts'

type Note = { id: number; text: string }

/** Far more than is looked at before it is asked whether a slice is over. */
const ROWS = 200

let clock: FakeClock
let notes: MemoryStore<Note>
let store: Gated<Note>
let emit: Parameters<ChangeSource['start']>[0]
let lose: () => void
let reports: string[]
let api: Api

/** A state of a row, big enough for all rows to be more than a frame holds. */
const state = (name: string): string => name.padEnd(1_000, '.')
const nameOf = (row: { readonly [field: string]: unknown } | undefined) => String(row?.['text']).replaceAll('.', '')
const names = (view: TestView): ReadonlySet<string> => new Set(view.rows.map(nameOf))

/** Each look at it takes a while: every slice is over at the second look. */
function hurried(): Clock {
  let looks = 0
  // With `settle`, clients that wait let turns pass as they do with the clock itself.
  return Object.assign<Clock, Pick<FakeClock, 'settle'>>(
    {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + 25 * looks++,
      setTimer: (delay, run) => clock.setTimer(delay, run),
      defer: (run) => clock.defer(run),
    },
    { settle: () => clock.settle() },
  )
}

beforeEach(() => {
  clock = fakeClock()
  notes = memoryStore<Note>({
    entity: 'Note',
    fields: { id: 'integer', text: 'string' },
    rows: Array.from({ length: ROWS }, (_, i) => ({ id: i + 1, text: state('first') })),
  })
  store = gated(notes)
  reports = []
  const real = memoryBus({ clock }).layer()
  const layer: ChannelLayer = {
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
  api = createApi({
    clock: hurried(),
    layer,
    resources: [defineResource('notes', { store: store.store, permissions: [allowAny] })],
    changes: [{ start: (given) => void (emit = given), stop: () => undefined }],
    limits: {
      snapshotPart: 20_000,
      loopLag: Infinity,
      heartbeatInterval: 1e9,
      sendTimeout: 1e9,
      rate: 1e9,
      burst: 1e9,
    },
    report: (error, { during }) => reports.push(`${during}: ${String(error)}`),
  })
})

afterEach(async () => {
  await clock.settle()
  await api.close()
  await clock.settle()
  expect(api.stats()).toMatchObject({ connections: 0, subscriptions: 0, feeds: 0, timers: 0 })
  expect(clock.timers).toBe(0)
  expect(reports).toEqual([])
})

/** Lets turns of the event loop pass until this is so, and answers how many. */
async function until(isSo: () => boolean): Promise<number> {
  for (let turns = 0; turns < 500; turns++) {
    if (isSo()) return turns
    clock.tick()
    for (let i = 0; i < 3; i++) await turn()
  }
  throw new Error('it does not come to this')
}

/** Every row changes in one transaction: announced as such, or each by its key. */
function changeAll(name: string, how: 'coarse' | 'keys'): void {
  for (let id = 1; id <= ROWS; id++) notes.update(id, { text: state(name) })
  const keys = Array.from({ length: ROWS }, (_, i): Change => ({
    type: 'change',
    entity: 'Note',
    key: i + 1,
    action: 'update',
  }))
  emit({ tx: name, changes: how === 'keys' ? keys : [{ type: 'coarse', entity: 'Note' }] })
}

function change(id: number, name: string): void {
  notes.update(id, { text: state(name) })
  emit({ tx: name, changes: [{ type: 'change', entity: 'Note', key: id, action: 'update' }] })
}

const subscribe = (client: TestClient): Promise<TestView> => client.subscribe({ resource: 'notes' })
const changesOf = (view: TestView) => view.log.filter((message) => message.type === 'changes')
const isRow = (change: WireChange): change is WireChange & WireRow => change.data !== undefined
/** The states of a row in the order in which the view was told of them. */
const toldOf = (view: TestView, id: number): readonly string[] =>
  view.log
    .flatMap((message): readonly WireRow[] => {
      if (message.type === 'changes') return message.changes.filter(isRow)
      return message.type === 'snapshot' ? message.rows : []
    })
    .filter(({ key }) => key === id)
    .map(({ data }) => nameOf(data))

/** A view of which the client has been sent the first part of a difference, and not the rest. */
async function halfWay(how: 'coarse' | 'keys'): Promise<{ readonly client: TestClient; readonly view: TestView }> {
  const client = await connect(api)
  const view = await subscribe(client)
  changeAll('second', how)
  await until(() => client.messages.some(isOfChanges) || changesOf(view).length > 0)
  expect(names(view)).toEqual(new Set(['first', 'second']))
  return { client, view }
}

const isOfChanges = ({ type }: ServerMessage): boolean => type === 'changes'

test('a snapshot of many rows takes turns, in which others are served', async () => {
  const [client, other] = [await connect(api), await connect(api)]
  const partsOf = () => client.messages.filter(({ type }) => type === 'snapshot')
  client.send({ type: 'subscribe', id: 's', resource: 'notes' })
  await until(() => store.calls.find === 1)
  other.send({ type: 'request', id: 'r', resource: 'notes', action: 'get', key: 1 })
  await until(() => other.messages.some(({ type }) => type === 'reply'))
  expect(partsOf()).toEqual([])
  expect(await until(() => partsOf().length > 0)).toBeGreaterThan(2)
  // Each part is made in its turn, too.
  expect(await until(() => partsOf().some((part) => part.type === 'snapshot' && part.done))).toBeGreaterThan(2)
  expect(partsOf().length).toBeGreaterThan(5)
})

test.each(['coarse', 'keys'] as const)(
  'a large difference goes out in parts, each in a turn of its own: %s',
  async (how) => {
    const { view } = await halfWay(how)
    expect(await until(() => names(view).size === 1)).toBeGreaterThan(5)
    const told = changesOf(view)
    expect(told.length).toBeGreaterThan(5)
    const keys = told.flatMap(({ changes }) => changes.map(({ key }) => key))
    expect(new Set(keys).size).toBe(ROWS)
    expect(keys).toHaveLength(ROWS)
    // Only the last leads on.
    expect(told.map(({ from, to }) => from === to)).toEqual(told.map((_, i) => i < told.length - 1))
  },
)

describe.each(['coarse', 'keys'] as const)('between the parts of a difference (%s)', (how) => {
  test('a change of one of its rows does not overtake it', async () => {
    const { view } = await halfWay(how)
    change(ROWS, 'third')
    await clock.settle()
    expect(toldOf(view, ROWS)).toEqual(['first', 'second', 'third'])
    expect(names(view)).toEqual(new Set(['second', 'third']))
  })

  test('who comes is shown the newest, and nothing older afterwards', async () => {
    await halfWay(how)
    const late = await connect(api)
    const opening = subscribe(late)
    await until(() => api.stats().subscriptions === 2)
    change(ROWS, 'third')
    const view = await opening
    await clock.settle()
    expect(view.rows).toEqual(notes.find())
    expect([['third'], ['second', 'third']]).toContainEqual(toldOf(view, ROWS))
    change(1, 'fourth')
    await clock.settle()
    expect(view.rows).toEqual(notes.find())
  })

  test('who goes and comes back gets what is missing', async () => {
    const { client, view } = await halfWay(how)
    const stays = await connect(api)
    await stays.subscribe({ resource: 'notes' })
    await client.close()
    await clock.settle()
    const again = await connect(api)
    const back = await again.resubscribe(view)
    await clock.settle()
    expect(names(back)).toEqual(new Set(['second']))
  })

  test('who leaves while another stays hears no more, and the other all of it', async () => {
    const [client, other] = [await connect(api), await connect(api)]
    const [view, stays] = [await subscribe(client), await subscribe(other)]
    changeAll('second', how)
    await until(() => changesOf(view).length > 0)
    const told = view.log.length
    client.send({ type: 'unsubscribe', id: view.id })
    await clock.settle()
    expect(view.end).toBeDefined()
    expect(view.log.slice(told).map(({ type }) => type)).toEqual(['end'])
    expect(names(stays)).toEqual(new Set(['second']))
    expect(stays.resets).toEqual([])
  })

  test('all leave', async () => {
    const { client } = await halfWay(how)
    await client.close()
    await clock.settle()
    expect(api.stats().feeds).toBe(0)
  })

  test('continuity is lost: the view begins anew, with nothing of the rest behind it', async () => {
    const { view } = await halfWay(how)
    const late = await connect(api)
    const opening = subscribe(late)
    await until(() => api.stats().subscriptions === 2)
    lose()
    change(ROWS, 'third')
    const other = await opening
    await clock.settle()
    change(ROWS, 'fourth')
    await clock.settle()
    expect(view.resets).toEqual(['gap'])
    for (const one of [view, other]) {
      expect(one.rows).toEqual(notes.find())
      expect(toldOf(one, ROWS).at(-1)).toBe('fourth')
    }
  })

  test('everything changes once more', async () => {
    const { view } = await halfWay(how)
    changeAll('third', how)
    await clock.settle()
    expect(names(view)).toEqual(new Set(['third']))
    for (const id of [1, ROWS]) expect(toldOf(view, id)).toEqual(['first', 'second', 'third'])
  })

  test('a touch waits for the rest', async () => {
    const { view } = await halfWay(how)
    notes.update(1, { text: state('unseen') })
    let done = false
    const touching = api.touch('notes').then(() => {
      done = true
      expect(names(view)).toEqual(new Set(['second', 'unseen']))
    })
    await until(() => done)
    await touching
  })

  test('the API is closed: no more is said, and nobody fails', async () => {
    const { client, view } = await halfWay(how)
    const told = view.log.length
    const closing = api.close()
    await clock.settle()
    await closing
    expect(view.log).toHaveLength(told)
    expect(client.closed?.code).toBe(4452)
  })
})

test('a newcomer brings a large difference to light, and continuity is lost before all of it is told: both begin anew', async () => {
  const [client, late] = [await connect(api), await connect(api)]
  const view = await subscribe(client)
  for (let id = 1; id <= ROWS; id++) notes.update(id, { text: state('unseen') })
  late.send({ type: 'subscribe', id: 's', resource: 'notes' })
  await until(() => changesOf(view).length > 0)
  expect(late.messages.some(({ type }) => type === 'snapshot')).toBe(false)
  lose()
  await clock.settle()
  change(1, 'second')
  await clock.settle()
  expect(view.resets).toEqual(['gap'])
  expect(view.rows).toEqual(notes.find())
  expect(late.messages.at(-1)).toMatchObject({ type: 'changes', changes: [{ key: 1 }] })
})

test('of those who waited for one snapshot the last are served though the first have gone meanwhile', async () => {
  const clients = [await connect(api), await connect(api), await connect(api)]
  store.find.close()
  for (const client of clients) client.send({ type: 'subscribe', id: 's', resource: 'notes' })
  await clock.settle()
  // The first waits for a query of its own, the others for one that begins after theirs.
  expect(store.find.waiting).toBe(1)
  store.find.open()
  const has = (client: TestClient): boolean => client.messages.some(({ type }) => type === 'snapshot')
  const served = (): number => clients.filter(has).length
  await until(() => served() > 0)
  // At once, while the others wait for their turn.
  const left = clients.filter((client) => !has(client))
  expect(left.length).toBeGreaterThan(0)
  for (const client of clients) if (has(client)) client.send({ type: 'unsubscribe', id: 's' })
  await clock.settle()
  for (const client of left)
    expect(client.messages.findLast(({ type }) => type === 'snapshot')).toMatchObject({ done: true })
  change(1, 'second')
  await clock.settle()
  for (const client of left) expect(client.messages.at(-1)).toMatchObject({ type: 'changes', changes: [{ key: 1 }] })
})
