import { expect, test } from 'vitest'
import type { LayerEntry, Position } from '../src/channel-layer.ts'
import { type MemoryLayerOptions, memoryBus, memoryLayer } from '../src/memory-layer.ts'
import type { Clock } from '../src/runtime.ts'

/** A clock that stands still until it is moved, and takes note of every timer. */
class StillClock implements Clock {
  time = 0
  timers = 0
  now = (): number => this.time
  monotonic = (): number => this.time
  setTimer = (): (() => void) => {
    this.timers++
    return () => this.timers--
  }
  defer = (): never => {
    throw new Error('the memory layer defers nothing')
  }
}

const entry = (tx: string, keys = 1): LayerEntry => ({
  type: 'changes',
  tx,
  entity: 'things',
  changes: Array.from({ length: keys }, (_, key) => ({ key, action: 'update' as const })),
})

function setUp(options: MemoryLayerOptions = {}) {
  const clock = new StillClock()
  const bus = memoryBus({ clock, ...options })
  const layer = bus.layer()
  const heard: [group: string, seq: number, tx: string][] = []
  void layer.open({
    deliver: (group, { seq }, entry) => void heard.push([group, seq, 'tx' in entry ? entry.tx : '']),
    lost: () => {},
  })
  return { clock, bus, layer, heard }
}

test('everything is answered at once, and delivered before publish returns', () => {
  const { layer, heard, clock } = setUp()
  const position = layer.join('rt:a') as Position
  expect(position).toEqual({ epoch: position.epoch, seq: 0 })
  expect(layer.publish('rt:a', entry('t1'))).toEqual({ epoch: position.epoch, seq: 1 })
  expect(heard).toEqual([['rt:a', 1, 't1']])
  expect(layer.history('rt:a', position)).toEqual([{ seq: 1, entry: entry('t1') }])
  expect(clock.timers).toBe(0)
})

test('what deliver publishes is delivered after it, although its position is known at once', () => {
  const clock = new StillClock()
  const bus = memoryBus({ clock })
  const [first, second] = [bus.layer(), bus.layer()]
  const order: string[] = []
  void first.open({
    deliver: (_group, { seq }) => {
      order.push(`first hears ${seq}`)
      if (seq === 1) order.push(`first has published ${(first.publish('rt:a', entry('t2')) as Position).seq}`)
    },
    lost: () => {},
  })
  void second.open({ deliver: (_group, { seq }) => void order.push(`second hears ${seq}`), lost: () => {} })
  void first.join('rt:a')
  void second.join('rt:a')
  void second.publish('rt:a', entry('t1'))
  expect(order).toEqual(['first hears 1', 'first has published 2', 'second hears 1', 'first hears 2', 'second hears 2'])
})

test('who joins within a delivery hears what comes after it alone', () => {
  const bus = memoryBus({ clock: new StillClock() })
  const [first, second] = [bus.layer(), bus.layer()]
  const heard: number[] = []
  let joined: unknown
  void second.open({ deliver: (_group, { seq }) => void heard.push(seq), lost: () => {} })
  void first.open({ deliver: () => void (joined ??= second.join('rt:a')), lost: () => {} })
  const start = first.join('rt:a') as Position
  void first.publish('rt:a', entry('t1'))
  void first.publish('rt:a', entry('t2'))
  expect(joined).toEqual({ epoch: start.epoch, seq: 1 })
  expect(heard).toEqual([2])
})

test('a deliver that throws is reported', () => {
  const reports: unknown[] = []
  const layer = memoryLayer({ report: (error, { during }) => reports.push([during, String(error)]) })
  void layer.open({
    deliver() {
      throw new Error('no')
    },
    lost: () => {},
  })
  void layer.join('rt:a')
  void layer.publish('rt:a', entry('t'))
  expect(reports).toEqual([['layer.deliver', 'Error: no']])
})

test('an entry is gone when it is too old, and what is younger stays', () => {
  const { layer, clock } = setUp({ history: { age: 1_000 } })
  const { epoch } = layer.join('rt:a') as Position
  void layer.publish('rt:a', entry('old'))
  clock.time = 500
  void layer.publish('rt:a', entry('young'))
  clock.time = 999
  expect(layer.history('rt:a', { epoch, seq: 0 })).toHaveLength(2)
  clock.time = 1_000
  expect(layer.history('rt:a', { epoch, seq: 0 })).toBe('gone')
  expect(layer.history('rt:a', { epoch, seq: 1 })).toEqual([{ seq: 2, entry: entry('young') }])
  clock.time = 5_000
  expect(layer.history('rt:a', { epoch, seq: 1 })).toBe('gone')
  expect(layer.history('rt:a', { epoch, seq: 2 })).toEqual([])
})

