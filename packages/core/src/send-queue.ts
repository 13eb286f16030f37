import { byteLength } from './byte-length.ts'
import type { Codec } from './codec.ts'
import type { Delivery } from './feed.ts'
import { mergeChanges } from './merge-changes.ts'
import type { Pace } from './pace.ts'
import type { Limits, ServerMessage, WireChange } from './protocol.ts'
import type { EncodedFrame, TransportSocket } from './transport-socket.ts'
import { type KeyId, keyId } from './value.ts'

/** Changes of one feed that wait for one client: the newest of each key. */
export class PendingChanges {
  readonly handle: string
  readonly changes: Map<KeyId, WireChange> = new Map()
  /** Where the client stands; `undefined` if there is nothing to say. */
  from: string | undefined
  to = ''
  /** Bytes, roughly: a frame's are shared out evenly among its changes. */
  size = 0
  readonly #sizes = new Map<KeyId, number>()

  constructor(handle: string) {
    this.handle = handle
  }

  /** @param size - bytes of the delivery's frame. */
  add({ changes, from, to }: Delivery, size: number): void {
    this.from ??= from
    this.to = to
    for (const change of changes) {
      const id = keyId(change.key)
      const merged = mergeChanges(this.changes.get(id), change)
      this.size -= this.#sizes.get(id) ?? 0
      if (merged === undefined) {
        this.changes.delete(id)
        this.#sizes.delete(id)
      } else {
        this.changes.set(id, merged)
        this.#sizes.set(id, size / changes.length)
        this.size += size / changes.length
      }
    }
  }

  /** Takes out what there is to say, or about so many bytes of it; the last part leads to the newest position. */
  take(bytes: number = Number.POSITIVE_INFINITY): ServerMessage | undefined {
    const { from } = this
    if (from === undefined) return undefined
    const changes: WireChange[] = []
    let taken = 0
    for (const [id, change] of this.changes) {
      const size = this.#sizes.get(id) ?? 0
      if (taken + size > bytes && changes.length > 0) break
      taken += size
      changes.push(change)
      this.changes.delete(id)
      this.#sizes.delete(id)
    }
    this.size -= taken
    const isLast = this.changes.size === 0
    if (isLast) this.from = undefined
    return { type: 'changes', feed: this.handle, from, to: isLast ? this.to : from, changes }
  }
}

/** What a queue needs to know of a live view: which pending changes are its own. */
export interface QueueMember {
  readonly handle: string
  /** Changes in the queue that later ones may still join. */
  queued: PendingChanges | undefined
}

type Item =
  | { readonly kind: 'frame'; readonly frame: EncodedFrame; readonly size: number }
  | { readonly kind: 'changes'; readonly member: QueueMember; readonly pending: PendingChanges }
  /** Frames that are made when there is room for them. */
  | { readonly kind: 'snapshot'; readonly id: string; readonly frames: Frames }

type Frames = Iterator<ServerMessage | readonly ServerMessage[], undefined>

/** What a queue has given up: views whose changes will not come, and subscriptions whose snapshot will not. */
export interface GivenUp {
  readonly members: ReadonlySet<QueueMember>
  readonly ids: ReadonlySet<string>
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
  /** Bytes of the changes that wait, and of the messages that cannot be given up. */
  #changeBytes = 0
  #messageBytes = 0
  /** Monotonic time since which nothing has moved; 0 if something has since the last look. */
  #stuckSince = 0
  /** Bytes that the socket had not got rid of at the last look. */
  #buffered = 0
  readonly #pace: Pace
  #isPumpedLater = false

  constructor(socket: TransportSocket, codec: Codec, limits: Limits, pace: Pace) {
    this.#socket = socket
    this.#codec = codec
    this.#limits = limits
    this.#pace = pace
  }

  get isEmpty(): boolean {
    return this.#items.length === 0
  }

  /** Whether nothing waits, and nothing is remembered of what did. */
  get isIdle(): boolean {
    return this.#items.length === 0 && this.#stuckSince === 0
  }

  /** Bytes that wait here and in the socket. */
  get heldBytes(): number {
    return this.#changeBytes + this.#messageBytes + this.#socket.bufferedAmount
  }

  /** Whether so many replies wait to be read that no more should be asked for. */
  get isCrowded(): boolean {
    return this.#messageBytes > this.#limits.sendHard
  }

