import { fakeClock } from '@rtapi/testing'
import { expect, test } from 'vitest'
import { EntryCodec } from '../src/entry-codec.ts'
import { type GroupKeys, groupKeys } from '../src/group-keys.ts'
import { Pauses } from '../src/pauses.ts'
import { Publisher } from '../src/publisher.ts'

const entry = { type: 'coarse', tx: 't', entity: 'e' } as const

/** A publisher whose log works or does not, as told. */
function setUp() {
  const clock = fakeClock()
  const pauses = new Pauses(clock)
  const codec = new EntryCodec([], 1_000)
  const log = {
    works: false,
    published: [] as string[],
    forgotten: [] as string[],
    publish({ channel }: GroupKeys) {
      if (!log.works) return Promise.reject(new Error('no connection'))
      log.published.push(channel)
      return Promise.resolve({ epoch: 'e', seq: log.published.length })
    },
    forget({ channel }: GroupKeys) {
      if (!log.works) return Promise.reject(new Error('no connection'))
      log.forgotten.push(channel)
      return Promise.resolve()
    },
  }
  const publisher = new Publisher({ log, codec, pauses, keysOf: (name) => groupKeys('p', name) })
  return { clock, pauses, log, publisher }
}

test('what could not be published is refused to the sender, kept, and sent in order when that works', async () => {
  const { clock, log, publisher } = setUp()
  for (const name of ['a', 'b', 'c']) await expect(publisher.publish(name, entry)).rejects.toThrow('no connection')
  await clock.advance(10_000)
  expect(publisher.unsent).toBe(3)
  log.works = true
  await clock.advance(1_000)
  expect(log.published).toEqual(['p:{a}', 'p:{b}', 'p:{c}'])
  expect(publisher.unsent).toBe(0)
  expect(clock.timers).toBe(0)
})

test('an entry that is too long is refused, and the log of its group is ended', async () => {
  const { clock, log, publisher } = setUp()
  log.works = true
  const tooLong = { ...entry, tx: 'x'.repeat(1_000) }
  await expect(publisher.publish('a', tooLong)).rejects.toMatchObject({ code: 'limit_exceeded' })
  await expect(publisher.publish('a', tooLong)).rejects.toMatchObject({ code: 'limit_exceeded' })
  await clock.advance(1_000)
  expect(log).toMatchObject({ published: [], forgotten: ['p:{a}'] })
  expect(publisher.unsent).toBe(0)
})

test('before the end everything is sent that was kept, however much it is', async () => {
  const { clock, pauses, log, publisher } = setUp()
  const refused = Array.from({ length: 1_234 }, (_, i) => publisher.publish(`g${i}`, entry))
  await Promise.allSettled(refused)
  log.works = true
  await publisher.finish()
  expect(log.published).toHaveLength(1_234)
  expect(new Set(log.published).size).toBe(1_234)
  expect(publisher.unsent).toBe(0)
  pauses.close()
  expect(clock.timers).toBe(0)
})

test('the end does not wait for a connection that does not work', async () => {
  const { clock, pauses, publisher } = setUp()
  await expect(publisher.publish('a', entry)).rejects.toThrow('no connection')
  await publisher.finish()
  expect(publisher.unsent).toBe(1)
  pauses.close()
  expect(clock.timers).toBe(0)
})
