import { Feed, type FreshRow, type Mark, type ShownIndex } from './feed.ts'
import type { FeedSpec } from './feed-spec.ts'
import { FilterIndex } from './filter-index.ts'
import { allOf } from './filter-algebra.ts'
import type { ResourceModel } from './resource-model.ts'
import { RowView } from './row-view.ts'
import type { KeyId, Row } from './value.ts'

let visits = 0

/** Called with a feed, a key that it shows or may want, and what was read of it. */
type FeedVisitor = (feed: Feed, id: KeyId, fresh: FreshRow) => void

/** The feeds of one resource, indexed so that a change visits only those which it can concern. */
export class FeedSet implements ShownIndex {
  readonly model: ResourceModel
  readonly #feeds = new Map<string, Feed>()
  readonly #byFilter = new FilterIndex<Feed>()
  readonly #byKey = new Map<KeyId, Feed | Set<Feed>>()

  constructor(model: ResourceModel) {
    this.model = model
  }

  get size(): number {
    return this.#feeds.size
  }

  feeds(): Iterable<Feed> {
    return this.#feeds.values()
  }

  find({ text }: FeedSpec): Feed | undefined {
    return this.#feeds.get(text)
  }

  open(spec: FeedSpec): Feed {
    const feed = new Feed(spec, this)
    this.#feeds.set(spec.text, feed)
    this.#byFilter.add(feed, allOf(spec.filter, spec.scope), this.model.types)
    return feed
  }

  close(feed: Feed): void {
    this.#feeds.delete(feed.spec.text)
    this.#byFilter.delete(feed)
    for (const id of feed.shown.keys()) this.delete(id, feed)
  }

  add(id: KeyId, feed: Feed): void {
    const showing = this.#byKey.get(id)
    // Most keys are shown by one feed: a set is made for the second.
    if (showing === undefined) this.#byKey.set(id, feed)
    else if (showing instanceof Set) showing.add(feed)
    else if (showing !== feed) this.#byKey.set(id, new Set([showing, feed]))
  }

  delete(id: KeyId, feed: Feed): void {
    const showing = this.#byKey.get(id)
    if (showing === feed || (showing instanceof Set && showing.delete(feed) && showing.size === 0))
      this.#byKey.delete(id)
  }

  /** The rows that were read for these keys; a key without a row has none any more. */
  freshRows(keys: ReadonlyMap<KeyId, Mark>, rows: readonly Row[]): ReadonlyMap<KeyId, FreshRow> {
    const fresh = new Map<KeyId, { readonly mark: Mark; view: RowView | undefined }>()
    for (const [id, mark] of keys) fresh.set(id, { mark, view: undefined })
    for (const row of rows) {
      const view = new RowView(this.model, row)
      const known = fresh.get(view.id)
      if (known !== undefined) known.view = view
    }
    return fresh
  }

  /** Calls back once for each feed that shows the key or may want its row. */
  visit(id: KeyId, fresh: FreshRow, visitor: FeedVisitor): void {
    const visit = ++visits
    const visitOnce = (feed: Feed): void => {
      if (feed.visit === visit) return
      feed.visit = visit
      visitor(feed, id, fresh)
    }
    const showing = this.#byKey.get(id)
    if (showing instanceof Set) for (const feed of showing) visitOnce(feed)
    else if (showing !== undefined) visitOnce(showing)
    if (fresh.view !== undefined) this.#byFilter.visit(fresh.view.row, visitOnce)
  }
}