  /** Whether what is waiting must be given up. */
  isOverflowing(now: number): boolean {
    if (this.#items.length > 0) return this.#changeBytes > this.#limits.sendHard || this.#isStuck(now)
    this.#stuckSince = 0
    return false
  }

  /** Whether nothing has gone out for too long, not even a part of what the socket holds. */
  #isStuck(now: number): boolean {
    const { bufferedAmount } = this.#socket
    if (this.#stuckSince === 0 || bufferedAmount < this.#buffered) this.#stuckSince = now
    this.#buffered = bufferedAmount
    return now - this.#stuckSince > this.#limits.sendTimeout
  }

  /** Sends in turn. Throws what the codec throws for a message that it cannot write. */
  send(message: ServerMessage): void {
    this.#enqueue({ data: this.#codec.encode(message) })
  }

  /** Sends in turn what is no longer than so many bytes, and answers whether it is. */
  sendWithin(message: ServerMessage, bytes: number): boolean {
    const frame = { data: this.#codec.encode(message) }
    // No character takes more than three bytes, so that most frames need not be measured.
    if (frame.data.length > bytes || (frame.data.length * 3 > bytes && byteLength(frame.data) > bytes)) return false
    this.#enqueue(frame)
    return true
  }

  #enqueue(frame: EncodedFrame): void {
    if (this.#items.length === 0 && this.#hasRoom) return this.#socket.send(frame)
    const size = byteLength(frame.data)
    this.#messageBytes += size
    this.#items.push({ kind: 'frame', frame, size })
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
    const { queued } = member
    this.#changeBytes -= queued.size
    queued.add(delivery, this.sizeOf(delivery))
    this.#changeBytes += queued.size
  }

  /** Bytes of the frame of these changes. */
  sizeOf({ frame }: Delivery): number {
    return frame.sizeOf(this.#codec)
  }

  /** Sends changes that were held back elsewhere, in their turn. */
  sendPending(member: QueueMember, pending: PendingChanges): void {
    if (pending.from === undefined) return
    member.queued = pending
    this.#changeBytes += pending.size
    this.#items.push({ kind: 'changes', member, pending })
    this.pump()
  }

  /** Sends a view from its beginning. Changes of the view that come later go behind it. */
  sendSnapshot(member: QueueMember, id: string, frames: Frames): void {
    member.queued = undefined
    this.#items.push({ kind: 'snapshot', id, frames })
    this.pump()
  }

  /** Whether a part of this subscription's snapshot still waits. */
  hasSnapshot(id: string): boolean {
    return this.#items.some((item) => item.kind === 'snapshot' && item.id === id)
  }

  /** Takes the waiting changes of a view out of the queue. */
  take(member: QueueMember): PendingChanges | undefined {
    const pending = member.queued
    if (pending === undefined) return undefined
    member.queued = undefined
    this.#changeBytes -= pending.size
    this.#items = this.#items.filter((item) => item.kind !== 'changes' || item.pending !== pending)
    return pending
  }

  /** Forgets a view, or a snapshot of it, that is no longer wanted. */
  forget(member: QueueMember | undefined, id: string): void {
    if (member !== undefined) this.take(member)
    if (this.#items.length > 0) this.#items = this.#items.filter((item) => item.kind !== 'snapshot' || item.id !== id)
  }

  /** Drops what waits and can be said anew: changes and snapshots. Replies stay. */
  giveUp(): GivenUp {
    const members = new Set<QueueMember>()
    const ids = new Set<string>()
    for (const item of this.#items) {
      if (item.kind === 'snapshot') ids.add(item.id)
      else if (item.kind === 'changes') {
        members.add(item.member)
        item.member.queued = undefined
      }
    }
    this.#items = this.#items.filter((item) => item.kind === 'frame')
    this.#changeBytes = 0
    return { members, ids }
  }

  /** Writes as much as there is room for, part by part: when others wait for long, the rest in the next turn. */
  pump(): void {
    while (this.#hasRoom) {
      const item = this.#items[0]
      if (item === undefined) return
      if (item.kind !== 'frame' && this.#pace.isOver) return this.#pumpLater()
      this.#stuckSince = 0
      if (item.kind === 'snapshot') {
        const next = item.frames.next()
        if (next.done === true) this.#items.shift()
        else this.#write(next.value)
      } else if (item.kind === 'frame') {
        this.#items.shift()
        this.#messageBytes -= item.size
        this.#socket.send(item.frame)
      } else this.#pumpChanges(item.member, item.pending)
    }
  }

  /** What comes meanwhile joins what is left. */
  #pumpChanges(member: QueueMember, pending: PendingChanges): void {
    const before = pending.size
    const message = pending.take(this.#limits.snapshotPart)
    this.#changeBytes -= before - pending.size
    if (pending.from === undefined) {
      this.#items.shift()
      this.#changeBytes -= pending.size
      if (member.queued === pending) member.queued = undefined
    }
    if (message !== undefined) this.#write(message)
  }

  #pumpLater(): void {
    if (this.#isPumpedLater) return
    this.#isPumpedLater = true
    this.#pace.later(() => {
      this.#isPumpedLater = false
      this.pump()
    })
  }

  clear(): void {
    this.#items = []
    this.#changeBytes = 0
    this.#messageBytes = 0
  }

  get #hasRoom(): boolean {
    return this.#socket.bufferedAmount <= this.#limits.sendSoft
  }

  #write(frame: ServerMessage | readonly ServerMessage[]): void {
    this.#socket.send({ data: this.#codec.encode(frame) })
  }
}
