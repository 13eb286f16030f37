import type { LayerEntry, Position } from '@rtapi/core'
import { type FakeClock, type SeededRandom, fakeClock, seededRandom } from '@rtapi/testing'
import { assert, asyncProperty, integer } from 'fast-check'
import { expect, test } from 'vitest'
import { EntryCodec } from '../src/entry-codec.ts'
import { groupKeys } from '../src/group-keys.ts'
import type { LogPosition, LoggedEntries } from '../src/group-log.ts'
import { JoinedGroup } from '../src/joined-group.ts'
import { Pauses } from '../src/pauses.ts'

const SIZE = 10_000
const codec = new EntryCodec([], SIZE)

interface ModelEntry {
  readonly seq: number
  readonly previous: string
  readonly tag: string
  readonly body: string
}

/** A log as the scripts keep it, and a channel, both with everything that can happen to them. */
class ModelLog {
  epoch = 'e1'
  entries: ModelEntry[] = []
  /** Entries up to this number are gone. */
  trimmed = 0
  /** Messages on their way, in order. */
  readonly channel: Buffer[] = []
  /** Which tag stands before the entry of each transaction. */
  readonly previousOf = new Map<string, { previous: string; tag: string }>()
  joinedAt: LogPosition | undefined
  fails = 0
  #epochs = 1
  #entries = 0
  readonly #random: SeededRandom
  readonly #clock: FakeClock

  constructor(random: SeededRandom, clock: FakeClock) {
    this.#random = random
    this.#clock = clock
  }

  get top(): LogPosition {
    const last = this.entries.at(-1)
    return { epoch: this.epoch, seq: last?.seq ?? 0, tag: last?.tag ?? '' }
  }

  append(): void {
    const tx = `tx${++this.#entries}`
    const { tag, body } = codec.encode('g', { type: 'coarse', tx, entity: 'e' })
    const { seq, tag: previous } = this.top
    this.entries.push({ seq: seq + 1, previous, tag, body })
    this.previousOf.set(tx, { previous, tag })
    this.channel.push(Buffer.from(`1:${this.epoch}:${seq + 1}:${previous}:${body}`))
  }

  begin(): void {
    this.epoch = `e${++this.#epochs}`
    this.entries = []
    this.trimmed = 0
  }

  async join(): Promise<LogPosition> {
    this.joinedAt = undefined
    return this.#call(() => (this.joinedAt = this.top))
  }

  async read(_keys: unknown, { epoch, seq }: Omit<LogPosition, 'tag'>): Promise<LoggedEntries | 'gone'> {
    return this.#call(() => {
      const { top } = this
      if (epoch !== top.epoch || seq > top.seq || seq < this.trimmed) return 'gone'
      return { tag: top.tag, entries: this.entries.slice(seq) }
    })
  }

  /** Done at some moment between the call and the answer. */
  async #call<T>(work: () => T): Promise<T> {
    await this.#wait()
    if (this.#random.integer(100) < this.fails) throw new Error('no connection')
    const answer = work()
    await this.#wait()
    return answer
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => void this.#clock.setTimer(this.#random.integer(20), resolve))
  }
}

/** What the group has passed on, checked as it comes. */
class Listener {
  delivered = 0
  losses = 0
  #last: LogPosition | undefined
  readonly #log: ModelLog

  constructor(log: ModelLog) {
    this.#log = log
  }

  deliver(_group: string, position: Position, entry: LayerEntry): void {
    const written = 'tx' in entry ? this.#log.previousOf.get(entry.tx) : undefined
    const last = this.#last ?? this.#log.joinedAt
    expect(last, 'an entry before the group was entered').toBeDefined()
    // The next number, of the same log, after the very entry that was passed on before.
    expect(position).toEqual({ epoch: last?.epoch, seq: (last?.seq ?? 0) + 1 })
    expect(written?.previous).toBe(last?.tag)
    this.#last = { ...position, tag: written?.tag ?? '' }
    this.delivered++
  }

  lost(): void {
    this.losses++
    this.#last = undefined
  }
}

