import { beforeEach, describe, expect, test } from 'vitest'
import type { LayerEntry, LayerEvents, LogEntry, Position } from '../src/channel-layer.ts'
import { type Group, GroupHub, type GroupListener } from '../src/group-hub.ts'
import { defaultLimits } from '../src/protocol.ts'
import type { Clock } from '../src/runtime.ts'
import { type LayerCall, RecordingListener as Listener, scriptedLayer } from './support/scripted-layer.ts'

let calls: LayerCall[]
let events: LayerEvents
let hub: GroupHub
let reports: string[]
let now: number
let timers: Map<() => void, number>

const clock: Clock = {
  now: () => now,
  monotonic: () => now,
  setTimer(delay, run) {
    const timer = (): void => run()
    timers.set(timer, now + delay)
    return () => timers.delete(timer)
  },
  defer: (run) => run(),
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

async function advance(delay: number): Promise<void> {
  now += delay
  for (const [timer, due] of timers) {
    if (due > now) continue
    timers.delete(timer)
    timer()
    await settle()
  }
}

const entry = (tx: string): LayerEntry => ({ type: 'coarse', tx, entity: 'E' })
const log = (...seqs: readonly number[]): LogEntry[] => seqs.map((seq) => ({ seq, entry: entry(`log${seq}`) }))
const at = (seq: number, epoch = 'one'): Position => ({ epoch, seq })
const deliver = (seq: number, epoch = 'one', group = 'g'): void =>
  events.deliver(group, at(seq, epoch), entry(`e${seq}`))

beforeEach(async () => {
  calls = []
  reports = []
  now = 0
  timers = new Map()
  const layer = scriptedLayer(
    (call) => calls.push(call),
    (given) => (events = given),
  )
  hub = new GroupHub(layer, clock, defaultLimits, (_error, { during }) => reports.push(during))
  await hub.open()
})

/** The calls that wait for an answer, taken. */
async function taken(): Promise<LayerCall[]> {
  await settle()
  return calls.splice(0)
}

async function next(name: string): Promise<LayerCall> {
  const [call, ...others] = await taken()
  expect([call?.name, others.length]).toEqual([name, 0])
  if (call === undefined) throw new Error('no call')
  return call
}

async function joined(seq = 0): Promise<{ group: Group; listener: Listener }> {
  const listener = new Listener()
  const group = hub.join('g', listener)
  const call = await next('join')
  call.answer(at(seq))
  await group.ready
  return { group, listener }
}

describe('entries', () => {
  test('are passed on in order, each once, from where the group was joined', async () => {
    const { group, listener } = await joined(4)
    for (const seq of [3, 4, 5, 5, 6, 5, 7]) deliver(seq)
    expect(listener.heard).toEqual(['5 e5', '6 e6', '7 e7'])
    expect(group.position).toEqual(at(7))
    expect(await taken()).toEqual([])
  })

  test('that come while the group is being joined wait until it is known where it stands', async () => {
    const listener = new Listener()
    const group = hub.join('g', listener)
    const call = await next('join')
    for (const seq of [4, 5, 6]) deliver(seq)
    expect(listener.heard).toEqual([])
    call.answer(at(4))
    await group.ready
    expect(listener.heard).toEqual(['5 e5', '6 e6'])
  })

  test('reach every listener, whatever one of them throws', async () => {
    const { listener } = await joined()
    const broken: GroupListener = {
      receive() {
        throw new Error('receive')
      },
      lost() {
        throw new Error('lost')
      },
    }
    hub.join('g', broken)
    const last = new Listener()
    hub.join('g', last)
    deliver(1)
    events.lost('g')
    expect([listener.heard, last.heard]).toEqual([
      ['1 e1', 'lost'],
      ['1 e1', 'lost'],
    ])
    expect(reports).toEqual(['group.receive', 'group.lost'])
  })
})

describe('a hole', () => {
  test('is filled from the log, and nothing is lost or doubled', async () => {
    const { listener } = await joined()
    deliver(1)
    deliver(4)
    const call = await next('history')
    deliver(5)
    call.answer(log(2, 3, 4))
    await settle()
    deliver(6)
    expect(listener.heard).toEqual(['1 e1', '2 log2', '3 log3', '4 log4', '5 e5', '6 e6'])
  })

  test.each([
    ['gone', 'gone'],
    ['too short', log(2)],
    ['with a hole of its own', log(3, 4)],
  ])('is a loss if the log is %s', async (_name, answer) => {
    const { group, listener } = await joined()
    deliver(1)
    deliver(4)
    const call = await next('history')
    call.answer(answer)
    const join = await next('join')
    expect(listener.heard.at(-1)).toBe('lost')
    deliver(5)
    join.answer(at(4, 'two'))
    await group.ready
    deliver(5, 'two')
    expect(listener.heard.slice(-2)).toEqual(['lost', '5 e5'])
    expect(group.position).toEqual(at(5, 'two'))
  })

  test('is a loss if the log cannot be read', async () => {
    const { listener } = await joined()
    deliver(2)
    const call = await next('history')
    call.fail()
    await next('join')
    expect(listener.heard).toEqual(['lost'])
    expect(reports).toEqual(['layer.history'])
  })

  test('is a loss if the log does not answer in time', async () => {
    const { listener } = await joined()
    deliver(2)
    await next('history')
    await advance(2_000)
    expect(listener.heard).toEqual(['lost'])
  })

  test('that is found while the group is lost is not repaired into the old log', async () => {
    const { group, listener } = await joined()
    deliver(2)
    const history = await next('history')
    events.lost('g')
    const join = await next('join')
    history.answer(log(1, 2))
    await settle()
    deliver(3, 'two')
    expect(listener.heard).toEqual(['lost'])
    join.answer(at(2, 'two'))
    await group.ready
    expect(listener.heard).toEqual(['lost', '3 e3'])
  })
})

describe('a loss', () => {
  test('is another epoch', async () => {
    const { listener } = await joined(7)
    deliver(8, 'two')
    await next('join')
    expect(listener.heard).toEqual(['lost'])
  })

  test('of all groups is one of each', async () => {
    const { listener } = await joined()
    const other = new Listener()
    const second = hub.join('h', other)
    const call = await next('join')
    call.answer(at(0))
    await second.ready
    events.lost()
    const joins = await taken()
    expect(joins.map(({ name, group }) => [name, group])).toEqual([
      ['join', 'g'],
      ['join', 'h'],
    ])
    expect([listener.heard, other.heard]).toEqual([['lost'], ['lost']])
  })

  test('is mended each second until the group can be joined', async () => {
    const { group, listener } = await joined()
    events.lost('g')
    for (let attempt = 0; attempt < 3; attempt++) {
      const call = await next('join')
      call.fail()
      await settle()
      expect([hub.timers, await taken()]).toEqual([1, []])
      await advance(1_000)
    }
    const call = await next('join')
    call.answer(at(9))
    await group.ready
    deliver(10)
    expect(listener.heard).toEqual(['lost', '10 e10'])
    expect([hub.timers, timers.size]).toEqual([0, 0])
  })

  test('during a loss joins once more', async () => {
    const { group, listener } = await joined()
    events.lost('g')
    const first = await next('join')
    events.lost('g')
    deliver(1)
    first.answer(at(0))
    const second = await next('join')
    deliver(4)
    second.answer(at(3))
    await group.ready
    expect(listener.heard).toEqual(['lost', '4 e4'])
  })

  test('during the first join joins once more, also if that fails', async () => {
    for (const fails of [false, true]) {
      const listener = new Listener()
      const group = hub.join(`g${fails}`, listener)
      const first = await next('join')
      events.lost()
      const { ready } = group
      if (fails) first.fail()
      else first.answer(at(1))
      const second = await next('join')
      expect(listener.heard).toEqual(['lost'])
      events.deliver(`g${fails}`, at(3), entry('e3'))
      expect(listener.heard).toEqual(['lost'])
      second.answer(at(2))
      await ready
      expect(listener.heard).toEqual(['lost', '3 e3'])
      hub.leave(`g${fails}`, listener)
      const leave = await next('leave')
      leave.answer()
    }
  })
})

describe('joining and leaving', () => {
  test('is one join for all listeners, and one leave after the last', async () => {
    const { group, listener } = await joined()
    const other = new Listener()
    expect(hub.join('g', other)).toBe(group)
    hub.leave('g', listener)
    expect(await taken()).toEqual([])
    deliver(1)
    expect([listener.heard, other.heard]).toEqual([[], ['1 e1']])
    hub.leave('g', other)
    hub.leave('g', other)
    const call = await next('leave')
    call.answer()
    expect(hub.size).toBe(0)
  })

  test('and joining again before the layer has left stays joined', async () => {
    const { listener } = await joined()
    hub.leave('g', listener)
    const again = new Listener()
    const group = hub.join('g', again)
    const join = await next('join')
    join.answer(at(2))
    await group.ready
    deliver(3)
    expect([listener.heard, again.heard]).toEqual([[], ['3 e3']])
    expect(await taken()).toEqual([])
  })

  test('leaving while it is being joined leaves after it', async () => {
    const listener = new Listener()
    hub.join('g', listener)
    const join = await next('join')
    hub.leave('g', listener)
    expect(await taken()).toEqual([])
    join.answer(at(0))
    const leave = await next('leave')
    leave.fail()
    await settle()
    expect([hub.size, reports]).toEqual([0, ['layer.leave']])
  })

  test('that fails leaves nothing behind, not even on the layer', async () => {
    const listener = new Listener()
    const group = hub.join('g', listener)
    await next('join')
    const failed = expect(group.ready).rejects.toThrow('did not answer')
    await advance(2_000)
    await failed
    expect(hub.size).toBe(0)
    const leave = await next('leave')
    leave.answer()
    const again = hub.join('g', listener)
    const join = await next('join')
    join.answer(at(5))
    await again.ready
    expect(timers.size).toBe(0)
  })

  test('while a loss is being mended ends the mending', async () => {
    const { listener } = await joined()
    events.lost('g')
    const join = await next('join')
    hub.leave('g', listener)
    join.fail()
    await settle()
    await advance(1_000)
    const leave = await next('leave')
    leave.answer()
    await advance(5_000)
    expect([await taken(), timers.size]).toEqual([[], 0])
  })
})

describe('what has been published', () => {
  test('has been reached when its entry has been received', async () => {
    await joined()
    const reached: number[] = []
    for (const seq of [2, 1, 3]) void Promise.resolve(hub.reached('g', at(seq))).then(() => reached.push(seq))
    deliver(1)
    deliver(2)
    await settle()
    expect(reached).toEqual([1, 2])
    expect(hub.reached('g', at(1))).toBeUndefined()
    expect(hub.reached('g', at(9, 'other'))).toBeUndefined()
    expect(hub.reached('nobody', at(9))).toBeUndefined()
    deliver(3)
    await settle()
    expect([reached, timers.size]).toEqual([[1, 2, 3], 0])
  })

  test('and does not come is fetched from the log', async () => {
    const { listener } = await joined()
    const reached = hub.reached('g', at(1))
    await advance(2_000)
    await reached
    const history = await next('history')
    history.answer(log(1))
    await settle()
    deliver(2)
    expect(listener.heard).toEqual(['1 log1', '2 e2'])
    expect(timers.size).toBe(0)
  })

  test.each([
    ['the group is left', (listener: Listener) => hub.leave('g', listener)],
    ['it is lost', () => events.lost('g')],
    ['all ends', () => void hub.close()],
  ])('is not waited for any more when %s', async (_name, happens) => {
    const { listener } = await joined()
    const reached = hub.reached('g', at(1))
    happens(listener)
    await reached
    await taken()
    expect(timers.size).toBeLessThanOrEqual(1)
  })

  test('during a mending is behind it when that is done', async () => {
    const { group } = await joined()
    events.lost('g')
    const join = await next('join')
    const reached = hub.reached('g', at(4))
    join.answer(at(4))
    await group.ready
    await reached
    expect(timers.size).toBe(0)
  })
})
