import type { Subscription } from '../load/dialect.ts'
import { type Item, type ItemFilter, type Workload, makeItem } from '../workload.ts'

/** What the hand-written server understands. */
export interface BareRequest {
  readonly follow?: Subscription
  readonly id?: string
  readonly action?: 'get' | 'update'
  readonly key?: number
  readonly data?: object
}

/**
 * What somebody would write by hand: who follows what, and the records, in plain maps. It checks nothing, allows
 * everything, loses track when a socket closes, and tells nobody what was missed.
 */
export class BareRooms<S> {
  private readonly items = new Map<number, Item>()
  private readonly all: S[] = []
  private readonly ofRecord = new Map<number, S[]>()
  private readonly filters: { readonly where: ItemFilter; readonly socket: S }[] = []
  /** Ready strings of the records, for rows in which each goes to a few sockets only: building one would show. */
  private readonly ready = new Map<number, string>()

  constructor({ records, following }: Workload) {
    for (let id = 1; id <= records; id++) this.items.set(id, makeItem(id))
    if (following.type !== 'records') return
    for (const item of this.items.values()) this.ready.set(item.id, describe(item))
  }

  follow(socket: S, subscription: Subscription): void {
    if (subscription.type === 'all') this.all.push(socket)
    else if (subscription.type === 'filter') this.filters.push({ where: subscription.where, socket })
    else this.followRecord(socket, subscription.key)
  }

  private followRecord(socket: S, key: number): void {
    const followers = this.ofRecord.get(key)
    if (followers === undefined) this.ofRecord.set(key, [socket])
    else followers.push(socket)
  }

  /** Changes a record; answers what is to be sent, and to whom. */
  change(key: number, patch: object): { readonly text: string; readonly followers: readonly S[] } {
    const before = this.items.get(key)
    if (before === undefined) return { text: '', followers: [] }
    const item = { ...before, revision: before.revision + 1, ...patch }
    this.items.set(key, item)
    return { text: this.ready.get(key) ?? describe(item), followers: this.followersOf(item) }
  }

  /** Who follows a record as such, or all of them. */
  followers(key: number): readonly S[] {
    return this.ofRecord.get(key) ?? this.all
  }

  private followersOf(item: Item): readonly S[] {
    if (this.filters.length === 0) return this.followers(item.id)
    const followers: S[] = []
    for (const { where, socket } of this.filters) if (matches(where, item)) followers.push(socket)
    return followers
  }

  reply({ id, key = 0 }: BareRequest): string {
    return JSON.stringify({ type: 'reply', id, ok: true, key, data: this.items.get(key) })
  }
}

function describe(item: Item): string {
  return JSON.stringify({ action: 'update', key: item.id, data: item })
}

function matches({ topic, id, price }: ItemFilter, item: Item): boolean {
  if (topic !== undefined && item.topic !== topic) return false
  if (id !== undefined && !id.in.includes(item.id)) return false
  return price === undefined || (item.price >= price.gte && item.price < price.lt)
}
