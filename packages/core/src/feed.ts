import type { FeedSpec } from './feed-spec.ts'
import { FeedWindow } from './feed-window.ts'
import type { Group } from './group-hub.ts'
import { compileFilter } from './match-filter.ts'
import { mergeChanges } from './merge-changes.ts'
import type { ResetReason, RtapiError, WireChange } from './protocol.ts'
import type { RowView, Seen } from './row-view.ts'
import { SharedFrame } from './shared-frame.ts'
import { type Key, type KeyId, type Row, compareRows, keyId } from './value.ts'

/** What a feed shows of one record: enough to tell whether a change is visible, never the record itself. */
export interface Shown {
  readonly key: Key
  hash: number
}

/** A change to a feed's rows on its way to the subscribers. */
export interface Delivery {
  readonly changes: readonly WireChange[]
  readonly from: string
  readonly to: string
  readonly frame: SharedFrame
}

/** A connection's share in a feed: hears of its changes from the moment it was attached. */
export interface FeedMember {
  /** The name under which its client knows the feed. */
  readonly handle: string
  deliver(delivery: Delivery): void
  /** The feed cannot go on for this member: it was detached. */
  dropped(reason: ResetReason): void
}

/** The rows of a feed at one moment; changes that follow start from `position`. */
export interface FeedSnapshot {
  readonly rows: readonly Seen[]
  readonly position: string
  /** Keys that were announced since `prepare`, and perhaps others: what a client has of them is not the newest. */
  readonly touched: ReadonlyMap<KeyId, unknown>
}

/** Somebody who waits for a snapshot. */
export interface FeedWaiter {
  /** Called when the groups are joined and before the rows are read, e.g. to read what was logged since a position. */
  prepare?(groups: readonly Group[]): Promise<void>
  /** Called with the rows; from now on `feed.attach` would miss nothing. Must not wait. */
  attach(snapshot: FeedSnapshot): void
  failed(error: RtapiError): void
}

/** What a mark says of a changed key. */
export interface Mark {
  readonly action: 'create' | 'update' | 'delete'
  readonly tx: string | undefined
}

/** A row that was read after a query began, and why. */
export interface FreshRow {
  readonly mark: Mark
  readonly view: RowView | undefined
}

/** Which feeds show a key. */
export interface ShownIndex {
  add(id: KeyId, feed: Feed): void
  delete(id: KeyId, feed: Feed): void
}

/** For a difference that no change was announced for: found by querying again. */
const unexplained = { action: 'update', tx: undefined } as const
/** For what was queried again because any record may have changed. */
const suspected = { action: 'update', tx: undefined } as const

const none: ReadonlySet<KeyId> = new Set()

/** Bytes around a change in its frame. */
const ENVELOPE = 96
/** Bytes that all members together are sent in one turn of the event loop, and of the smallest part of what they hear. */
const TURN_BYTES = 8_388_608
const SMALLEST_PART = 16_384

let handles = 0

/**
 * The shared live result of one spec in this process. It keeps which keys it shows, and from a row's new state alone
 * works out what its members must hear: want = row ∧ filter ∧ scope, had = shown.
 */
export class Feed {
  readonly spec: FeedSpec
  readonly handle: string = `f${(++handles).toString(36)}`
  readonly shown: Map<KeyId, Shown> = new Map()
  /** Guards against visiting a feed twice for one row. */
  visit = 0
  /** The rows must be queried again, also while a query is under way. */
  stale = false
  /** Any record may have changed: the next query tells what some member may have kept as it was. */
  suspect = false
  /** When the query began whose rows were taken in last: monotonic milliseconds. */
  queriedAt = 0
  /** `shown` is what a client of the feed shows. */
  whole = false
  groups: Group[] = []
  /** How far the groups stood, in entries, when the members were told a position; unknown right after a change. */
  toldAt: number | undefined
  readonly #index: ShownIndex
  readonly #wants: (row: Row) => boolean
  readonly #readable: (row: Row) => boolean
  readonly #window: FeedWindow | undefined
  /** Members under the feed's own handle, which is nearly all of them, and the others by theirs. */
  #members: FeedMember[] = []
  #others: Map<string, FeedMember[]> | undefined
  /** Keys whose rows a resumed client was not sent again: what it shows of them is not known. */
  #unsent: Set<KeyId> | undefined
  #pending: WireChange[] = []
  /** Bytes, roughly. */
  #pendingSize = 0
  /** What is still to be sent of more than one frame holds. */
  #rest: WireChange[][] = []
  /** Keys that others have pushed out of the window during this tick. */
  #evicted: Set<KeyId> | undefined
  #position = ''

