import type { ChannelLayer, LayerEntry, LogEntry, Position } from './channel-layer.ts'
import type { Limits } from './protocol.ts'
import { type Clock, type MaybePromise, type Report, withTimeout } from './runtime.ts'

/** Hears the entries of groups it has joined. */
export interface GroupListener {
  receive(group: Group, seq: number, entry: LayerEntry): void
  /** Entries of this group may have been missed. Position and log of the group start anew. */
  lost(group: Group): void
}

/** One group that this process has joined. */
export interface Group {
  readonly name: string
  /** Settles when delivery is certain; again pending while a lost group is joined anew. */
  readonly ready: Promise<void>
  /** Of the last entry that listeners have received. Meaningful once `ready`. */
  readonly position: Position
}

/** Waits until an entry of a group has come. */
interface Waiter {
  readonly seq: number
  readonly done: () => void
}

interface JoinedGroup {
  name: string
  ready: Promise<void>
  position: Position
  listeners: Set<GroupListener>
  /** Entries that came while the position is being found out: during a join or the repair of a gap. */
  held: { position: Position; entry: LayerEntry }[] | undefined
  waiters: Set<Waiter>
  /** A loss is being mended; `again` when it was lost once more meanwhile. */
  mending: 'no' | 'yes' | 'again'
}

const REJOIN_DELAY = 1_000

/**
 * This process's view of the channel layer: joins each group once for all its listeners, proves that no entry is
 * missing, fills holes from the log, and says so where it cannot.
 *
 * Per group: a number seen before is dropped, the next one is passed on, a later one is a hole that the log must fill; another
 * epoch, or a log that does not reach back, is a loss (the scheme of Centrifugo's position check).
 */
export class GroupHub {
  readonly #layer: ChannelLayer
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #report: Report
  readonly #groups = new Map<string, JoinedGroup>()
  /** Calls to join and leave one group run one after the other. */
  readonly #calls = new Map<string, Promise<unknown>>()
  readonly #retries = new Set<() => void>()
  #closed = false

  constructor(layer: ChannelLayer, clock: Clock, limits: Limits, report: Report) {
    this.#layer = layer
    this.#clock = clock
    this.#limits = limits
    this.#report = report
  }

  get size(): number {
    return this.#groups.size
  }

  get timers(): number {
    return this.#retries.size
  }

  async open(): Promise<void> {
    await this.#layer.open({
      deliver: (name, position, entry) => this.#deliver(name, position, entry),
      lost: (name) => {
        const lost = name === undefined ? [...this.#groups.values()] : [this.#groups.get(name)]
        for (const group of lost) if (group !== undefined) this.#lose(group)
      },
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const cancel of this.#retries) cancel()
    this.#retries.clear()
    for (const group of this.#groups.values()) wake(group, Number.POSITIVE_INFINITY)
    this.#groups.clear()
    await this.#layer.close()
  }

  /** Joins for a listener. The group is certain to deliver once its `ready` settles; `ready` rejects if it cannot. */
  join(name: string, listener: GroupListener): Group {
    const known = this.#groups.get(name)
    if (known !== undefined) {
      known.listeners.add(listener)
      return known
    }
    const group: JoinedGroup = {
      name,
      ready: Promise.resolve(),
      position: { epoch: '', seq: 0 },
      listeners: new Set([listener]),
      held: [],
      waiters: new Set(),
      mending: 'no',
    }
    this.#groups.set(name, group)
    group.ready = this.#enter(group)
    // Whoever waits for it sees the rejection; nobody waiting is no error.
    group.ready.catch(() => undefined)
    return group
  }

  /** Undoes one `join`; with the last listener the group is left. */
  leave(name: string, listener: GroupListener): void {
    const group = this.#groups.get(name)
    if (group === undefined || !group.listeners.delete(listener) || group.listeners.size > 0) return
    this.#groups.delete(name)
    wake(group, Number.POSITIVE_INFINITY)
    this.#exit(name)
  }

  /** Publishes; throws or rejects if the layer does not take the entry in time. */
  publish(name: string, entry: LayerEntry): MaybePromise<Position> {
    const position = this.#layer.publish(name, entry)
    return position instanceof Promise ? this.#call(() => position) : position
  }

  /** The entries after a position, or `gone`. */
  history(name: string, since: Position): Promise<readonly LogEntry[] | 'gone'> {
    return this.#call(() => this.#layer.history(name, since))
  }

  /**
   * Settles when this process has received the entry at `position`, or is not in the group. An entry that does not come in
   * time has been lost on its way: it is fetched from the log.
   */
  reached(name: string, position: Position): MaybePromise<void> {
    const group = this.#groups.get(name)
    if (group === undefined || group.position.epoch !== position.epoch || group.position.seq >= position.seq) return
    return new Promise((resolve) => {
      const waiter: Waiter = {
        seq: position.seq,
        done() {
          cancel()
          resolve()
        },
      }
      const cancel = this.#clock.setTimer(this.#limits.layerTimeout, () => {
        group.waiters.delete(waiter)
        resolve()
        if (this.#groups.get(name) !== group || group.held !== undefined) return
        group.held = []
        void this.#repair(group)
      })
      group.waiters.add(waiter)
    })
  }

  /**
   * Looks whether entries of a group have been missed without a sign, and passes them on.
   * @returns `false` if the layer cannot be asked.
   */
  async check(name: string): Promise<boolean> {
    const group = this.#groups.get(name)
    if (group === undefined || group.held !== undefined) return group?.mending !== 'yes' && group?.mending !== 'again'
    const { position } = group
    try {
      const entries = await this.history(name, position)
      // What is under way meanwhile finds out by itself.
      if (this.#groups.get(name) !== group || group.held !== undefined) return true
      if (entries === 'gone') this.#lose(group)
      else for (const { seq, entry } of entries) this.#deliver(name, { epoch: position.epoch, seq }, entry)
      return true
    } catch (error) {
      this.#report(error, { during: 'layer.history' })
      return false
    }
  }

  #call<T>(call: () => T | Promise<T>): Promise<T> {
    const timeout = this.#limits.layerTimeout
    try {
      return withTimeout(
        this.#clock,
        timeout,
        call(),
        () => new Error(`the channel layer did not answer within ${timeout} ms`),
      )
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #inTurn<T>(name: string, call: () => Promise<T>): Promise<T> {
    const turn = (this.#calls.get(name) ?? Promise.resolve()).then(call, call)
    this.#calls.set(name, turn)
    const forget = (): void => {
      if (this.#calls.get(name) === turn) this.#calls.delete(name)
    }
    turn.then(forget, forget)
    return turn
  }

  async #enter(group: JoinedGroup): Promise<void> {
    const { name } = group
    try {
      group.position = await this.#inTurn(name, () => this.#call(() => this.#layer.join(name)))
    } catch (error) {
      // A group that cannot be joined must not look joined to whoever asks next, nor stay joined if it was after all.
      if (this.#groups.get(name) === group && group.mending === 'no') {
        this.#groups.delete(name)
        this.#exit(name)
      }
      throw error
    }
    if (group.mending === 'no') this.#release(group)
  }

  /** Leaves a group on the layer, unless somebody is in it again by then. */
  #exit(name: string): void {
    this.#inTurn(name, async () => {
      if (!this.#closed && !this.#groups.has(name)) await this.#call(() => this.#layer.leave(name))
    }).catch((error: unknown) => this.#report(error, { during: 'layer.leave' }))
  }

  #deliver(name: string, position: Position, entry: LayerEntry): void {
    const group = this.#groups.get(name)
    if (group === undefined) return
    if (group.held !== undefined) {
      group.held.push({ position, entry })
    } else if (position.epoch !== group.position.epoch) {
      this.#lose(group)
    } else if (position.seq === group.position.seq + 1) {
      this.#accept(group, position, entry)
    } else if (position.seq > group.position.seq) {
      group.held = [{ position, entry }]
      void this.#repair(group)
    }
  }

  #accept(group: JoinedGroup, position: Position, entry: LayerEntry): void {
    const { seq } = position
    group.position = position
    for (const listener of group.listeners) {
      try {
        listener.receive(group, seq, entry)
      } catch (error) {
        this.#report(error, { during: 'group.receive' })
      }
    }
    wake(group, seq)
  }

