import { type ChannelLayer, type LayerEntry, type LayerEvents, type Position, memoryBus } from '@rtapi/core'
import { fakeClock, layerSuite } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { failuresOf } from './support/failures.ts'

const HISTORY = 10

/** Puts every layer of the suite's subjects through a change; without one it is the right layer. */
async function failuresWith(mutate: (layer: ChannelLayer) => Partial<ChannelLayer>): Promise<string[]> {
  const cases = layerSuite({
    history: HISTORY,
    timeout: 30,
    seeds: [1],
    open() {
      const clock = fakeClock()
      const bus = memoryBus({ clock, history: { entries: HISTORY } })
      const layer = (): ChannelLayer => {
        const right = bus.layer()
        const methods: ChannelLayer = {
          open: (events) => right.open(events),
          join: (group) => right.join(group),
          leave: (group) => right.leave(group),
          publish: (group, entry) => right.publish(group, entry),
          history: (group, since) => right.history(group, since),
          close: () => right.close(),
          ...(right.presence === undefined ? {} : { presence: right.presence }),
        }
        return { ...methods, ...mutate(right) }
      }
      return { layers: [layer(), layer()], forget: () => clock.advance(300_000), pass: (time) => clock.advance(time) }
    },
  })
  return failuresOf(cases)
}

/** A layer that delivers otherwise. */
const delivering =
  (change: (events: LayerEvents) => LayerEvents['deliver']) =>
  (layer: ChannelLayer): Partial<ChannelLayer> => ({
    open: (events) => layer.open({ ...events, deliver: change(events) }),
  })

const plusOne = ({ epoch, seq }: Position): Position => ({ epoch, seq: seq + 1 })

const mutants: Readonly<Record<string, (layer: ChannelLayer) => Partial<ChannelLayer>>> = {
  'skips a number': (layer) => ({
    open: (events) =>
      layer.open({
        ...events,
        deliver: (group, { epoch, seq }, entry) =>
          events.deliver(group, { epoch, seq: seq < 3 ? seq : seq + 1 }, entry),
      }),
  }),
  'delivers twice': delivering((events) => (group, position, entry) => {
    events.deliver(group, position, entry)
    events.deliver(group, position, entry)
  }),
  'loses one entry in twenty': (layer) => {
    let count = 0
    return delivering((events) => (...delivery) => {
      if (++count % 20 !== 0) events.deliver(...delivery)
    })(layer)
  },
  'delivers in another order now and then': (layer) => {
    let held: (() => void) | undefined
    let count = 0
    return delivering((events) => (...delivery) => {
      if (++count % 10 === 0) held = () => events.deliver(...delivery)
      else {
        events.deliver(...delivery)
        held?.()
        held = undefined
      }
    })(layer)
  },
  'does not deliver to the sender': (layer) => {
    const own = new Set<LayerEntry>()
    return {
      ...delivering((events) => (group, position, entry) => {
        if (!own.has(entry)) events.deliver(group, position, entry)
      })(layer),
      publish(group, entry) {
        own.add(entry)
        return layer.publish(group, entry)
      },
    }
  },
  'goes on delivering after leave': () => ({ leave: () => {} }),
  'goes on delivering after close': () => ({ close: () => {} }),
  'gives every group the same epoch': (layer) => ({
    ...delivering(
      (events) =>
        (group, { seq }, entry) =>
          events.deliver(group, { epoch: 'same', seq }, entry),
    )(layer),
    join: async (group) => ({ epoch: 'same', seq: (await layer.join(group)).seq }),
    publish: async (group, entry) => ({ epoch: 'same', seq: (await layer.publish(group, entry)).seq }),
  }),
  'joins at the wrong position': (layer) => ({ join: async (group) => plusOne(await layer.join(group)) }),
  'joins before it listens': (layer) => ({
    async join(group) {
      const position = await layer.join(group)
      await layer.leave(group)
      await new Promise((resolve) => setTimeout(resolve, 1))
      await layer.join(group)
      return position
    },
  }),
  'publishes at the wrong position': (layer) => ({
    publish: async (group, entry) => plusOne(await layer.publish(group, entry)),
  }),
  'answers a part of the history': (layer) => ({
    async history(group, since) {
      const history = await layer.history(group, since)
      return history === 'gone' ? [] : history
    },
  }),
  'answers the history without its last entry': (layer) => ({
    async history(group, since) {
      const history = await layer.history(group, since)
      return history === 'gone' ? history : history.slice(0, -1)
    },
  }),
  'answers the history of another epoch': (layer) => ({
    history: async (group, { seq }) => layer.history(group, { epoch: (await layer.join(group)).epoch, seq }),
  }),
  'answers an empty history to who is ahead': (layer) => ({
    async history(group, since) {
      const top = await layer.join(group)
      return top.epoch === since.epoch && since.seq > top.seq ? [] : layer.history(group, since)
    },
  }),
  'keeps no history': () => ({ history: () => 'gone' }),
  'leaves when deliver throws': (layer) =>
    delivering((events) => (group, position, entry) => {
      try {
        events.deliver(group, position, entry)
      } catch {
        void layer.leave(group)
      }
    })(layer),
  'fails the publish when deliver throws': (layer) => {
    let failure: unknown
    return {
      ...delivering((events) => (...delivery) => {
        try {
          events.deliver(...delivery)
        } catch (error) {
          failure = error
        }
      })(layer),
      async publish(group, entry) {
        const position = await layer.publish(group, entry)
        if (failure instanceof Error) throw failure
        return position
      },
    }
  },
  'takes a star for any name': (layer) =>
    delivering((events) => (group, position, entry) => {
      events.deliver(group, position, entry)
      if (group === 'rt:a') events.deliver('rt:a*', position, entry)
    })(layer),
  'cuts long entries': delivering((events) => (group, position, entry) => {
    const short = entry.type === 'changes' ? { ...entry, changes: entry.changes.slice(0, 500) } : entry
    events.deliver(group, position, short)
  }),
  'loses what is not ASCII': delivering((events) => (group, position, entry) => {
    const text = JSON.stringify(entry).replace(/[^\0-\x7f]/g, '?')
    events.deliver(group, position, JSON.parse(text) as LayerEntry)
  }),
  'counts joins': (layer) => {
    const joins = new Map<string, number>()
    return {
      join(group) {
        joins.set(group, (joins.get(group) ?? 0) + 1)
        return layer.join(group)
      },
      leave(group) {
        joins.set(group, Math.max(0, (joins.get(group) ?? 0) - 1))
        return joins.get(group) === 0 ? layer.leave(group) : undefined
      },
    }
  },
  'says that something was lost, though nothing was': (layer) => ({
    async open(events) {
      await layer.open(events)
      events.lost()
    },
  }),
}

test('the right layer passes', async () => {
  expect(await failuresWith(() => ({}))).toEqual([])
  expect(
    await failuresWith(
      delivering(
        (events) =>
          (...delivery) =>
            events.deliver(...delivery),
      ),
    ),
  ).toEqual([])
})

test.each(Object.keys(mutants))('a layer that %s is found', async (name) => {
  expect(await failuresWith(mutants[name] ?? (() => ({})))).not.toEqual([])
})
