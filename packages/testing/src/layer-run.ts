import type { ChannelLayer, LayerEntry, MaybePromise, Position } from '@rtapi/core'
import { ConformanceError, check, checkEqual } from './conformance.ts'
import { settle } from './event-loop.ts'
import { waitFor } from './wait-for.ts'

/** Two layers to try, over a log of their own. */
export interface LayerSubject {
  /** Of one bus, as two processes have them; not opened yet. */
  readonly layers: readonly [ChannelLayer, ChannelLayer]
  /** Makes the log of a group disappear, to which nobody is joined: as if its time had run out. */
  forget(group: string): MaybePromise<void>
  /** Lets so many milliseconds pass for the layers. @default they pass by themselves */
  pass?(milliseconds: number): MaybePromise<void>
  /** Releases what is left after both layers have been closed. */
  close?(): MaybePromise<void>
}

/** A promise of layers, tried with two processes that are open. */
export type LayerCase = readonly [name: string, run: (run: LayerRun) => Promise<void>]

export interface Delivery {
  readonly group: string
  readonly position: Position
  readonly entry: LayerEntry
}

/** One process: a layer, and what it has delivered. */
export class LayerProcess {
  readonly layer: ChannelLayer
  readonly deliveries: Delivery[] = []
  readonly losses: (string | undefined)[] = []
  /** Called in each delivery, after it has been recorded. */
  onDeliver: (delivery: Delivery) => void = () => {}
  readonly #timeout: number
  readonly #waiting = new Set<() => void>()

  constructor(layer: ChannelLayer, timeout: number) {
    this.layer = layer
    this.#timeout = timeout
  }

  async open(): Promise<void> {
    await this.layer.open({
      deliver: (group, position, entry) => {
        const delivery = { group, position, entry }
        this.deliveries.push(delivery)
        for (const run of this.#waiting) run()
        this.onDeliver(delivery)
      },
      lost: (group) => void this.losses.push(group),
    })
  }

  of(group: string): readonly Delivery[] {
    return this.deliveries.filter((delivery) => delivery.group === group)
  }

  seqs(group: string): readonly number[] {
    return this.of(group).map(({ position }) => position.seq)
  }

  /** Waits until so many entries of a group have come in all, and answers them. */
  until(group: string, count: number): Promise<readonly Delivery[]> {
    return waitFor({
      what: `${count} entries of ${group}`,
      timeout: this.#timeout,
      take: () => (this.of(group).length >= count ? this.of(group) : undefined),
      onArrival: (run) => {
        this.#waiting.add(run)
        return () => this.#waiting.delete(run)
      },
      story: () => `(there are ${this.of(group).length}: ${this.seqs(group).join(' ').slice(0, 200)})`,
    })
  }
}

/** The two processes of a case. */
export class LayerRun {
  readonly one: LayerProcess
  readonly two: LayerProcess
  readonly subject: LayerSubject
  /** Milliseconds after which what has not come counts as missing. */
  readonly timeout: number
  #groups = 0
  #entries = 0
  #closed = new Set<LayerProcess>()

  constructor(subject: LayerSubject, timeout: number) {
    this.subject = subject
    this.timeout = timeout
    this.one = new LayerProcess(subject.layers[0], timeout)
    this.two = new LayerProcess(subject.layers[1], timeout)
  }

  /** A group that nobody has used. */
  group(name = ''): string {
    return `rt:${name}${++this.#groups}-${crypto.randomUUID().slice(0, 8)}`
  }

  /** An entry that is like no other. */
  entry(key: string | number = 1): LayerEntry {
    const tx = `tx${++this.#entries}`
    return { type: 'changes', tx, entity: 'things', changes: [{ key, action: 'update' }] }
  }

  /**
   * Waits until all that has been published so far has come, if it comes at all: a mark that is sent after it has.
   * A layer keeps the order of one process towards another only within a group, but in practice what is later is later.
   */
  async settle(): Promise<void> {
    for (const process of [this.one, this.two]) {
      if (this.#closed.has(process)) continue
      const group = this.group('mark')
      await process.layer.join(group)
      for (const from of [this.one, this.two]) {
        if (!this.#closed.has(from)) await from.layer.publish(group, this.entry())
      }
      await process.until(group, 2 - this.#closed.size)
      await process.layer.leave(group)
    }
    await settle()
  }

  async closeLayer(process: LayerProcess): Promise<void> {
    if (this.#closed.has(process)) return
    this.#closed.add(process)
    await process.layer.close()
  }

  async end(): Promise<void> {
    await this.closeLayer(this.one)
    await this.closeLayer(this.two)
    await this.subject.close?.()
  }

  /** What holds at the end of each case: in health nothing was lost. */
  checkHealth(): void {
    for (const { losses } of [this.one, this.two]) checkEqual(losses, [], "calls of 'lost' though nothing was")
  }
}

/** The entries must be exactly these, numbered without a hole from `first`. */
export function checkDense(deliveries: readonly Delivery[], epoch: string, first: number, what: string): void {
  deliveries.forEach(({ position }, i) => {
    checkEqual(position, { epoch, seq: first + i }, `${what}: the position of delivery ${i}`)
  })
}

/** The log must be complete after `since`, up to `top`. */
export async function historyOf(layer: ChannelLayer, group: string, since: Position): Promise<readonly LayerEntry[]> {
  const history = await layer.history(group, since)
  if (history === 'gone') throw new ConformanceError(`the history since ${since.seq} is gone, though it must be there`)
  history.forEach(({ seq }, i) =>
    check(seq === since.seq + 1 + i, `the history since ${since.seq} has entry ${seq} at ${i}`),
  )
  return history.map(({ entry }) => entry)
}