  /** Passes on what was held back, now that the position is known. */
  #release(group: JoinedGroup): void {
    const held = group.held ?? []
    group.held = undefined
    for (const { position, entry } of held) this.#deliver(group.name, position, entry)
  }

  async #repair(group: JoinedGroup): Promise<void> {
    let entries: readonly LogEntry[] | 'gone' = 'gone'
    try {
      entries = await this.history(group.name, group.position)
    } catch (error) {
      this.#report(error, { during: 'layer.history' })
    }
    if (this.#groups.get(group.name) !== group || group.held === undefined || group.mending !== 'no') return
    if (entries === 'gone') return this.#lose(group)
    for (const { seq, entry } of entries)
      if (seq === group.position.seq + 1) this.#accept(group, { epoch: group.position.epoch, seq }, entry)
    const next = group.held.find(
      ({ position }) => position.epoch === group.position.epoch && position.seq > group.position.seq,
    )
    // A log that does not reach the entry which showed the hole cannot prove that nothing is missing.
    if (next !== undefined && next.position.seq > group.position.seq + 1) return this.#lose(group)
    this.#release(group)
  }

  /** Joins anew; listeners are told at once, and find the new position when `ready` settles. */
  #lose(group: JoinedGroup): void {
    if (this.#closed || this.#groups.get(group.name) !== group) return
    if (group.mending !== 'no') {
      group.mending = 'again'
      return
    }
    group.mending = 'yes'
    group.held = []
    wake(group, Number.POSITIVE_INFINITY)
    group.ready = this.#rejoin(group)
    for (const listener of group.listeners) {
      try {
        listener.lost(group)
      } catch (error) {
        this.#report(error, { during: 'group.lost' })
      }
    }
  }

  async #rejoin(group: JoinedGroup): Promise<void> {
    for (;;) {
      try {
        const position = await this.#inTurn(group.name, () => this.#call(() => this.#layer.join(group.name)))
        if (this.#groups.get(group.name) !== group) return
        if (this.#lostAgain(group)) continue
        // Late entries of a log that is gone are no sign of another loss.
        const { epoch } = group.position
        if (epoch !== position.epoch) group.held = group.held?.filter((held) => held.position.epoch !== epoch)
        group.position = position
        // What was to be waited for is behind it, or in another log.
        wake(group, Number.POSITIVE_INFINITY)
        this.#release(group)
        return
      } catch (error) {
        this.#report(error, { during: 'layer.join' })
        await this.#pause()
        if (this.#closed || this.#groups.get(group.name) !== group) return
      }
    }
  }

  #lostAgain(group: JoinedGroup): boolean {
    const again = group.mending === 'again'
    group.mending = again ? 'yes' : 'no'
    if (again) group.held = []
    return again
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#retries.delete(wake)
        cancel()
        resolve()
      }
      const cancel = this.#clock.setTimer(REJOIN_DELAY, wake)
      this.#retries.add(wake)
    })
  }
}

/** Tells those who wait for entries up to this one. */
function wake({ waiters }: JoinedGroup, seq: number): void {
  if (waiters.size === 0) return
  for (const waiter of waiters) {
    if (waiter.seq > seq) continue
    waiters.delete(waiter)
    waiter.done()
  }
}
