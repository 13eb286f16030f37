import { memoryPresence } from './memory-presence.ts'
import { memoryResults } from './memory-results.ts'
import type { PresenceKeeper } from './presence-keeper.ts'
import type { ResultKeeper } from './result-keeper.ts'
import type { ChannelLayer, LayerEntry, LayerEvents, LogEntry, Position } from './channel-layer.ts'
import { RtapiError } from './protocol.ts'
import { type Clock, type Report, systemClock } from './runtime.ts'

/** How much a memory layer keeps. */
export interface MemoryLayerOptions {
  /** @default systemClock */
  readonly clock?: Clock
  /** What a group's log holds. Whichever bound is met first drops the oldest entries. */
  readonly history?: {
    /** @default 300 */
    readonly entries?: number
    /** Changed keys in all entries together: the bound on memory. @default 10_000 */
    readonly keys?: number
    /** Milliseconds an entry is kept, and a group after the last process has left it. @default 300_000 */
    readonly age?: number
  }
  /** Groups that nobody is joined to and whose log is still kept; above it the longest left goes. @default 10_000 */
  readonly idleGroups?: number
  /** Told when `deliver` throws, which it must not. @default nobody is told */
  readonly report?: Report
}

/** A log in memory which several layers share, as processes share a server: for tests of a cluster in one process. */
export interface MemoryBus {
  /** Another process: a layer of its own over the shared log. */
  layer(): ChannelLayer
  /** Groups that have a log now, for tests. */
  readonly groups: number
}

/**
 * The channel layer of a single process. Everything is answered at once, without promises.
 *
 * `publish` delivers before it returns, to every layer that has joined, in order. A `publish` from within `deliver`
 * returns its position at once, and what it published is delivered after the entry that is under way: so each group
 * keeps its order, and no delivery interrupts another. Entries are passed on by reference and must not be changed.
 *
 * Nothing has a timer: what is too old is found and dropped by the calls that follow. A group that nobody has joined
 * is not logged: each publish to it is a log of one entry that is gone at once.
 */
export function memoryLayer(options: MemoryLayerOptions = {}): ChannelLayer {
  return memoryBus(options).layer()
}

/** A shared log for several memory layers; see `memoryLayer` for how they behave. */
export function memoryBus(options: MemoryLayerOptions = {}): MemoryBus {
  const bus = new Bus(options)
  return {
    layer: () => new MemoryLayer(bus),
    get groups() {
      return bus.groups.size
    },
  }
}

/** An entry in the log of its group, and on its way to those who have joined. */
interface Slot {
  readonly group: Group
  readonly at: number
  readonly position: Position
  readonly entry: LayerEntry
}

interface Group {
  readonly name: string
  readonly epoch: string
  seq: number
  /** A ring: entry `seq` is at `(seq - 1) % entries`. */
  readonly slots: (Slot | undefined)[]
  /** The oldest entry still there; `seq + 1` if there is none. */
  first: number
  keys: number
  /** The layers that have joined, each with the position it joined at. */
  readonly members: Map<MemoryLayer, number>
  leftAt: number
}

class Bus {
  readonly results: ResultKeeper
  readonly presence: PresenceKeeper
  readonly groups = new Map<string, Group>()
  /** Groups without members, the longest left first: what expires stands in front. */
  readonly #idle = new Map<string, Group>()
  readonly #clock: Clock
  readonly #report: Report | undefined
  readonly #entries: number
  readonly #keys: number
  readonly #age: number
  readonly #idleGroups: number
  readonly #queue: Slot[] = []
  #delivering = false