  constructor(spec: FeedSpec, index: ShownIndex) {
    this.spec = spec
    this.#index = index
    const wants = compileFilter(spec.filter, spec.model.types)
    const inScope = compileFilter(spec.scope, spec.model.types)
    this.#readable = compileFilter(spec.readable, spec.model.types)
    this.#wants = (row) => wants(row) && inScope(row)
    this.#window = spec.limit === undefined ? undefined : new FeedWindow(spec.order, spec.limit)
  }

  get memberCount(): number {
    let count = this.#members.length
    for (const members of this.#others?.values() ?? []) count += members.length
    return count
  }

  /** The position which the members have been told last. */
  get position(): string {
    return this.#position
  }

  wants(row: Row): boolean {
    return this.#wants(row)
  }

  attach(member: FeedMember): void {
    if (member.handle === this.handle) {
      this.#members.push(member)
      return
    }
    this.#others ??= new Map()
    const members = this.#others.get(member.handle)
    if (members === undefined) this.#others.set(member.handle, [member])
    else members.push(member)
  }

  /**
   * Some member keeps what it has of these keys. A change that was committed before they were read and is announced
   * only later looks like none here, yet that member has not seen it: the next announcement is passed on in any case.
   */
  keepUnsent(ids: Iterable<KeyId>): void {
    // Clients name what they like: only what is shown is worth remembering.
    for (const id of ids) if (this.shown.has(id)) (this.#unsent ??= new Set()).add(id)
  }

  /** Keys of which some member may have another state than what is shown. */
  get unsent(): ReadonlySet<KeyId> {
    return this.#unsent ?? none
  }

  detach(member: FeedMember): void {
    const members = member.handle === this.handle ? this.#members : this.#others?.get(member.handle)
    const at = members?.indexOf(member) ?? -1
    if (members === undefined || at < 0) return
    const last = members.pop()
    if (last !== undefined && last !== member) members[at] = last
    if (members.length === 0) this.#others?.delete(member.handle)
  }

  /** Works out what a changed key means for this feed. `view` is its row, if it exists. */
  evaluate(id: KeyId, mark: Mark, view: RowView | undefined): void {
    const want = view !== undefined && this.#wants(view.row)
    const inside = this.#window === undefined ? want : this.#moveInWindow(this.#window, id, want ? view : undefined)
    if (inside && view !== undefined) this.#show(view, mark)
    else this.#hide(id, view, mark)
  }

  /** Whether the row is inside the window now. */
  #moveInWindow(window: FeedWindow, id: KeyId, wanted: RowView | undefined): boolean {
    const move = wanted === undefined ? window.remove(id) : window.put(id, wanted.row)
    if (move.refill === true) this.stale = true
    const evicted = move.evicted === undefined ? undefined : this.shown.get(move.evicted)
    if (move.evicted !== undefined && evicted !== undefined) {
      this.shown.delete(move.evicted)
      this.#index.delete(move.evicted, this)
      this.#pending.push({ action: 'leave', key: evicted.key })
      this.#pendingSize += ENVELOPE
      this.#evicted ??= new Set()
      this.#evicted.add(move.evicted)
    }
    return move.inside
  }

  #show(view: RowView, mark: Mark): void {
    const seen = view.seen(this.spec.fields)
    const { row, hash } = seen
    const unsent = this.#unsent !== undefined && mark !== unexplained && this.#unsent.delete(view.id)
    const had = this.shown.get(view.id)
    if (had === undefined) {
      this.shown.set(view.id, { key: row.key, hash })
      this.#index.add(view.id, this)
      this.#push(mark.action === 'create' ? 'create' : 'enter', seen, mark)
    } else if (had.hash !== hash || unsent) {
      had.hash = hash
      this.#push('update', seen, mark)
    }
  }