async function run(seed: number, faults: 'none' | 'messages' | 'everything') {
  const random = seededRandom(seed)
  const clock = fakeClock()
  const log = new ModelLog(random, clock)
  const listener = new Listener(log)
  const pauses = new Pauses(clock)
  const counts = { poisoned: 0, repaired: 0, lost: 0, resumed: 0 }
  const reports: unknown[] = []
  const report = (error: unknown): void => void reports.push(error)
  const around = { clock, pauses, log, codec, events: listener, counts, report, entrySize: SIZE, timeout: 200 }
  const group = new JoinedGroup('g', groupKeys('p', 'g'), around)
  if (faults === 'everything') log.fails = 20

  const receive = (): void => {
    const [message] = log.channel.splice(0, 1)
    if (message === undefined) return
    if (faults === 'none') return group.receive(message)
    if (log.channel.length > 0 && random.chance(0.1)) return
    group.receive(message)
    if (random.chance(0.1)) group.receive(message)
  }
  for (let i = random.integer(3); i > 0; i--) log.append()
  log.channel.length = 0
  group.check()
  for (let step = 0; step < 200; step++) {
    const kind = random.integer(10)
    if (kind < 4) log.append()
    else if (kind < 8) receive()
    else await clock.advance(random.integer(30))
    if (faults === 'everything' && random.chance(0.02)) {
      const fault = random.integer(4)
      if (fault === 0) log.begin()
      else if (fault === 1) log.trimmed = log.top.seq
      // Set back under the same epoch: numbers will be given a second time.
      else if (fault === 2) log.entries = log.entries.slice(0, -1 - random.integer(3))
      else group.receive(Buffer.from('noise'))
    }
  }
  log.fails = 0
  if (faults === 'everything') {
    while (log.channel.length > 0) receive()
    group.check()
    await clock.advance(2_000)
    // The last number is given a second time.
    if (log.entries.length > 0) log.entries = log.entries.slice(0, -1)
  }
  log.append()
  while (log.channel.length > 0) receive()
  await clock.advance(2_000)
  // The last message has come: whatever was missing before it is known without looking for it.
  expect(group.settled).toEqual(log.top)
  if (faults === 'everything') {
    log.entries = log.entries.slice(0, -1)
    log.append()
  }
  group.check()
  await clock.advance(2_000)
  expect(reports).toEqual([])
  // And what is there without a message, in place of the last entry, is found by looking.
  expect(group.settled).toEqual(log.top)
  expect(clock.timers).toBe(0)
  return { listener, counts, log }
}

test('without faults every entry is passed on and the log is asked once', async () => {
  await assert(
    asyncProperty(integer(), async (seed) => {
      const { listener, counts, log } = await run(seed, 'none')
      expect(counts).toEqual({ poisoned: 0, repaired: 0, lost: 0, resumed: 0 })
      expect(listener.delivered).toBe(log.top.seq - (log.joinedAt?.seq ?? 0))
    }),
    { numRuns: 30 },
  )
})

test('messages that are missing or come twice are repaired from the log, and nothing is lost', async () => {
  let repaired = 0
  await assert(
    asyncProperty(integer(), async (seed) => {
      const { listener, counts, log } = await run(seed, 'messages')
      expect(counts.lost).toBe(0)
      expect(listener.delivered).toBe(log.top.seq - (log.joinedAt?.seq ?? 0))
      repaired += counts.repaired
    }),
    { numRuns: 60 },
  )
  expect(repaired).toBeGreaterThan(60)
})

test('whatever happens to the log, what is passed on continues or the group is lost, and it ends where the log does', async () => {
  let losses = 0
  await assert(
    asyncProperty(integer(), async (seed) => {
      const { listener, counts } = await run(seed, 'everything')
      expect(listener.losses).toBe(counts.lost)
      losses += counts.lost
    }),
    { numRuns: 150 },
  )
  expect(losses).toBeGreaterThan(100)
})

test('a check while the log is being asked asks once more: the answer may be older', async () => {
  const clock = fakeClock()
  const asked: ((entries: readonly ModelEntry[]) => void)[] = []
  const delivered: number[] = []
  const group = new JoinedGroup('g', groupKeys('p', 'g'), {
    clock,
    pauses: new Pauses(clock),
    log: {
      join: () => Promise.resolve({ epoch: 'e', seq: 0, tag: '' }),
      read: () =>
        new Promise((resolve) => {
          asked.push((entries) => resolve({ tag: entries.at(-1)?.tag ?? '', entries }))
        }),
    },
    codec,
    events: { deliver: (_, { seq }) => void delivered.push(seq), lost: () => {} },
    counts: { poisoned: 0, repaired: 0, lost: 0, resumed: 0 },
    report: () => {},
    entrySize: SIZE,
    timeout: 200,
  })
  group.check()
  await clock.settle()
  group.check()
  await clock.settle()
  group.check()
  asked[0]?.([])
  await clock.settle()
  expect(group.settled).toBeUndefined()
  asked[1]?.([{ seq: 1, previous: '', ...codec.encode('g', { type: 'coarse', tx: 't', entity: 'e' }) }])
  await clock.settle()
  expect(delivered).toEqual([1])
  expect(group.settled).toMatchObject({ epoch: 'e', seq: 1 })
  expect(asked).toHaveLength(2)
})
