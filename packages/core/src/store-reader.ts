import type { LayerEntry, Position } from './channel-layer.ts'
import { type DirtyKey, DirtyKeys } from './dirty-keys.ts'
import { allOf } from './filter-algebra.ts'
import type { Feed, FeedSnapshot, FeedWaiter, FreshRow, Mark } from './feed.ts'
import { FeedGroups } from './feed-groups.ts'
import { FeedSet } from './feed-set.ts'
import { type FeedSpec, canShow } from './feed-spec.ts'
import type { Filter } from './filter.ts'
import type { Gate } from './gate.ts'
import type { Group, GroupHub, GroupListener } from './group-hub.ts'
import type { Pace } from './pace.ts'
import { type Limits, RtapiError } from './protocol.ts'
import type { ResourceModel } from './resource-model.ts'
import { type Clock, type Report, withTimeout } from './runtime.ts'
import { Retries } from './retries.ts'
import { RowView } from './row-view.ts'
import type { Store } from './store.ts'
import { type Key, type KeyId, type Row } from './value.ts'

/** A query of a feed that is under way. */
interface Load {
  readonly waiters: Set<FeedWaiter>
  /** Keys that changed since it began: they are read again before its rows are believed. */
  readonly touched: Map<KeyId, Key>
  /** Nothing is known to have changed: told how it ended, whether it was or was not needed any more. */
  readonly swept: ((isAsked: boolean) => void) | undefined
  /** Any record may have changed before it began. */
  readonly isSuspect: boolean
  /** Monotonic milliseconds. */
  beganAt: number
}

interface Arrival {
  readonly feed: Feed
  readonly load: Load
  readonly views: readonly RowView[]
}

interface ReaderSurroundings {
  readonly hub: GroupHub
  readonly limits: Limits
  readonly clock: Clock
  readonly report: Report
  /** Bounds the queries that run at once. */
  readonly gate: Gate
  /** Bounds what is done at once. */
  readonly pace: Pace
}

