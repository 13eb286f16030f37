import type { Clock, LayerEntry, LayerEvents, Position, Report } from '@rtapi/core'
import type { DecodedEntry, EntryCodec } from './entry-codec.ts'
import type { GroupKeys } from './group-keys.ts'
import type { GroupLog, LogPosition, LoggedEntries } from './group-log.ts'
import type { LayerCounts } from './layer-stats.ts'
import { parseMessage } from './message.ts'
import type { Pauses } from './pauses.ts'

/** What a joined group needs of the layer. */
export interface GroupSurroundings {
  readonly clock: Clock
  readonly pauses: Pauses
  readonly log: Pick<GroupLog, 'join' | 'read'>
  readonly codec: EntryCodec
  readonly events: LayerEvents
  readonly counts: LayerCounts
  readonly report: Report
  /** Characters of the longest entry. */
  readonly entrySize: number
  /** Milliseconds for which a hole that was seen may stay unexplained. */
  readonly timeout: number
}

/** An entry that has come as a message and cannot be passed on yet. */
interface HeldEntry {
  readonly epoch: string
  readonly seq: number
  readonly previous: string
  readonly decoded: DecodedEntry
  readonly size: number
  /** How often the log had been asked when it came. */
  readonly round: number
}

const MOST_HELD = 1_000
const MOST_HELD_BYTES = 1_048_576

/**
 * One joined group: passes entries on in the order of their numbers and without a hole, or says that it is lost.
 *
 * Messages are quick and may be missing, the log is the truth. Each entry names the tag of the one before it, so that an
 * entry that continues from the last one proves that nothing is missing. Whatever does not continue is held back until
 * the log has been asked. An answer of the log disproves everything odd that had come before it was asked: publishing
 * logs and sends in one step, so what was sent and is not in the log belongs to a log that is gone, or is forged.
 */
export class JoinedGroup {
  readonly name: string
  readonly keys: GroupKeys
  readonly #around: GroupSurroundings
  /** Of the last entry that was passed on; unknown until the log has been asked, and again when the group is lost. */
  #position: LogPosition | undefined
  /** Not there while everything continues. */
  #held: HeldEntry[] | undefined = []
  #round = 0
  #isAsking = false
  #askAgain = false
  /** Since when it is known that something is missing. */
  #oddSince: number | undefined
  #hasLeft = false
  #movedAt: number
  /** Shared by all who wait; however often they come back, it is one. */
  #entering: { readonly entered: Promise<Position>; readonly resolve: (position: Position) => void } | undefined

  constructor(name: string, keys: GroupKeys, around: GroupSurroundings) {
    this.name = name
    this.keys = keys
    this.#around = around
    this.#movedAt = around.clock.monotonic()
  }

  /** Where it stands, as it is passed on; nothing while that is not certain. */
  get settled(): LogPosition | undefined {
    return this.#held === undefined ? this.#position : undefined
  }

  /** When it went on last, or began. */
  get movedAt(): number {
    return this.#movedAt
  }

