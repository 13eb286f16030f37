import type { Position } from './channel-layer.ts'
import type { Feed } from './feed.ts'
import type { Group, GroupHub, GroupListener } from './group-hub.ts'
import { writePosition } from './position.ts'

/** Milliseconds between looks at feeds whose groups have gone on without them, and the entries that matter. */
const POSITION_INTERVAL = 10_000
const POSITION_DRIFT = 100

/** The groups which the feeds of one reader have joined, and how far their entries have been received and applied. */
export class FeedGroups {
  readonly #hub: GroupHub
  readonly #listener: GroupListener
  readonly #joined = new Map<string, { readonly group: Group; readonly feeds: Set<Feed> }>()
  /** The last entry of each group whose keys are waiting to be read. */
  #received = new Map<Group, Position>()
  /** The last entry of each group up to which everything has reached the feeds. */
  readonly #applied = new Map<Group, Position>()
  #positionsAt = 0

  constructor(hub: GroupHub, listener: GroupListener) {
    this.#hub = hub
    this.#listener = listener
  }

  join(feed: Feed): void {
    for (const name of feed.spec.groups) feed.groups.push(this.#join(name, feed))
  }

  leave(feed: Feed): void {
    for (const name of feed.spec.groups) {
      const joined = this.#joined.get(name)
      if (joined === undefined || !joined.feeds.delete(feed) || joined.feeds.size > 0) continue
      this.#joined.delete(name)
      this.#received.delete(joined.group)
      this.#applied.delete(joined.group)
      this.#hub.leave(name, this.#listener)
    }
  }

  feedsOf(group: Group): Iterable<Feed> {
    return this.#joined.get(group.name)?.feeds ?? []
  }

  *allFeeds(): Iterable<Feed> {
    for (const { feeds } of this.#joined.values()) yield* feeds
  }

  /** An entry has come; its keys wait to be read. */
  receive(group: Group): void {
    this.#received.set(group, group.position)
  }

  /** Takes out what has been received, to be applied when its keys have been read. */
  takeReceived(): ReadonlyMap<Group, Position> {
    const received = this.#received
    this.#received = new Map()
    return received
  }

  get hasReceived(): boolean {
    return this.#received.size > 0
  }

  /** The keys could not be read: what they cover is not applied yet. */
  putBack(positions: ReadonlyMap<Group, Position>): void {
    for (const [group, position] of positions) if (!this.#received.has(group)) this.#received.set(group, position)
  }

  apply(positions: ReadonlyMap<Group, Position>): void {
    for (const [group, position] of positions) {
      // A group that was lost meanwhile, or left, has begun anew.
      if (this.#joined.get(group.name)?.group === group && group.position.epoch === position.epoch)
        this.#applied.set(group, position)
    }
  }

  /** The group begins anew. */
  lose(group: Group): void {
    this.#received.delete(group)
    this.#applied.delete(group)
    this.#noteJoined(group)
  }

  /** Where the groups of a feed stand, as clients hold it. */
  readonly positionOf = (feed: Feed): string =>
    writePosition(
      feed.spec.id,
      feed.groups.map((group) => this.#applied.get(group) ?? group.position),
    )

  /**
   * A feed to which nothing happens keeps the position it told last, while the log of a busy group moves on and one day
   * no longer reaches back to it. Every few seconds, feeds that have fallen behind are told where they stand.
   */
  tellPositions(now: number): void {
    if (now - this.#positionsAt < POSITION_INTERVAL) return
    this.#positionsAt = now
    for (const feed of this.allFeeds()) {
      const entries = this.#entriesOf(feed)
      feed.toldAt ??= entries
      if (!feed.whole || entries - feed.toldAt < POSITION_DRIFT) continue
      feed.tellPosition(this.positionOf(feed))
      feed.toldAt = entries
    }
  }

  /** Entries that the feed's groups have seen so far. */
  #entriesOf(feed: Feed): number {
    let entries = 0
    for (const group of feed.groups) entries += this.#applied.get(group)?.seq ?? 0
    return entries
  }

  #join(name: string, feed: Feed): Group {
    const known = this.#joined.get(name)
    if (known !== undefined) {
      known.feeds.add(feed)
      return known.group
    }
    const group = this.#hub.join(name, this.#listener)
    this.#joined.set(name, { group, feeds: new Set([feed]) })
    this.#noteJoined(group)
    return group
  }

  #noteJoined(group: Group): void {
    const note = (): void => {
      const isCurrent = this.#joined.get(group.name)?.group === group
      if (isCurrent && !this.#applied.has(group)) this.#applied.set(group, group.position)
    }
    // Whoever waits for the group is told that it cannot be joined.
    group.ready.then(note, () => undefined)
  }
}
