import type { GroupKeys } from './group-keys.ts'
import { randomText } from './random-text.ts'
import { scripts } from './scripts.ts'
import { type ServerCalls, notDone } from './server-calls.ts'

/** Where the log of a group stands, and which entry that is. */
export interface LogPosition {
  readonly epoch: string
  readonly seq: number
  /** Of the entry with this number; empty before the first. */
  readonly tag: string
}

/** What the log holds after a position. */
export interface LoggedEntries {
  /** Of the last entry of the log. */
  readonly tag: string
  readonly entries: readonly LoggedEntry[]
}

interface LoggedEntry {
  readonly seq: number
  /** Tag of the entry before it. */
  readonly previous: string
  readonly body: string
}

/** What is kept of each group. */
export interface KeptHistory {
  readonly entries: number
  readonly bytes: number
  /** Milliseconds after the last entry. */
  readonly age: number
  /** Milliseconds for which a group keeps its epoch that has no entries and that nobody is joined to. */
  readonly groupAge: number
}

/** An entry on its way. */
interface UnsentEntry {
  readonly keys: GroupKeys
  readonly tag: string
  readonly body: string
  readonly resolve: (position: Omit<LogPosition, 'tag'>) => void
  readonly reject: (error: unknown) => void
}

const EPOCH_LENGTH = 12
/** Entries published in one call, and their characters: the server does nothing else meanwhile. */
const PUBLISHED = 64
const PUBLISHED_CHARACTERS = 262_144
/** Groups asked about in one call, where they may be asked together. */
const TOPS = 100

/** The logs of the groups, on the server. Every call ends in time. */
export class GroupLog {
  readonly #calls: ServerCalls
  readonly #sharded: boolean
  readonly #kept: KeptHistory
  readonly #publishCommand: string
  #unsent: UnsentEntry[] = []

  /** @param sharded - messages go to the slot of their channel, and groups are in slots of their own. */
  constructor(calls: ServerCalls, sharded: boolean, kept: KeptHistory) {
    this.#calls = calls
    this.#sharded = sharded
    this.#kept = kept
    this.#publishCommand = sharded ? 'SPUBLISH' : 'PUBLISH'
  }

  /** Appends an entry and sends it to everybody. What is published in one tick goes there together, where it may. */
  publish(keys: GroupKeys, tag: string, body: string): Promise<Omit<LogPosition, 'tag'>> {
    return new Promise((resolve, reject) => {
      const entry = { keys, tag, body, resolve, reject }
      if (this.#sharded) void this.#publishAll([entry])
      else if (this.#unsent.push(entry) === 1) setImmediate(() => this.#publishUnsent())
    })
  }

  /** Where the group stands; one that is not there begins. */
  async join({ meta, log }: GroupKeys): Promise<LogPosition> {
    const values = [randomText(EPOCH_LENGTH), String(this.#kept.groupAge)]
    return positionOf(await this.#calls.run(scripts.join, [meta, log], values))
  }

  /** Everything after a position, or `gone` where that cannot be said. */
  async read({ meta, log }: GroupKeys, { epoch, seq }: Omit<LogPosition, 'tag'>): Promise<LoggedEntries | 'gone'> {
    const reply = await this.#calls.run(scripts.read, [meta, log], [epoch, String(seq)])
    if (reply === null) return 'gone'
    const [tag, entries] = list(reply)
    if (typeof tag !== 'string') throw unexpected(reply)
    const logged = list(entries).map(loggedEntry)
    return logged.every((entry, i) => entry?.seq === seq + 1 + i) ? { tag, entries: logged as LoggedEntry[] } : 'gone'
  }

  /** Where these groups stand, each by its own; nothing for one that is not there. */
  async tops(groups: readonly GroupKeys[]): Promise<readonly (LogPosition | undefined)[]> {
    const size = this.#sharded ? 1 : TOPS
    const calls = Array.from({ length: Math.ceil(groups.length / size) }, async (_, i) => {
      const keys = groups.slice(i * size, (i + 1) * size).map(({ meta }) => meta)
      return list(await this.#calls.run(scripts.tops, keys, [String(this.#kept.groupAge)]))
    })
    return (await Promise.all(calls)).flat().map((top) => (top === null ? undefined : positionOf(top)))
  }

  /** Ends the log of a group, and lets everybody know. */
  async forget({ meta, log, channel }: GroupKeys): Promise<void> {
    const values = [randomText(EPOCH_LENGTH), String(this.#kept.groupAge), this.#publishCommand]
    await this.#calls.run(scripts.forget, [meta, log, channel], values)
  }

  /** Sends a message that is not logged. */
  async send(channel: string, message: string): Promise<void> {
    await this.#calls.send(channel, [this.#publishCommand, channel, message])
  }

  #publishUnsent(): void {
    const unsent = this.#unsent
    this.#unsent = []
    let batch: UnsentEntry[] = []
    let size = 0
    for (const entry of unsent) {
      if (batch.length === PUBLISHED || (batch.length > 0 && size + entry.body.length > PUBLISHED_CHARACTERS)) {
        void this.#publishAll(batch)
        batch = []
        size = 0
      }
      batch.push(entry)
      size += entry.body.length
    }
    void this.#publishAll(batch)
  }

  async #publishAll(batch: readonly UnsentEntry[]): Promise<void> {
    const { entries, bytes, age, groupAge } = this.#kept
    const keys = batch.flatMap(({ keys: { meta, log, channel } }) => [meta, log, channel])
    const kept = [entries, bytes, age, groupAge].map(String)
    const values = batch.flatMap(({ tag, body }) => [randomText(EPOCH_LENGTH), tag, body])
    try {
      const replies = list(await this.#calls.run(scripts.publish, keys, [...kept, this.#publishCommand, ...values]))
      for (const [i, { resolve, reject }] of batch.entries()) {
        const [epoch, seq] = texts(replies[i])
        if (epoch === undefined || epoch === '') reject(notDone(new Error(seq)))
        else resolve({ epoch, seq: Number(seq) })
      }
    } catch (error) {
      // Those who have been answered do not hear it.
      for (const { reject } of batch) reject(error)
    }
  }
}

function positionOf(reply: unknown): LogPosition {
  const [epoch, seq, tag] = texts(reply)
  return { epoch: epoch ?? '', seq: Number(seq), tag: tag ?? '' }
}

/** `[id, [field, value …]]`, written by the script of this version in this order; something else by somebody else. */
function loggedEntry(reply: unknown): LoggedEntry | undefined {
  const [id, fields] = list(reply)
  const [previousName, previous, bodyName, body] = list(fields)
  const seq = typeof id === 'string' && id.endsWith('-0') ? Number(id.slice(0, -2)) : Number.NaN
  if (previousName !== 'p' || typeof previous !== 'string' || bodyName !== 'b' || typeof body !== 'string')
    return undefined
  return { seq, previous, body }
}

function texts(reply: unknown): readonly (string | undefined)[] {
  return list(reply).map((item) => {
    if (typeof item !== 'string') throw unexpected(reply)
    return item
  })
}

function list(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw unexpected(reply)
  return reply
}

function unexpected(reply: unknown): TypeError {
  return new TypeError(`Redis answered ${JSON.stringify(reply)?.slice(0, 100)}, which no script of the layer does`)
}