  /** Settles with a position after which every entry is passed on, or the group is said to be lost. */
  entered(): Promise<Position> {
    if (this.#position !== undefined) return Promise.resolve(publicPosition(this.#position))
    if (this.#entering === undefined) {
      let resolve: (position: Position) => void = () => {}
      const entered = new Promise<Position>((done) => (resolve = done))
      this.#entering = { entered, resolve }
    }
    return this.#entering.entered
  }

  leave(): void {
    this.#hasLeft = true
  }

  /** A message has come. */
  receive(data: Uint8Array): void {
    if (this.#hasLeft) return
    const message = parseMessage(data, this.#around.entrySize)
    const decoded = message && this.#around.codec.decode(this.name, message.body)
    if (message === undefined || decoded === undefined) {
      // A notice is no entry and is not meant to be one.
      if (message?.body !== '') this.#around.counts.poisoned++
      return this.check()
    }
    const { epoch, seq, previous } = message
    const entry = { epoch, seq, previous, decoded, size: data.length, round: this.#round }
    if (this.#held !== undefined) this.#hold(this.#held, entry)
    else if (this.#continues(entry)) this.#pass(entry)
    else if (!this.#isPast(entry)) {
      this.#held = [entry]
      this.#oddSince = this.#around.clock.monotonic()
      void this.#ask()
    }
  }

  /** Compares with the log, since something may be missing. */
  check(): void {
    if (this.#hasLeft) return
    this.#held ??= []
    void this.#ask()
  }

  #hold(held: HeldEntry[], entry: HeldEntry): void {
    held.push(entry)
    if (held.length <= MOST_HELD && held.reduce((sum, { size }) => sum + size, 0) <= MOST_HELD_BYTES) return
    // The log has them all, or else the group is lost.
    held.length = 0
    this.#askAgain = true
  }

  #continues({ epoch, seq, previous }: HeldEntry): boolean {
    const position = this.#position
    return position?.epoch === epoch && position.seq + 1 === seq && position.tag === previous
  }

  /** Whether it has been passed on already. The last number with another tag is a number that was given twice. */
  #isPast({ epoch, seq, decoded }: HeldEntry): boolean {
    const position = this.#position
    if (position?.epoch !== epoch || seq > position.seq) return false
    return seq < position.seq || decoded.tag === position.tag
  }

  /** Asks the log until nothing is odd any more; one at a time. */
  async #ask(): Promise<void> {
    if (this.#isAsking) {
      this.#askAgain = true
      return
    }
    this.#isAsking = true
    const { pauses } = this.#around
    let failures = 0
    do {
      this.#askAgain = false
      this.#round++
      try {
        await this.#askOnce()
        failures = 0
      } catch {
        // The connection has its own way to tell of failures; here only the time counts.
        this.#giveUpIfLate()
        this.#askAgain = true
        await pauses.beforeAttempt(++failures)
      }
      if (this.#hasLeft || pauses.closed) return
    } while (this.#askAgain)
    this.#isAsking = false
    this.#held = undefined
    this.#oddSince = undefined
  }

  async #askOnce(): Promise<void> {
    const { log } = this.#around
    const position = this.#position
    if (position === undefined) {
      const joined = await log.join(this.keys)
      if (this.#hasLeft) return
      this.#enter(joined)
    } else {
      const logged = await log.read(this.keys, position)
      if (this.#hasLeft) return
      if (logged === 'gone' || !this.#replay(position, logged)) return this.#lose()
    }
    this.#release()
  }

  #enter(position: LogPosition): void {
    this.#position = position
    this.#movedAt = this.#around.clock.monotonic()
    this.#entering?.resolve(publicPosition(position))
    this.#entering = undefined
  }

  /** Passes on what the log holds after the position, if it continues from there without a doubt. */
  #replay({ epoch, tag }: LogPosition, logged: LoggedEntries): boolean {
    let previous = tag
    const entries: HeldEntry[] = []
    for (const { seq, previous: named, body } of logged.entries) {
      const decoded = this.#around.codec.decode(this.name, body)
      if (decoded === undefined) this.#around.counts.poisoned++
      if (decoded === undefined || named !== previous) return false
      entries.push({ epoch, seq, previous, decoded, size: body.length, round: this.#round })
      previous = decoded.tag
    }
    if (previous !== logged.tag) return false
    for (const entry of entries) {
      this.#around.counts.repaired++
      this.#pass(entry)
      if (this.#hasLeft) break
    }
    return true
  }

  /** Passes on what has come since the log was asked, as far as it continues from the answer. */
  #release(): void {
    const held = this.#held ?? []
    this.#oddSince = undefined
    for (const entry of held) {
      // What came before is in the answer, or was never in this log.
      if (entry.round < this.#round) continue
      if (this.#continues(entry)) this.#pass(entry)
      else if (!this.#isPast(entry)) {
        // The next answer has this one and those behind it.
        this.#oddSince = this.#around.clock.monotonic()
        this.#askAgain = true
        break
      }
      if (this.#hasLeft) return
    }
    held.length = 0
  }

  #pass({ epoch, seq, decoded }: HeldEntry): void {
    this.#position = { epoch, seq, tag: decoded.tag }
    this.#movedAt = this.#around.clock.monotonic()
    this.#deliver({ epoch, seq }, decoded.entry)
  }

  #deliver(position: Position, entry: LayerEntry): void {
    try {
      this.#around.events.deliver(this.name, position, entry)
    } catch (error) {
      this.#around.report(error, { during: 'layer.deliver' })
    }
  }

  #giveUpIfLate(): void {
    const { clock, timeout } = this.#around
    const isLate = this.#oddSince !== undefined && clock.monotonic() - this.#oddSince >= timeout
    if (isLate && this.#position !== undefined && !this.#hasLeft) this.#lose()
  }

  /** What comes from now on is held back until the log has said where it stands. */
  #lose(): void {
    this.#position = undefined
    this.#oddSince = undefined
    this.#askAgain = true
    this.#around.counts.lost++
    try {
      this.#around.events.lost(this.name)
    } catch (error) {
      this.#around.report(error, { during: 'layer.lost' })
    }
  }
}

function publicPosition({ epoch, seq }: LogPosition): Position {
  return { epoch, seq }
}
