import type { LayerEntry, Position } from './channel-layer.ts'
import { allOf } from './filter-algebra.ts'
import type { Feed, FeedSnapshot, FeedWaiter, FreshRow, Mark } from './feed.ts'
import { FeedSet } from './feed-set.ts'
import type { FeedSpec } from './feed-spec.ts'
import type { Gate } from './gate.ts'
import type { Group, GroupHub, GroupListener } from './group-hub.ts'
import { writePosition } from './position.ts'
import { type Limits, RtapiError } from './protocol.ts'
import type { ResourceModel } from './resource-model.ts'
import { type Clock, type Report, withTimeout } from './runtime.ts'
import { RowView } from './row-view.ts'
import type { Store } from './store.ts'
import { type Key, type KeyId, type Row, keyId, keyOf } from './value.ts'

/** A query of a feed that is under way. */
interface Load {
  readonly waiters: Set<FeedWaiter>
  /** Keys that changed since it began: they are read again before its rows are believed. */
  readonly touched: Map<KeyId, Key>
}

interface Arrival {
  readonly feed: Feed
  readonly load: Load
  readonly rows: readonly Row[]
}

interface DirtyKey extends Mark {
  readonly key: Key
}

interface ReaderSurroundings {
  readonly hub: GroupHub
  readonly limits: Limits
  readonly clock: Clock
  readonly report: Report
  /** Bounds the queries that run at once. */
  readonly gate: Gate
}

/** Keys read at once, so that a bulk write does not hold the process for long. */
const BATCH = 1_000
/** Changes during one query above which it is asked again, and how often. */
const MAX_TOUCHED = 1_000
const MAX_ATTEMPTS = 3
const RETRY_DELAY = 1_000
/** Milliseconds between looks at feeds whose groups have gone on without them, and the entries that matter. */
const POSITION_INTERVAL = 10_000
const POSITION_DRIFT = 100

/**
 * Reads the rows of one store for all feeds of this process, one batch after the other: a changed key is read only
 * after its message has arrived, once for all feeds of a tick, and a key that changes during a read is read again. So
 * what a feed sees of a record never goes back, and the last message is followed by a read: the feeds converge without
 * any order between processes.
 *
 * A query for a snapshot runs beside the batches. Its rows are taken in between two batches, after reading again every
 * key that changed since the query began: from there on the feed goes live without a gap.
 */
export class StoreReader implements GroupListener {
  readonly #store: Store<Row, unknown, unknown>
  readonly #around: ReaderSurroundings
  readonly #sets = new Map<string, FeedSet>()
  readonly #groups = new Map<string, { group: Group; feeds: Set<Feed> }>()
  /** Waiters for the next query of a feed, and the query that is under way. */
  readonly #waiting = new Map<Feed, Set<FeedWaiter>>()
  readonly #loads = new Map<Feed, Load>()
  readonly #touched = new Set<Feed>()
  #dirty = new Map<KeyId, DirtyKey>()
  #arrivals: Arrival[] = []
  #scheduled = false
  /** The last entry of each group whose keys are all in `#dirty` or already applied; and all applied. */
  #received = new Map<Group, Position>()
  readonly #applied = new Map<Group, Position>()
  #caughtUp: (() => void)[] = []
  readonly #retries = new Map<Feed | 'read', () => void>()
  #positionsAt = 0
  #closed = false

  constructor(store: Store<Row, unknown, unknown>, around: ReaderSurroundings) {
    this.#store = store
    this.#around = around
  }

