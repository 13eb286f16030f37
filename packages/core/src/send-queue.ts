import type { Codec } from './codec.ts'
import type { Delivery } from './feed.ts'
import type { ChangeAction, Limits, ServerMessage, WireChange } from './protocol.ts'
import type { TransportSocket } from './transport-socket.ts'
import { type KeyId, keyId } from './value.ts'

/** Changes of one feed that wait for one client: the newest of each key. */
export class PendingChanges {
  readonly handle: string
  readonly changes: Map<KeyId, WireChange> = new Map()
  from: string | undefined
  to = ''
  size = 0

  constructor(handle: string) {
    this.handle = handle
  }

  add({ changes, from, to }: Delivery, size: number): void {
    this.from ??= from
    this.to = to
    this.size += size
    for (const change of changes) {
      const id = keyId(change.key)
      const merged = merge(this.changes.get(id), change)
      if (merged === undefined) this.changes.delete(id)
      else this.changes.set(id, merged)
    }
  }

  /** What there is to say, or nothing. */
  message(): ServerMessage | undefined {
    if (this.from === undefined) return undefined
    return { type: 'changes', feed: this.handle, from: this.from, to: this.to, changes: [...this.changes.values()] }
  }
}

/** Two changes of one key as one: what a client that heard of neither must be told. */
function merge(before: WireChange | undefined, next: WireChange): WireChange | undefined {
  if (before === undefined) return next
  const isNew = before.action === 'create' || before.action === 'enter'
  const wasGone = before.action === 'delete' || before.action === 'leave'
  const goes = next.action === 'delete' || next.action === 'leave'
  if (goes) return isNew ? undefined : next
  const action: ChangeAction = isNew ? before.action : wasGone ? 'update' : next.action
  return { ...next, action }
}

/** What a queue needs to know of a live view: which pending changes are its own. */
export interface QueueMember {
  readonly handle: string
  /** Changes in the queue that later ones may still join. */
  queued: PendingChanges | undefined
}

type Item =
  | { readonly kind: 'message'; readonly message: ServerMessage }
  | { readonly kind: 'changes'; readonly member: QueueMember; readonly pending: PendingChanges }
  /** Frames that are made when there is room for them. */
  | {
      readonly kind: 'snapshot'
      readonly id: string
      readonly frames: Iterator<ServerMessage | readonly ServerMessage[], undefined>
    }

/**
 * What one client has still to be sent. While its socket has room, everything goes straight through. Above the soft
 * limit changes wait, the newest of each key; snapshots are made part by part as the socket drains. Above the hard limit,
 * or without progress, the waiting changes and snapshots are given up.
 */
export class SendQueue {
  readonly #socket: TransportSocket
  readonly #codec: Codec
  readonly #limits: Limits
  #items: Item[] = []
  #bytes = 0
  /** Monotonic time since which the queue has made no progress; 0 while it is empty. */
  #stuckSince = 0

  constructor(socket: TransportSocket, codec: Codec, limits: Limits) {
    this.#socket = socket
    this.#codec = codec
    this.#limits = limits
  }

  get isEmpty(): boolean {
    return this.#items.length === 0
  }

  /** Whether what is waiting must be given up. */
  isOverflowing(now: number): boolean {
    return this.#items.length > 0 && (this.#bytes > this.#limits.sendHard || this.isStuck(now))
  }

  /** Whether nothing has gone out for too long. */
  isStuck(now: number): boolean {
    if (this.#items.length === 0) return false
    if (this.#stuckSince === 0) this.#stuckSince = now
    return now - this.#stuckSince > this.#limits.sendTimeout
  }

  /** Starts the clock of `isStuck` anew. */
  touch(now: number): void {
    this.#stuckSince = now
  }

  send(message: ServerMessage): void {
    if (this.#items.length === 0 && this.#hasRoom) this.#write(message)
    else this.#items.push({ kind: 'message', message })
  }

  /** Sends past everything that waits. */
  sendNow(message: ServerMessage): void {
    this.#write(message)
  }

  sendChanges(member: QueueMember, delivery: Delivery): void {
    if (this.#items.length === 0 && this.#hasRoom) {
      this.#socket.send(delivery.frame.encode(this.#codec))
      return
    }
    if (member.queued === undefined) {
      member.queued = new PendingChanges(member.handle)
      this.#items.push({ kind: 'changes', member, pending: member.queued })
    }
    const size = delivery.frame.encode(this.#codec).data.length
    member.queued.add(delivery, size)
    this.#bytes += size
  }

  /** Sends changes that were held back elsewhere, in their turn. */
  sendPending(member: QueueMember, pending: PendingChanges): void {
    const message = pending.message()
    if (message === undefined) return
    if (this.#items.length === 0 && this.#hasRoom) return this.#write(message)
    member.queued = pending
    this.#bytes += pending.size
    this.#items.push({ kind: 'changes', member, pending })
  }

  /** Sends a view from its beginning. Changes of the view that come later go behind it. */
  sendSnapshot(
    member: QueueMember,
    id: string,
    frames: Iterator<ServerMessage | readonly ServerMessage[], undefined>,
  ): void {
    member.queued = undefined
    this.#items.push({ kind: 'snapshot', id, frames })
    this.pump(this.#stuckSince)
  }

  /** Takes the waiting changes of a view out of the queue. */
  take(member: QueueMember): PendingChanges | undefined {
    const pending = member.queued
    if (pending === undefined) return undefined
    member.queued = undefined
    this.#bytes -= pending.size
    this.#items = this.#items.filter((item) => item.kind !== 'changes' || item.pending !== pending)
    return pending
  }

  /** Forgets a view, or a snapshot of it, that is no longer wanted. */
  forget(member: QueueMember | undefined, id: string): void {
    if (member !== undefined) this.take(member)
    if (this.#items.length > 0) this.#items = this.#items.filter((item) => item.kind !== 'snapshot' || item.id !== id)
  }

  /** Drops what waits and can be said anew: changes and snapshots. Replies stay. */
  giveUp(): void {
    for (const item of this.#items) if (item.kind === 'changes') item.member.queued = undefined
    this.#items = this.#items.filter((item) => item.kind === 'message')
    this.#bytes = 0
  }

  /** Writes as much as there is room for. */
  pump(now: number): void {
    let progress = false
    while (this.#hasRoom) {
      const item = this.#items[0]
      if (item === undefined) break
      progress = true
      if (item.kind === 'snapshot') {
        const next = item.frames.next()
        if (next.done === true) this.#items.shift()
        else this.#write(next.value)
        continue
      }
      this.#items.shift()
      if (item.kind === 'message') {
        this.#write(item.message)
        continue
      }
      if (item.member.queued === item.pending) item.member.queued = undefined
      this.#bytes -= item.pending.size
      const message = item.pending.message()
      if (message !== undefined) this.#write(message)
    }
    if (this.#items.length === 0) this.#stuckSince = 0
    else if (progress) this.#stuckSince = now
  }

  clear(): void {
    this.#items = []
    this.#bytes = 0
  }

  get #hasRoom(): boolean {
    return this.#socket.bufferedAmount <= this.#limits.sendSoft
  }

  #write(frame: ServerMessage | readonly ServerMessage[]): void {
    this.#socket.send({ data: this.#codec.encode(frame) })
  }
}
