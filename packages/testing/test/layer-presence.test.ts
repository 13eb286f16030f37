import { type ChannelLayer, type PresenceKeeper, memoryBus } from '@rtapi/core'
import { fakeClock, layerSuite } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { failuresOf } from './support/failures.ts'

/** Tries layers whose presence is put through a change. */
function failuresWith(change: (right: PresenceKeeper) => Partial<PresenceKeeper> | undefined): Promise<string[]> {
  const cases = layerSuite({
    history: 10,
    timeout: 30,
    seeds: [],
    open() {
      const clock = fakeClock()
      const bus = memoryBus({ clock, history: { entries: 10 } })
      const layer = (): ChannelLayer => {
        const right = bus.layer()
        const presence = right.presence as PresenceKeeper
        const changed = change(presence)
        const whole: PresenceKeeper = {
          write: (write) => presence.write(write),
          read: (labels) => presence.read(labels),
          forget: (process) => presence.forget(process),
        }
        return Object.assign(right, { presence: changed === undefined ? undefined : { ...whole, ...changed } })
      }
      return { layers: [layer(), layer()], forget: () => clock.advance(300_000), pass: (time) => clock.advance(time) }
    },
  })
  return failuresOf(cases)
}

const mutants: Readonly<Record<string, (right: PresenceKeeper) => Partial<PresenceKeeper>>> = {
  'knows its own process alone': () => {
    const own = memoryBus({ clock: fakeClock() }).layer().presence as PresenceKeeper
    return {
      write: (write) => own.write(write),
      read: (labels) => own.read(labels),
      forget: (process) => own.forget(process),
    }
  },
  'keeps what was taken back': (right) => ({
    write: (write) =>
      right.write({ ...write, values: new Map([...write.values].filter(([, value]) => value !== undefined)) }),
  }),
  'keeps what was said before, though all is said anew': (right) => {
    const known = new Set<string>()
    return {
      write(write) {
        const anew = write.anew && !known.has(write.process)
        known.add(write.process)
        return right.write({ ...write, anew })
      },
    }
  },
  'takes the word of a process that is not known': (right) => ({
    write: async (write) => (await right.write(write)) || right.write({ ...write, anew: true }),
  }),
  'says that it has written what it has not': (right) => ({
    write: async (write) => (await right.write(write)) || true,
  }),
  'never forgets': (right) => ({ write: (write) => right.write({ ...write, ttl: 1e9 }) }),
  'forgets nobody who says so': () => ({ forget: () => {} }),
  'is not kept alive by a sign of life': (right) => {
    const ends = new Map<string, number>()
    return {
      write(write) {
        if (write.anew) ends.set(write.process, write.ttl)
        return right.write({ ...write, ttl: ends.get(write.process) ?? write.ttl })
      },
    }
  },
  'forgets all others with one': (right) => ({
    async forget() {
      for (const process of (await right.read('all')).keys()) await right.forget(process)
    },
  }),
  'leaves out who says nothing under a label': (right) => ({
    read: async (labels) => new Map([...(await right.read(labels))].filter(([, values]) => values.size > 0)),
  }),
  'answers all labels always': (right) => ({ read: () => right.read('all') }),
  'cuts off many labels': (right) => ({
    write: (write) => right.write({ ...write, values: new Map([...write.values].slice(0, 500)) }),
  }),
}

test('a layer that keeps presence right passes, and so does one that keeps none', async () => {
  expect(await failuresWith(() => ({}))).toEqual([])
  expect(await failuresWith(() => undefined)).toEqual([])
})

test.each(Object.keys(mutants))('presence that %s is found', async (name) => {
  expect(await failuresWith(mutants[name] ?? (() => ({})))).not.toEqual([])
})