  get feedCount(): number {
    let count = 0
    for (const set of this.#sets.values()) count += set.size
    return count
  }

  get timers(): number {
    return this.#retries.size
  }

  /** Waits for a snapshot of the feed of this spec; the query begins after this call. */
  subscribe(spec: FeedSpec, waiter: FeedWaiter): Feed {
    const set = this.#setOf(spec)
    let feed = set.find(spec.id)
    if (feed === undefined) {
      feed = set.open(spec)
      for (const name of spec.groups) feed.groups.push(this.#join(name, feed))
    }
    const waiting = this.#waiting.get(feed)
    if (waiting === undefined) this.#waiting.set(feed, new Set([waiter]))
    else waiting.add(waiter)
    this.#load(feed)
    return feed
  }

  /** Takes a waiter back, or nothing but tells that a member has gone: a feed that nobody needs is closed. */
  release(feed: Feed, waiter?: FeedWaiter): void {
    if (waiter !== undefined) {
      this.#waiting.get(feed)?.delete(waiter)
      this.#loads.get(feed)?.waiters.delete(waiter)
    }
    const waiters = (this.#waiting.get(feed)?.size ?? 0) + (this.#loads.get(feed)?.waiters.size ?? 0)
    if (feed.memberCount > 0 || waiters > 0) return
    this.#waiting.delete(feed)
    this.#loads.delete(feed)
    this.#touched.delete(feed)
    this.#cancelRetry(feed)
    const set = this.#setOf(feed.spec)
    if (set.find(feed.spec.id) !== feed) return
    set.close(feed)
    for (const name of feed.spec.groups) this.#leave(name, feed)
  }

  receive(group: Group, seq: number, entry: LayerEntry): void {
    if (entry.type === 'changes' && entry.entity === this.#store.entity) {
      for (const { key, action } of entry.changes) this.#mark(key, action, entry.tx)
    } else if (entry.type === 'coarse' && entry.entity === this.#store.entity) {
      for (const feed of this.#groups.get(group.name)?.feeds ?? []) this.requery(feed)
    }
    this.#received.set(group, { epoch: group.position.epoch, seq })
    this.#schedule()
  }

  lost(group: Group): void {
    this.#received.delete(group)
    this.#applied.delete(group)
    this.#noteJoined(group)
    for (const feed of this.#groups.get(group.name)?.feeds ?? []) {
      this.#abandon(feed)
      feed.drop('gap')
      this.release(feed)
      if (this.#waiting.has(feed)) this.#load(feed)
    }
  }

  /** A query that began before continuity was lost proves nothing: its waiters wait for the next one. */
  #abandon(feed: Feed): void {
    const load = this.#loads.get(feed)
    if (load === undefined) return
    this.#loads.delete(feed)
    this.#touched.delete(feed)
    const waiting = this.#waiting.get(feed) ?? new Set()
    for (const waiter of load.waiters) waiting.add(waiter)
    if (waiting.size > 0) this.#waiting.set(feed, waiting)
  }

  /** Asks the feed's query again and sends its members the difference. */
  requery(feed: Feed): void {
    feed.stale = true
    this.#load(feed)
  }

  /** Applies keys that could not be announced through the layer, so that at least this process hears of them. */
  markLocally(keys: readonly { readonly key: Key; readonly action: Mark['action'] }[], tx: string): void {
    for (const { key, action } of keys) this.#mark(key, action, tx)
    this.#schedule()
  }

  requeryAll(): void {
    for (const { feeds } of this.#groups.values()) for (const feed of feeds) this.requery(feed)
  }

  /** Settles when every change received so far has been handed to the feeds' members. */
  caughtUp(): Promise<void> {
    if (this.#dirty.size === 0 && !this.#scheduled) return Promise.resolve()
    return new Promise((resolve) => this.#caughtUp.push(resolve))
  }

  close(): void {
    this.#closed = true
    for (const cancel of this.#retries.values()) cancel()
    this.#retries.clear()
    for (const resolve of this.#caughtUp.splice(0)) resolve()
  }

  #setOf(spec: FeedSpec): FeedSet {
    const known = this.#sets.get(spec.model.name)
    if (known !== undefined) return known
    const set = new FeedSet(spec.model)
    this.#sets.set(spec.model.name, set)
    return set
  }

  #join(name: string, feed: Feed): Group {
    const known = this.#groups.get(name)
    if (known !== undefined) {
      known.feeds.add(feed)
      return known.group
    }
    const group = this.#around.hub.join(name, this)
    this.#groups.set(name, { group, feeds: new Set([feed]) })
    this.#noteJoined(group)
    return group
  }

  #noteJoined(group: Group): void {
    const note = (): void => {
      if (this.#groups.get(group.name)?.group === group && !this.#applied.has(group))
        this.#applied.set(group, group.position)
    }
    // A group that cannot be joined is told to the waiters by their load.
    group.ready.then(note, () => undefined)
  }

  #leave(name: string, feed: Feed): void {
    const joined = this.#groups.get(name)
    if (joined === undefined || !joined.feeds.delete(feed) || joined.feeds.size > 0) return
    this.#groups.delete(name)
    this.#received.delete(joined.group)
    this.#applied.delete(joined.group)
    this.#around.hub.leave(name, this)
  }

  #mark(key: Key, action: Mark['action'], tx: string): void {
    const id = keyId(key)
    const before = this.#dirty.get(id)
    // Created and then updated within a tick is still new to whoever watches.
    this.#dirty.set(id, { key, action: before?.action === 'create' && action === 'update' ? 'create' : action, tx })
  }

  // ── Queries ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #load(feed: Feed): void {
    if (this.#loads.has(feed) || this.#closed) return
    const waiters = this.#waiting.get(feed) ?? new Set<FeedWaiter>()
    this.#waiting.delete(feed)
    const load: Load = { waiters, touched: new Map() }
    this.#loads.set(feed, load)
    this.#touched.add(feed)
    feed.stale = false
    void this.#query(feed, load)
  }

  async #query(feed: Feed, load: Load): Promise<void> {
    const { gate, limits, clock } = this.#around
    const { filter, scope, order, limit, model } = feed.spec
    try {
      await Promise.all(feed.groups.map((group) => group.ready))
      for (let attempt = 1; ; attempt++) {
        await Promise.all([...load.waiters].map(async (waiter) => waiter.prepare?.(feed.groups)))
        // One row more than is shown tells whether there are more.
        const query = { where: allOf(filter, scope), order, limit: (limit ?? limits.viewRows) + 1 }
        const rows = await gate.run(() =>
          withTimeout(
            clock,
            limits.storeTimeout,
            model.store.find(query),
            () => new RtapiError('timeout', 'The query took too long.'),
          ),
        )
        if (this.#loads.get(feed) !== load) return
        if (load.touched.size > MAX_TOUCHED) {
          if (attempt === MAX_ATTEMPTS)
            throw new RtapiError('unavailable', 'The records change faster than they can be read.')
          load.touched.clear()
          continue
        }
        if (limit === undefined && rows.length > limits.viewRows) {
          throw new RtapiError(
            'limit_exceeded',
            `more than ${limits.viewRows} rows match: give a limit or a narrower filter`,
          )
        }
        this.#arrivals.push({ feed, load, rows })
        this.#schedule()
        return
      }
    } catch (error) {
      this.#failed(feed, load, error)
    }
  }

  #failed(feed: Feed, load: Load, error: unknown): void {
    if (this.#loads.get(feed) !== load) return
    this.#loads.delete(feed)
    this.#touched.delete(feed)
    if (!(error instanceof RtapiError))
      this.#around.report(error, { during: 'store.find', resource: feed.spec.model.name })
    const told =
      error instanceof RtapiError
        ? error
        : new RtapiError('unavailable', 'The records cannot be read now.', { cause: error })
    for (const waiter of load.waiters) waiter.failed(told)
    if (told.code === 'limit_exceeded' && feed.memberCount > 0) feed.drop('overflow')
    this.release(feed)
    if (this.#waiting.has(feed)) this.#load(feed)
    else if (feed.memberCount > 0) this.#retry(feed, () => this.requery(feed))
  }

  /** More rows than a view may hold: whoever asks again is told so. */
  #dropFeed(feed: Feed): void {
    feed.drop('overflow')
    this.release(feed)
  }

  #retry(owner: Feed | 'read', run: () => void): void {
    if (this.#closed || this.#retries.has(owner)) return
    const cancel = this.#around.clock.setTimer(RETRY_DELAY, () => {
      this.#retries.delete(owner)
      run()
    })
    this.#retries.set(owner, cancel)
  }

  #cancelRetry(feed: Feed): void {
    this.#retries.get(feed)?.()
    this.#retries.delete(feed)
  }

  // ── Batches ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #schedule(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    this.#around.clock.defer(() => void this.#run())
  }

  async #run(): Promise<void> {
    const arrivals = this.#arrivals
    this.#arrivals = []
    const batch = this.#take()
    const positions = this.#dirty.size === 0 ? this.#received : new Map<Group, Position>()
    const caughtUp = this.#dirty.size === 0 ? this.#caughtUp.splice(0) : []
    if (positions === this.#received) this.#received = new Map()
    const keys = new Map<KeyId, DirtyKey>(batch)
    for (const { feed, load, rows } of arrivals) this.#addUncertainKeys(keys, feed, load, rows)
    try {
      const rows = keys.size === 0 ? [] : await this.#read([...keys.values()].map(({ key }) => key))
      this.#applyBatch(keys, rows, arrivals, positions)
    } catch (error) {
      this.#around.report(error, { during: 'store.read' })
      this.#putBack(batch, arrivals, positions, caughtUp)
      // Nothing is sent of what could not be read; `#scheduled` stays set until the next try.
      this.#retry('read', () => void this.#run())
      return
    }
    for (const resolve of caughtUp) resolve()
    this.#scheduled = false
    if (this.#dirty.size > 0 || this.#arrivals.length > 0 || this.#received.size > 0) this.#schedule()
  }

  #take(): Map<KeyId, DirtyKey> {
    if (this.#dirty.size <= BATCH) {
      const all = this.#dirty
      this.#dirty = new Map()
      return all
    }
    const some = new Map([...this.#dirty].slice(0, BATCH))
    for (const id of some.keys()) this.#dirty.delete(id)
    return some
  }

  #putBack(
    batch: ReadonlyMap<KeyId, DirtyKey>,
    arrivals: readonly Arrival[],
    positions: ReadonlyMap<Group, Position>,
    caughtUp: readonly (() => void)[],
  ): void {
    for (const [id, dirty] of batch) if (!this.#dirty.has(id)) this.#dirty.set(id, dirty)
    for (const [group, position] of positions) if (!this.#received.has(group)) this.#received.set(group, position)
    this.#arrivals.unshift(...arrivals)
    this.#caughtUp.push(...caughtUp)
  }

  /** Keys whose truth a query cannot tell: changed since it began, or shown until now and not among its rows. */
  #addUncertainKeys(keys: Map<KeyId, DirtyKey>, feed: Feed, load: Load, rows: readonly Row[]): void {
    const uncertain = new Map(load.touched)
    if (feed.whole) {
      const found = new Set(rows.slice(0, feed.spec.limit).map((row) => keyId(keyOf(row, feed.spec.model.keyFields))))
      for (const [id, { key }] of feed.shown) if (!found.has(id)) uncertain.set(id, key)
    }
    for (const [id, key] of uncertain) if (!keys.has(id)) keys.set(id, { key, action: 'update', tx: undefined })
  }

  async #read(keys: readonly Key[]): Promise<readonly Row[]> {
    if (this.feedCount === 0) return []
    const { clock, limits } = this.#around
    return withTimeout(
      clock,
      limits.storeTimeout,
      this.#store.read(keys),
      () => new Error('reading changed records took too long'),
    )
  }

  /** Synchronous from here to the end: feeds, their members and the positions move together. */
  #applyBatch(
    keys: ReadonlyMap<KeyId, DirtyKey>,
    rows: readonly Row[],
    arrivals: readonly Arrival[],
    positions: ReadonlyMap<Group, Position>,
  ): void {
    for (const [group, position] of positions)
      if (group.position.epoch === position.epoch) this.#applied.set(group, position)
    const arriving = new Set(arrivals.map(({ feed }) => feed))
    const changed = new Set<Feed>()
    const freshOf = new Map<ResourceModel, ReadonlyMap<KeyId, FreshRow>>()
    for (const set of this.#sets.values()) {
      if (set.size === 0) continue
      const fresh = freshRows(set, keys, rows)
      for (const [id, row] of fresh) {
        set.visit(id, row, (feed) => {
          // An arriving feed takes all of it at once, below; one without rows yet has nothing to compare with.
          if (arriving.has(feed) || !feed.whole) return
          feed.evaluate(id, row.mark, row.view)
          changed.add(feed)
        })
      }
      for (const feed of this.#touched) {
        if (feed.spec.model !== set.model || arriving.has(feed)) continue
        const touched = this.#loads.get(feed)?.touched
        for (const [id, { key }] of keys) touched?.set(id, key)
      }
      freshOf.set(set.model, fresh)
    }
    // Members hear of these changes before anybody new joins them: what a feed shows is then what they show.
    for (const feed of changed) {
      feed.flush(() => this.#positionOf(feed))
      if (feed.stale) this.#load(feed)
      else if (feed.spec.limit === undefined && feed.shown.size > this.#around.limits.viewRows) this.#dropFeed(feed)
    }
    for (const arrival of arrivals) this.#arrive(arrival, freshOf.get(arrival.feed.spec.model) ?? new Map())
    this.#tellPositions()
  }

  #arrive({ feed, load, rows }: Arrival, fresh: ReadonlyMap<KeyId, FreshRow>): void {
    if (this.#loads.get(feed) !== load) return
    this.#loads.delete(feed)
    this.#touched.delete(feed)
    const staleBefore = feed.stale
    const seen = feed.install(
      rows.map((row) => new RowView(feed.spec.model, row)),
      fresh,
    )
    feed.stale ||= staleBefore
    feed.flush(() => this.#positionOf(feed))
    const snapshot: FeedSnapshot = { rows: seen, position: feed.begin(() => this.#positionOf(feed)), touched: fresh }
    for (const waiter of load.waiters) waiter.attach(snapshot)
    load.waiters.clear()
    this.release(feed)
    if (feed.stale || this.#waiting.has(feed)) this.#load(feed)
  }

  /**
   * A feed to which nothing happens keeps the position it told last, while the log of a busy group moves on and one day
   * no longer reaches back to it. Every few seconds, feeds that have fallen behind are told where they stand.
   */
  #tellPositions(): void {
    const now = this.#around.clock.monotonic()
    if (now - this.#positionsAt < POSITION_INTERVAL) return
    this.#positionsAt = now
    for (const set of this.#sets.values()) {
      for (const feed of set.feeds()) {
        let entries = 0
        for (const group of feed.groups) entries += this.#applied.get(group)?.seq ?? 0
        feed.toldAt ??= entries
        if (!feed.whole || entries - feed.toldAt < POSITION_DRIFT) continue
        feed.tellPosition(this.#positionOf(feed))
        feed.toldAt = entries
      }
    }
  }

  #positionOf(feed: Feed): string {
    return writePosition(
      feed.spec.id,
      feed.groups.map((group) => this.#applied.get(group) ?? group.position),
    )
  }
}

function freshRows(set: FeedSet, keys: ReadonlyMap<KeyId, DirtyKey>, rows: readonly Row[]): Map<KeyId, FreshRow> {
  const fresh = new Map<KeyId, FreshRow>()
  for (const [id, mark] of keys) fresh.set(id, { mark, view: undefined })
  for (const row of rows) {
    const view = new RowView(set.model, row)
    const mark = keys.get(view.id)
    if (mark !== undefined) fresh.set(view.id, { mark, view })
  }
  return fresh
}