test.each([1, 2, 7, 300])('of the entries the newest %i are kept', (entries) => {
  const { layer } = setUp({ history: { entries } })
  const { epoch } = layer.join('rt:a') as Position
  for (let i = 1; i <= entries * 3 + 1; i++) void layer.publish('rt:a', entry(`t${i}`))
  const top = entries * 3 + 1
  const wanted = Array.from({ length: entries }, (_, i) => top - entries + 1 + i)
  expect(layer.history('rt:a', { epoch, seq: top - entries })).toEqual(
    wanted.map((seq) => ({ seq, entry: entry(`t${seq}`) })),
  )
  expect(layer.history('rt:a', { epoch, seq: top - entries - 1 })).toBe('gone')
})

test('a log without entries answers for the top alone', () => {
  const { layer } = setUp({ history: { entries: 0 } })
  const { epoch } = layer.join('rt:a') as Position
  for (let i = 1; i <= 3; i++) void layer.publish('rt:a', entry(`t${i}`))
  expect(layer.history('rt:a', { epoch, seq: 2 })).toBe('gone')
  expect(layer.history('rt:a', { epoch, seq: 3 })).toEqual([])
})

test('a log holds at most so many keys, whatever the entries', () => {
  const { layer } = setUp({ history: { keys: 100 } })
  const { epoch } = layer.join('rt:a') as Position
  for (let i = 1; i <= 5; i++) void layer.publish('rt:a', entry(`t${i}`, 40))
  expect(layer.history('rt:a', { epoch, seq: 2 })).toBe('gone')
  expect(layer.history('rt:a', { epoch, seq: 3 })).toHaveLength(2)
  void layer.publish('rt:a', entry('large', 1_000))
  expect(layer.history('rt:a', { epoch, seq: 5 })).toBe('gone')
  void layer.publish('rt:a', entry('small'))
  expect(layer.history('rt:a', { epoch, seq: 6 })).toHaveLength(1)
})

test('a group that nobody has joined is not kept, and no group will have the epoch that a publish to it answers', () => {
  const { layer, bus } = setUp()
  const positions = [layer.publish('rt:a', entry('t1')), layer.publish('rt:a', entry('t2'))] as Position[]
  expect(bus.groups).toBe(0)
  const joined = layer.join('rt:a') as Position
  expect(positions.map(({ epoch }) => epoch)).not.toContain(joined.epoch)
  expect(layer.history('rt:a', positions[0] ?? joined)).toBe('gone')
})

test('a group is kept for a while after the last has left, and then forgotten', () => {
  const { layer, bus, clock } = setUp({ history: { age: 1_000 } })
  const other = bus.layer()
  void other.open({ deliver: () => {}, lost: () => {} })
  const position = layer.join('rt:a') as Position
  void other.join('rt:a')
  void layer.leave('rt:a')
  clock.time = 5_000
  void other.leave('rt:a')
  clock.time = 5_999
  expect((layer.join('rt:a') as Position).epoch).toBe(position.epoch)
  void layer.leave('rt:a')
  clock.time = 6_999
  expect(layer.history('rt:a', position)).toBe('gone')
  expect(bus.groups).toBe(0)
  expect((layer.join('rt:a') as Position).epoch).not.toBe(position.epoch)
})

test('of the groups without members only so many are kept, the longest left go first', () => {
  const { layer, bus } = setUp({ idleGroups: 3 })
  const positions = ['a', 'b', 'c', 'd', 'e'].map((name) => [name, layer.join(name) as Position] as const)
  for (const name of ['c', 'a', 'b', 'e', 'd']) void layer.leave(name)
  expect(bus.groups).toBe(3)
  const kept = positions.filter(([name, position]) => layer.history(name, position) !== 'gone').map(([name]) => name)
  expect(kept).toEqual(['b', 'd', 'e'])
})

test('to close is to leave every group', () => {
  const { layer, bus, clock } = setUp({ history: { age: 1_000 } })
  void layer.join('rt:a')
  void layer.join('rt:b')
  void layer.close()
  clock.time = 1_000
  const other = bus.layer()
  void other.open({ deliver: () => {}, lost: () => {} })
  void other.join('rt:c')
  expect(bus.groups).toBe(1)
})

test('a layer is opened once, and refuses calls before and after', async () => {
  const layer = memoryLayer()
  const events = { deliver: () => {}, lost: () => {} }
  await expect(layer.join('rt:a')).rejects.toMatchObject({ code: 'unavailable' })
  void layer.open(events)
  expect(() => layer.open(events)).toThrow(TypeError)
  void layer.close()
  await expect(layer.publish('rt:a', entry('t'))).rejects.toMatchObject({ code: 'unavailable' })
})

test.each(['', 'x'.repeat(65), 'naïve', 'a\nb'])('the group name %j is refused', async (name) => {
  const { layer } = setUp()
  await expect(layer.join(name)).rejects.toThrow(TypeError)
  await expect(layer.publish(name, entry('t'))).rejects.toThrow(TypeError)
})
