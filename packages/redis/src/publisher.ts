import { type LayerEntry, type Position, RtapiError } from '@rtapi/core'
import type { EncodedEntry, EntryCodec } from './entry-codec.ts'
import type { GroupKeys } from './group-keys.ts'
import type { GroupLog } from './group-log.ts'
import type { Pauses } from './pauses.ts'

/** What publishing needs of the layer. */
export interface PublishSurroundings {
  readonly log: Pick<GroupLog, 'publish' | 'forget'>
  readonly codec: EntryCodec
  readonly pauses: Pauses
  keysOf(group: string): GroupKeys
}

interface UnsentEntry extends EncodedEntry {
  readonly group: string
}

const MOST = 10_000
const MOST_BYTES = 16 * 1_048_576
const BATCH = 100

/**
 * Publishes entries. One that fails is refused to its sender at once, who then cares for this process, and is kept for
 * the others: they would not find out that they lack it, since no number is missing. To send it late, or twice, does no
 * harm, since an entry only says what is to be read anew. Where there are too many to keep, or one is too long to be
 * sent at all, the log of their groups is ended as soon as that can be done, and everybody begins anew.
 */
export class Publisher {
  readonly #around: PublishSurroundings
  readonly #underway = new Set<Promise<Position>>()
  #underwayBytes = 0
  #unsent: UnsentEntry[] = []
  #unsentBytes = 0
  /** Groups whose log lacks entries that have not been kept. */
  readonly #broken = new Set<string>()
  #isCatchingUp = false

  constructor(around: PublishSurroundings) {
    this.#around = around
  }

  /** Entries and groups that wait for a connection. */
  get unsent(): number {
    return this.#unsent.length + this.#broken.size
  }

  /**
   * @throws RtapiError `limit_exceeded` if the entry is too long, `unavailable` if it is not known to have been published.
   */
  async publish(group: string, entry: LayerEntry): Promise<Position> {
    const encoded = this.#encode(group, entry)
    const size = encoded.body.length
    if (this.#underway.size >= MOST || this.#underwayBytes + size > MOST_BYTES) {
      this.#keep({ ...encoded, group })
      throw new RtapiError('unavailable', 'Redis does not keep up with what is published')
    }
    const sent = this.#send({ ...encoded, group })
    this.#underway.add(sent)
    this.#underwayBytes += size
    try {
      return await sent
    } catch (error) {
      this.#keep({ ...encoded, group })
      throw error
    } finally {
      this.#underway.delete(sent)
      this.#underwayBytes -= size
    }
  }

  /** Waits for what is under way, and sends what could not be sent, for as long as that succeeds. */
  async finish(): Promise<void> {
    await Promise.allSettled(this.#underway)
    while (this.unsent > 0 && (await this.#sendBatch())) continue
  }

  /** An entry that cannot be published must be missed: it leaves no number behind that is missing. */
  #encode(group: string, entry: LayerEntry): EncodedEntry {
    try {
      return this.#around.codec.encode(group, entry)
    } catch (error) {
      this.#broken.add(group)
      void this.#catchUp()
      throw error
    }
  }

  #send({ group, tag, body }: UnsentEntry): Promise<Position> {
    return this.#around.log.publish(this.#around.keysOf(group), tag, body)
  }

  #keep(entry: UnsentEntry): void {
    if (this.#around.pauses.closed) return
    this.#unsent.push(entry)
    this.#unsentBytes += entry.body.length
    if (this.#unsent.length > MOST || this.#unsentBytes > MOST_BYTES) {
      for (const { group } of this.#unsent) this.#broken.add(group)
      this.#unsent = []
      this.#unsentBytes = 0
    }
    void this.#catchUp()
  }

  async #catchUp(): Promise<void> {
    if (this.#isCatchingUp) return
    this.#isCatchingUp = true
    for (let failures = 1; this.unsent > 0;) {
      await this.#around.pauses.beforeAttempt(failures)
      if (this.#around.pauses.closed) return
      failures = (await this.#sendBatch()) ? 0 : failures + 1
    }
    this.#isCatchingUp = false
  }

  /** Whether all of it could be sent. */
  async #sendBatch(): Promise<boolean> {
    const batch = this.#unsent.splice(0, BATCH)
    for (const { body } of batch) this.#unsentBytes -= body.length
    const broken = [...this.#broken].slice(0, BATCH)
    const sent = await Promise.all(batch.map((entry) => succeeds(this.#send(entry))))
    const ended = await Promise.all(
      broken.map((group) => succeeds(this.#around.log.forget(this.#around.keysOf(group)))),
    )
    broken.forEach((group, i) => {
      if (ended[i] === true) this.#broken.delete(group)
    })
    const failed = batch.filter((_, i) => sent[i] !== true)
    this.#unsent.unshift(...failed)
    for (const { body } of failed) this.#unsentBytes += body.length
    return failed.length === 0 && !ended.includes(false)
  }
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  try {
    await work
    return true
  } catch {
    return false
  }
}