  constructor(options: MemoryLayerOptions) {
    this.#clock = options.clock ?? systemClock
    this.#report = options.report
    this.results = memoryResults({ clock: this.#clock })
    this.presence = memoryPresence(this.#clock)
    const entries = options.history?.entries ?? 300
    this.#entries = Math.max(1, entries)
    this.#keys = entries > 0 ? (options.history?.keys ?? 10_000) : 0
    this.#age = options.history?.age ?? 300_000
    this.#idleGroups = options.idleGroups ?? 10_000
  }

  join(layer: MemoryLayer, name: string): Position {
    this.#sweep()
    let group = this.groups.get(name)
    if (group === undefined) {
      group = { name, epoch: randomEpoch(), seq: 0, slots: [], first: 1, keys: 0, members: new Map(), leftAt: 0 }
      this.groups.set(name, group)
    }
    this.#idle.delete(name)
    if (!group.members.has(layer)) group.members.set(layer, group.seq)
    return { epoch: group.epoch, seq: group.seq }
  }

  leave(layer: MemoryLayer, name: string): void {
    const group = this.groups.get(name)
    if (group !== undefined && group.members.delete(layer) && group.members.size === 0) {
      group.leftAt = this.#clock.monotonic()
      this.#idle.set(name, group)
    }
    this.#sweep()
  }

  publish(name: string, entry: LayerEntry): Position {
    this.#sweep()
    const group = this.groups.get(name)
    if (group === undefined) return UNLOGGED
    const seq = ++group.seq
    const at = this.#clock.monotonic()
    const slot: Slot = { group, at, position: { epoch: group.epoch, seq }, entry }
    this.#append(slot)
    if (group.members.size > 0) {
      this.#queue.push(slot)
      if (!this.#delivering) this.#deliver()
    }
    return slot.position
  }

  history(name: string, since: Position): readonly LogEntry[] | 'gone' {
    this.#sweep()
    const group = this.groups.get(name)
    if (group === undefined || group.epoch !== since.epoch) return 'gone'
    this.#trim(group, this.#clock.monotonic())
    if (!Number.isSafeInteger(since.seq) || since.seq > group.seq || since.seq < group.first - 1) return 'gone'
    const entries: LogEntry[] = []
    for (let seq = since.seq + 1; seq <= group.seq; seq++) {
      const slot = group.slots[(seq - 1) % this.#entries]
      if (slot === undefined) return 'gone'
      entries.push({ seq, entry: slot.entry })
    }
    return entries
  }

  #append(slot: Slot): void {
    const { group, position } = slot
    if (position.seq - group.first >= this.#entries) this.#dropFirst(group)
    group.slots[(position.seq - 1) % this.#entries] = slot
    group.keys += weight(slot.entry)
    this.#trim(group, slot.at)
  }

  #trim(group: Group, now: number): void {
    const oldest = now - this.#age
    while (group.first <= group.seq) {
      const slot = group.slots[(group.first - 1) % this.#entries]
      if (slot !== undefined && slot.at > oldest && group.keys <= this.#keys) return
      this.#dropFirst(group)
    }
  }

  #dropFirst(group: Group): void {
    const index = (group.first - 1) % this.#entries
    const slot = group.slots[index]
    if (slot !== undefined) group.keys -= weight(slot.entry)
    group.slots[index] = undefined
    group.first++
  }

  /** Drops the groups whose time is over. Each is dropped once, so the cost of it is spread over the calls. */
  #sweep(): void {
    if (this.#idle.size === 0) return
    const oldest = this.#clock.monotonic() - this.#age
    for (const [name, group] of this.#idle) {
      if (group.leftAt > oldest && this.#idle.size <= this.#idleGroups) return
      this.#idle.delete(name)
      this.groups.delete(name)
    }
  }

  #deliver(): void {
    this.#delivering = true
    // The queue grows while it is walked, when `deliver` publishes.
    for (let i = 0; i < this.#queue.length; i++) {
      const slot = this.#queue[i]
      if (slot !== undefined) this.#deliverOne(slot)
    }
    this.#queue.length = 0
    this.#delivering = false
  }

  #deliverOne({ group, position, entry }: Slot): void {
    // The walk follows the map as it changes: who leaves meanwhile is not visited, who joins has joined after this entry.
    for (const [layer, joinedAt] of group.members) {
      if (joinedAt >= position.seq) continue
      try {
        layer.events?.deliver(group.name, position, entry)
      } catch (error) {
        this.#report?.(error, { during: 'layer.deliver' })
      }
    }
  }
}

class MemoryLayer implements ChannelLayer {
  readonly results: ResultKeeper
  readonly presence: PresenceKeeper
  events: LayerEvents | undefined
  readonly #bus: Bus
  readonly #joined = new Set<string>()
  #opened = false

  constructor(bus: Bus) {
    this.#bus = bus
    this.results = bus.results
    this.presence = bus.presence
  }

  open(events: LayerEvents): void {
    if (this.#opened) throw new TypeError('a channel layer is opened once')
    this.#opened = true
    this.events = events
  }

  join(group: string): Position | Promise<Position> {
    const problem = this.#problem(group)
    if (problem !== undefined) return Promise.reject(problem)
    this.#joined.add(group)
    return this.#bus.join(this, group)
  }

  leave(group: string): void {
    if (this.#joined.delete(group)) this.#bus.leave(this, group)
  }

  publish(group: string, entry: LayerEntry): Position | Promise<Position> {
    const problem = this.#problem(group)
    return problem === undefined ? this.#bus.publish(group, entry) : Promise.reject(problem)
  }

  history(group: string, since: Position): readonly LogEntry[] | 'gone' | Promise<never> {
    const problem = this.#problem(group)
    return problem === undefined ? this.#bus.history(group, since) : Promise.reject(problem)
  }

  close(): void {
    this.events = undefined
    for (const group of this.#joined) this.#bus.leave(this, group)
    this.#joined.clear()
  }

  #problem(group: string): Error | undefined {
    if (this.events === undefined) return new RtapiError('unavailable', 'the channel layer is not open')
    if (!GROUP.test(group)) return new TypeError('a group name is 1 to 64 characters of printable ASCII')
    return undefined
  }
}

/** Where an entry stands that nobody will ever ask for: in a log of its own, that no group will have. */
const UNLOGGED: Position = { epoch: 'unlogged', seq: 1 }

const GROUP = /^[\x20-\x7e]{1,64}$/

function weight(entry: LayerEntry): number {
  return entry.type === 'changes' ? 1 + entry.changes.length : 1
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const EPOCH_LENGTH = 12

/** 72 random bits. */
function randomEpoch(): string {
  let epoch = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(EPOCH_LENGTH))) epoch += ALPHABET.charAt(byte & 63)
  return epoch
}