const noRows: ReadonlyMap<KeyId, FreshRow> = new Map()
/** Keys read at once, so that a bulk write does not hold the process for long. */
const BATCH = 1_000
/** Rows or keys that are dealt with before it is asked whether somebody else has their turn. */
const SHORT = 16
/** Changes during one query above which it is asked again, and how often. */
const MAX_TOUCHED = 1_000
const MAX_ATTEMPTS = 3
const RETRY_DELAY = 1_000

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
  readonly #groups: FeedGroups
  /** Waiters for the next query of a feed, and the query that is under way. */
  readonly #waiting = new Map<Feed, Set<FeedWaiter>>()
  readonly #loads = new Map<Feed, Load>()
  readonly #touched = new Set<Feed>()
  readonly #dirty = new DirtyKeys()
  #arrivals: Arrival[] = []
  #scheduled = false
  #caughtUp: (() => void)[] = []
  /** Feeds that are queried again because of a change without keys, with those who wait for it. */
  readonly #requeries = new Map<Feed, (() => void)[]>()
  readonly #retries: Retries<Feed | 'read'>
  #closed = false

  constructor(store: Store<Row, unknown, unknown>, around: ReaderSurroundings) {
    this.#store = store
    this.#around = around
    this.#groups = new FeedGroups(around.hub, this)
    this.#retries = new Retries(around.clock, RETRY_DELAY)
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
    let feed = set.find(spec)
    if (feed === undefined) {
      feed = set.open(spec)
      this.#groups.join(feed)
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
    this.#endLoad(feed)
    this.#requeried(feed)
    this.#retries.cancel(feed)
    const set = this.#setOf(feed.spec)
    if (set.find(feed.spec) !== feed) return
    set.close(feed)
    this.#groups.leave(feed)
  }

  receive(group: Group, _seq: number, entry: LayerEntry): void {
    if (entry.type === 'changes' && entry.entity === this.#store.entity) {
      for (const { key, action } of entry.changes) this.#dirty.mark(key, action, entry.tx)
    } else if (entry.type === 'coarse' && entry.entity === this.#store.entity) {
      this.#requeryAmong(this.#groups.feedsOf(group), entry.where)
    }
    this.#groups.receive(group)
    this.#schedule()
  }

  lost(group: Group): void {
    this.#groups.lose(group)
    for (const feed of this.#groups.feedsOf(group)) {
      this.#abandon(feed)
      feed.drop('gap')
      this.release(feed)
      if (this.#waiting.has(feed)) this.#load(feed)
    }
  }

  /** The feed was dropped while it took in a query: whoever waits waits for the next one. */
  #loadAgain(feed: Feed): void {
    this.#abandon(feed)
    this.release(feed)
    if (this.#waiting.has(feed)) this.#load(feed)
  }

  /** A query that began before continuity was lost proves nothing: its waiters wait for the next one. */
  #abandon(feed: Feed): void {
    const load = this.#endLoad(feed)
    if (load === undefined) return
    const waiting = this.#waiting.get(feed) ?? new Set()
    for (const waiter of load.waiters) waiting.add(waiter)
    if (waiting.size > 0) this.#waiting.set(feed, waiting)
  }

  /** Asks the feed's query again and sends its members the difference. */
  requery(feed: Feed): void {
    feed.stale = true
    feed.suspect = true
    if (!this.#requeries.has(feed)) this.#requeries.set(feed, [])
    this.#load(feed)
  }

  /** The feeds there are. */
  *feeds(): Iterable<Feed> {
    for (const set of this.#sets.values()) yield* set.feeds()
  }

  /**
   * Compares what the feed shows with the store, though nothing is known to have changed, and sends its members the
   * difference. A feed that is being queried, or has nothing to compare yet, needs none of it. Answers `false` if the
   * store could not be asked; the members keep what they have.
   */
  sweep(feed: Feed): Promise<boolean> {
    if (!feed.whole || this.#closed || this.#loads.has(feed) || !this.#isOpen(feed)) return Promise.resolve(true)
    feed.suspect = true
    return new Promise((swept) => this.#load(feed, swept))
  }

  /** Applies keys that could not be announced through the layer, so that at least this process hears of them. */
  markLocally(keys: readonly { readonly key: Key; readonly action: Mark['action'] }[], tx: string): void {
    for (const { key, action } of keys) this.#dirty.mark(key, action, tx)
    this.#schedule()
  }

  /** Asks again the queries of all feeds, or of those that can show a row which matches. */
  requeryAll(where?: Filter): void {
    this.#requeryAmong(this.#groups.allFeeds(), where)
  }

  #requeryAmong(feeds: Iterable<Feed>, where: Filter | undefined): void {
    for (const feed of feeds) if (where === undefined || canShow(feed.spec, where)) this.requery(feed)
  }

  /** Settles when every change received so far has been handed to the feeds' members. */
  async caughtUp(): Promise<void> {
    if (this.#dirty.size > 0 || this.#scheduled) await new Promise<void>((resolve) => this.#caughtUp.push(resolve))
    await Promise.all(
      [...this.#requeries.values()].map((waiting) => new Promise<void>((resolve) => waiting.push(resolve))),
    )
  }

  close(): void {
    this.#closed = true
    this.#retries.close()
    for (const resolve of this.#caughtUp.splice(0)) resolve()
    for (const feed of this.#requeries.keys()) this.#requeried(feed)
  }

  #requeried(feed: Feed): void {
    const waiting = this.#requeries.get(feed)
    this.#requeries.delete(feed)
    for (const resolve of waiting ?? []) resolve()
  }

  #setOf(spec: FeedSpec): FeedSet {
    const known = this.#sets.get(spec.model.name)
    if (known !== undefined) return known
    const set = new FeedSet(spec.model)
    this.#sets.set(spec.model.name, set)
    return set
  }

  // ── Queries ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #load(feed: Feed, swept?: (isAsked: boolean) => void): void {
    if (this.#loads.has(feed) || this.#closed) return
    const waiters = this.#waiting.get(feed) ?? new Set<FeedWaiter>()
    this.#waiting.delete(feed)
    const load: Load = { waiters, touched: new Map(), swept, isSuspect: feed.suspect, beganAt: 0 }
    this.#loads.set(feed, load)
    this.#touched.add(feed)
    feed.stale = false
    feed.suspect = false
    void this.#query(feed, load)
  }

  /** It is over, however it ended. */
  #endLoad(feed: Feed, isAsked = true): Load | undefined {
    const load = this.#loads.get(feed)
    this.#loads.delete(feed)
    this.#touched.delete(feed)
    load?.swept?.(isAsked)
    return load
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
        const rows = await gate.run(() => {
          load.beganAt = clock.monotonic()
          return withTimeout(
            clock,
            limits.storeTimeout,
            model.store.find(query),
            () => new RtapiError('timeout', 'The query took too long.'),
          )
        })
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
        const views = await this.#viewsOf(feed.spec, rows)
        if (this.#loads.get(feed) !== load) return
        this.#arrivals.push({ feed, load, views })
        this.#schedule()
        return
      }
    } catch (error) {
      this.#failed(feed, load, error)
    }
  }

  /** Works out what the feed shows of its rows, before they are taken in all at once. */
  async #viewsOf({ model, fields }: FeedSpec, rows: readonly Row[]): Promise<readonly RowView[]> {
    const { pace } = this.#around
    const views: RowView[] = []
    for (const row of rows) {
      const view = new RowView(model, row)
      views.push(view)
      try {
        view.seen(fields)
      } catch {
        // It is met again when the row is taken in, and reported there.
      }
      if (views.length % SHORT === 0 && pace.isOver) await pace.turn()
    }
    return views
  }

  #failed(feed: Feed, load: Load, error: unknown): void {
    if (this.#loads.get(feed) !== load) return
    this.#endLoad(feed, false)
    feed.suspect ||= load.isSuspect
    // Nobody else is told how a sweep ends.
    if (!(error instanceof RtapiError) || load.swept !== undefined)
      this.#around.report(error, { during: 'store.find', resource: feed.spec.model.name })
    const told =
      error instanceof RtapiError
        ? error
        : new RtapiError('unavailable', 'The records cannot be read now.', { cause: error })
    for (const waiter of load.waiters) waiter.failed(told)
    if (told.code === 'limit_exceeded' && feed.memberCount > 0) feed.drop('overflow')
    this.release(feed)
    if (this.#waiting.has(feed)) this.#load(feed)
    else if (feed.memberCount > 0 && (load.swept === undefined || feed.stale))
      this.#retries.set(feed, () => this.requery(feed))
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
    const batch = this.#dirty.take(BATCH)
    // Positions stand for all keys that came with them: they move on when the last of these has been read.
    const isLast = this.#dirty.size === 0
    const positions = isLast ? this.#groups.takeReceived() : new Map<Group, Position>()
    const caughtUp = isLast ? this.#caughtUp.splice(0) : []
    const keys = arrivals.length === 0 ? batch : new Map(batch)
    const { pace } = this.#around
    try {
      for (const arrival of arrivals) {
        this.#addUncertainKeys(keys, arrival)
        if (arrival.views.length > SHORT && pace.isOver) await pace.turn()
      }
      const rows = await this.#read([...keys.values()].map(({ key }) => key))
      await this.#applyBatch(keys, rows, arrivals, positions)
    } catch (error) {
      this.#around.report(error, { during: 'store.read' })
      this.#dirty.putBack(batch)
      this.#groups.putBack(positions)
      this.#arrivals.unshift(...arrivals)
      this.#caughtUp.push(...caughtUp)
      // Nothing is sent of what could not be read; `#scheduled` stays set until the next try.
      this.#retries.set('read', () => void this.#run())
      return
    }
    for (const resolve of caughtUp) resolve()
    this.#scheduled = false
    if (this.#dirty.size > 0 || this.#arrivals.length > 0 || this.#groups.hasReceived) this.#schedule()
    // Who asked during the run, of which it has read everything.
    else for (const resolve of this.#caughtUp.splice(0)) resolve()
  }

  /** Keys whose truth a query cannot tell: changed since it began, or shown until now and not among its rows. */
  #addUncertainKeys(keys: Map<KeyId, DirtyKey>, { feed, load, views }: Arrival): void {
    const uncertain = new Map(load.touched)
    if (feed.whole) {
      const found = new Set(views.slice(0, feed.spec.limit).map(({ id }) => id))
      for (const [id, { key }] of feed.shown) if (!found.has(id)) uncertain.set(id, key)
    }
    for (const [id, key] of uncertain) if (!keys.has(id)) keys.set(id, { key, action: 'update', tx: undefined })
  }

  async #read(keys: readonly Key[]): Promise<readonly Row[]> {
    if (keys.length === 0 || this.feedCount === 0) return []
    const { clock, limits } = this.#around
    const late = (): Error => new Error('reading changed records took too long')
    const read = (some: readonly Key[]): Promise<readonly Row[]> =>
      withTimeout(clock, limits.storeTimeout, this.#store.read(some), late)
    if (keys.length <= BATCH) return read(keys)
    const rows: Row[] = []
    for (let start = 0; start < keys.length; start += BATCH)
      for (const row of await read(keys.slice(start, start + BATCH))) rows.push(row)
    return rows
  }

  /**
   * Feeds, their members and the positions move together. A long batch is interrupted, and yet nothing else evaluates,
   * installs, sends changes of a feed or attaches to it meanwhile: all that is done in batches alone, one after the other.
   * What may happen in between: members leave, hold back or overflow; feeds are lost, released or newly opened; queries
   * begin and end; changes are announced, for the next batch. So whoever goes on looks first whether the feed is still there.
   */
  async #applyBatch(
    keys: ReadonlyMap<KeyId, DirtyKey>,
    rows: readonly Row[],
    arrivals: readonly Arrival[],
    positions: ReadonlyMap<Group, Position>,
  ): Promise<void> {
    this.#groups.apply(positions)
    const { pace } = this.#around
    const arriving = new Set(arrivals.map(({ feed }) => feed))
    const changed = new Set<Feed>()
    const freshOf = new Map<ResourceModel, ReadonlyMap<KeyId, FreshRow>>()
    const evaluate = (feed: Feed, id: KeyId, { mark, view }: FreshRow): void => {
      // An arriving feed takes all of it at once, below; one without rows yet has nothing to compare with.
      if (arriving.has(feed) || !feed.whole) return
      try {
        feed.evaluate(id, mark, view)
        changed.add(feed)
      } catch (error) {
        this.#startOver(feed, error)
      }
    }
    for (const set of this.#sets.values()) {
      if (set.size === 0) continue
      const fresh = set.freshRows(keys, rows)
      let visited = 0
      for (const [id, row] of fresh) {
        set.visit(id, row, evaluate)
        if (++visited % SHORT === 0 && pace.isOver) await pace.turn()
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
      this.#flush(feed, freshOf.get(feed.spec.model) ?? noRows)
      if (feed.hasMore) await this.#flushMore(feed)
      if (keys.size > SHORT && pace.isOver) await pace.turn()
    }
    for (const arrival of arrivals) {
      await this.#arrive(arrival, freshOf.get(arrival.feed.spec.model) ?? noRows)
      if (arrival.views.length > SHORT && pace.isOver) await pace.turn()
    }
    this.#groups.tellPositions(this.#around.clock.monotonic())
  }

  #guard(feed: Feed, work: () => void): boolean {
    try {
      work()
      return true
    } catch (error) {
      this.#startOver(feed, error)
      return false
    }
  }

  /** What goes wrong in one feed (a row that cannot be written, a transport that throws) stops no other. */
  #startOver(feed: Feed, error: unknown): void {
    this.#around.report(error, { during: 'feed', resource: feed.spec.model.name })
    feed.drop('gap')
    this.release(feed)
  }

  #flush(feed: Feed, fresh: ReadonlyMap<KeyId, FreshRow>): void {
    this.#guard(feed, () => {
      feed.flush(this.#groups.positionOf, fresh, this.#around.limits.snapshotPart)
      if (!feed.hasMore) this.#flushed(feed)
    })
  }

  #flushed(feed: Feed): void {
    if (feed.stale) this.#load(feed)
    else if (feed.spec.limit === undefined && feed.shown.size > this.#around.limits.viewRows) {
      // Whoever asks again is told that there are more rows than a view may hold.
      feed.drop('overflow')
      this.release(feed)
    }
  }

  /** The parts of a large difference, each in a turn of its own; a feed that is lost or given up has none left. */
  async #sendRest(feed: Feed): Promise<void> {
    while (feed.hasMore) {
      await this.#around.pace.turn()
      if (this.#closed || !this.#isOpen(feed)) return
      this.#guard(feed, () => feed.flushMore(this.#groups.positionOf))
    }
  }

  async #flushMore(feed: Feed): Promise<void> {
    await this.#sendRest(feed)
    if (!this.#closed && this.#isOpen(feed) && feed.whole) this.#flushed(feed)
  }

  #isOpen(feed: Feed): boolean {
    return this.#sets.get(feed.spec.model.name)?.find(feed.spec) === feed
  }

  async #arrive(arrival: Arrival, fresh: ReadonlyMap<KeyId, FreshRow>): Promise<void> {
    const { feed, load } = arrival
    const { pace } = this.#around
    const isCurrent = (): boolean => this.#loads.get(feed) === load && !this.#closed
    if (!isCurrent()) return
    try {
      const snapshot = await this.#takeIn(arrival, fresh, isCurrent)
      if (snapshot === undefined) {
        if (isCurrent()) this.#loadAgain(feed)
        return
      }
      for (const waiter of load.waiters) {
        waiter.attach(snapshot)
        load.waiters.delete(waiter)
        if (load.waiters.size > 0 && snapshot.rows.length > SHORT && pace.isOver) await pace.turn()
        // Whoever is left waits for another query, or has gone.
        if (!isCurrent()) return
      }
    } catch (error) {
      if (!isCurrent()) return this.#around.report(error, { during: 'feed', resource: feed.spec.model.name })
      this.#endLoad(feed)
      this.#startOver(feed, error)
      for (const waiter of load.waiters) waiter.failed(new RtapiError('internal', 'The server failed.'))
      if (this.#waiting.has(feed)) this.#load(feed)
      return
    }
    this.#endLoad(feed)
    if (!feed.stale) this.#requeried(feed)
    this.release(feed)
    if (feed.stale || this.#waiting.has(feed)) this.#load(feed)
  }

  /** From here on the feed shows the rows; `undefined` if it is lost or given up before its members have heard of them all. */
  async #takeIn(
    { feed, load, views }: Arrival,
    fresh: ReadonlyMap<KeyId, FreshRow>,
    isCurrent: () => boolean,
  ): Promise<FeedSnapshot | undefined> {
    const { positionOf } = this.#groups
    feed.queriedAt = load.beganAt
    const staleBefore = feed.stale
    const rows = feed.install(views, fresh, load.isSuspect)
    feed.stale ||= staleBefore
    feed.flush(positionOf, fresh, this.#around.limits.snapshotPart)
    if (feed.hasMore) await this.#sendRest(feed)
    return isCurrent() && feed.whole ? { rows, position: feed.begin(positionOf), touched: fresh } : undefined
  }
}