  /** `leave` is said only of a row which the viewers may still read; else it is gone, whatever the reason. */
  #hide(id: KeyId, view: RowView | undefined, mark: Mark): void {
    const had = this.shown.get(id)
    if (had === undefined) return
    this.shown.delete(id)
    this.#unsent?.delete(id)
    this.#index.delete(id, this)
    const action = view !== undefined && this.#readable(view.row) ? 'leave' : 'delete'
    if (!this.whole) return
    this.#pending.push({ action, key: had.key, ...(mark.tx === undefined ? {} : { tx: mark.tx }) })
    this.#pendingSize += ENVELOPE
  }

  #push(action: 'create' | 'enter' | 'update', { row, size }: Seen, mark: Mark): void {
    if (!this.whole) return
    this.#pending.push(mark.tx === undefined ? { action, ...row } : { action, ...row, tx: mark.tx })
    this.#pendingSize += size + ENVELOPE
  }

  /**
   * Takes the result of a query as the new truth, brought up to date by the rows that were read after it, and works out
   * the difference for the members there are.
   * @param rows - the query's rows, one more than the window if there are more.
   * @param fresh - rows read since, by key; a key without a row has none.
   * @param isSuspect - any record may have changed before the query: so may what a member was not sent since it had it.
   */
  install(rows: readonly RowView[], fresh: ReadonlyMap<KeyId, FreshRow>, isSuspect: boolean): readonly Seen[] {
    const { order, limit, fields } = this.spec
    const next = new Map<KeyId, RowView>()
    for (const view of rows) next.set(view.id, view)
    // What sorts behind the last row of a query that saw more is outside of what is known.
    const horizon = limit !== undefined && rows.length > limit ? rows.at(-1)?.row : undefined
    for (const [id, { view }] of fresh) {
      const inside =
        view !== undefined &&
        this.#wants(view.row) &&
        (horizon === undefined || compareRows(order, view.row, horizon) <= 0)
      if (inside) next.set(id, view)
      else next.delete(id)
    }
    let views = [...next.values()]
    if (fresh.size > 0) views.sort((a, b) => compareRows(order, a.row, b.row))
    const more = limit !== undefined && (rows.length > limit || views.length > limit)
    if (limit !== undefined) {
      // Fewer rows than the window while the query saw more: the ones behind them are not known yet.
      this.stale = rows.length > limit && views.length < limit
      views = views.slice(0, limit)
    }
    this.#window?.reset(views, more)
    const kept = new Set<KeyId>()
    const otherwise = isSuspect ? suspected : unexplained
    for (const view of views) {
      kept.add(view.id)
      this.#show(view, fresh.get(view.id)?.mark ?? otherwise)
    }
    if (this.shown.size > kept.size) {
      for (const id of this.shown.keys()) {
        if (!kept.has(id)) this.#hide(id, fresh.get(id)?.view ?? next.get(id), fresh.get(id)?.mark ?? unexplained)
      }
    }
    this.whole = true
    return views.map((view) => view.seen(fields))
  }

  /**
   * Sends what has gathered, once per handle in use; of more than a part, the first part, and `hasMore` then.
   * @param positionOf - where the groups of a feed stand now.
   * @param fresh - the rows of this tick.
   * @param part - bytes of a part, roughly; of many members each is sent less at a time.
   */
  flush(positionOf: (feed: Feed) => string, fresh: ReadonlyMap<KeyId, FreshRow>, part: number): void {
    if (this.#pending.length === 0) return
    const changes = this.#evicted === undefined ? this.#pending : this.#withEvictions(this.#evicted, fresh)
    const size = this.#pendingSize
    this.#pending = []
    this.#pendingSize = 0
    if (size <= SMALLEST_PART) return this.#send(changes, positionOf(this))
    const bytes = Math.max(SMALLEST_PART, Math.min(part, TURN_BYTES / Math.max(1, this.memberCount)))
    const count = Math.ceil((changes.length * bytes) / size)
    for (let start = 0; start < changes.length; start += count) this.#rest.push(changes.slice(start, start + count))
    this.flushMore(positionOf)
  }

  /** Parts of what has gathered are still to be sent, before anything else happens to the feed. */
  get hasMore(): boolean {
    return this.#rest.length > 0
  }

  /** Sends the next part. The position stays until the last one: who goes in between has missed something. */
  flushMore(positionOf: (feed: Feed) => string): void {
    const changes = this.#rest.shift()
    if (changes !== undefined) this.#send(changes, this.hasMore ? this.#position : positionOf(this))
  }

  /** What was pushed out may have changed in the same tick, before or after: each key is told of once, as it is. */
  #withEvictions(evicted: ReadonlySet<KeyId>, fresh: ReadonlyMap<KeyId, FreshRow>): readonly WireChange[] {
    const changes = new Map<KeyId, WireChange>()
    for (const change of this.#pending) {
      const id = keyId(change.key)
      const merged = mergeChanges(changes.get(id), change)
      if (merged === undefined) changes.delete(id)
      else changes.set(id, merged)
    }
    for (const id of evicted) {
      const change = changes.get(id)
      const now = fresh.get(id)
      const isGone = now !== undefined && (now.view === undefined || !this.#readable(now.view.row))
      if (change?.action === 'leave' && isGone) changes.set(id, { ...change, action: 'delete' })
    }
    this.#evicted = undefined
    return [...changes.values()]
  }

  /** Tells the members where the groups stand although nothing has changed for them: so a quiet feed stays resumable. */
  tellPosition(position: string): void {
    if (this.#position !== '') this.#send([], position)
  }

  #send(changes: readonly WireChange[], to: string): void {
    const from = this.#position
    this.#position = to
    this.toldAt = undefined
    deliver(this.#members, this.handle, { changes, from, to })
    for (const [handle, members] of this.#others ?? []) deliver(members, handle, { changes, from, to })
  }

  /** Where a snapshot taken now begins: what the members were told last, or where the groups stand if nobody was told. */
  begin(positionOf: (feed: Feed) => string): string {
    if (this.#position === '') this.#position = positionOf(this)
    return this.#position
  }

  /** The feed must start over: everybody is detached and told why. */
  drop(reason: ResetReason): void {
    const all = [...this.#members, ...(this.#others?.values() ?? [])].flat()
    this.#members = []
    this.#others = undefined
    this.#pending = []
    this.#pendingSize = 0
    this.#rest = []
    this.#evicted = undefined
    this.#position = ''
    this.whole = false
    for (const id of this.shown.keys()) this.#index.delete(id, this)
    this.shown.clear()
    this.#unsent = undefined
    for (const member of all) member.dropped(reason)
  }
}

function deliver(members: readonly FeedMember[], feed: string, { changes, from, to }: Omit<Delivery, 'frame'>): void {
  if (members.length === 0) return
  const frame = new SharedFrame({ type: 'changes', feed, from, to, changes })
  const delivery: Delivery = { changes, from, to, frame }
  // Members may go while the loop runs; the last one takes the place of one that went.
  for (let i = members.length - 1; i >= 0; i--) members[i]?.deliver(delivery)
}
