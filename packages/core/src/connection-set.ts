import type { SessionEntry } from './channel-layer.ts'
import type { Connection } from './connection.ts'
import { TokenBucket } from './token-bucket.ts'

/** Milliseconds by which an answer is delayed at most. */
const MAX_DELAY = 30_000

/** The connections of this process, and whose they are. */
export class ConnectionSet implements Iterable<Connection> {
  readonly #all = new Set<Connection>()
  readonly #users = new Map<string | number, Set<Connection>>()
  /** Of whom it is not known yet who they are, or whether they still are. */
  readonly #opening = new Set<Connection>()
  /** What users, and connections without one, have asked for that was not there; the longest not heard of first. */
  readonly #misses = new Map<string | number | Connection, TokenBucket>()
  readonly #missesAllowed: number

  /** @param misses - answers `not_found` a minute to one user. */
  constructor(misses: number) {
    this.#missesAllowed = misses
  }

  get size(): number {
    return this.#all.size
  }

  [Symbol.iterator](): IterableIterator<Connection> {
    return this.#all.values()
  }

  add(connection: Connection): void {
    this.#all.add(connection)
    this.#opening.add(connection)
  }

  /** The user of a connection is known, and stays the same as long as it lives. */
  identify(connection: Connection): void {
    this.#opening.delete(connection)
    const { user } = connection.session
    if (user === null) return
    const known = this.#users.get(user.id)
    if (known === undefined) this.#users.set(user.id, new Set([connection]))
    else known.add(connection)
  }

  delete(connection: Connection): void {
    this.#all.delete(connection)
    this.#opening.delete(connection)
    this.#misses.delete(connection)
    const { user } = connection.session
    if (user === null) return
    const known = this.#users.get(user.id)
    if (known?.delete(connection) === true && known.size === 0) this.#users.delete(user.id)
  }

  countOf(user: string | number): number {
    return this.#users.get(user)?.size ?? 0
  }

  /**
   * Something was asked for that is not there. Answers the milliseconds by which to delay the answer: whoever tries keys
   * gets no further than anybody who has been told of them.
   */
  missed(connection: Connection, now: number): number {
    const { user } = connection.session
    const whose = user === null ? connection : user.id
    const bucket = this.#misses.get(whose) ?? new TokenBucket(this.#missesAllowed / 60, this.#missesAllowed, now)
    this.#misses.delete(whose)
    this.#misses.set(whose, bucket)
    // Two are looked at for each that may have come, so that what is forgiven does not stay.
    let looked = 0
    for (const [other, others] of this.#misses) {
      if (looked++ === 2) break
      if (other !== whose && others.isFull(now)) this.#misses.delete(other)
    }
    return Math.min(bucket.owe(1, now), MAX_DELAY)
  }

  /** Those of a user. */
  ofUser(user: string | number): Iterable<Connection> {
    return this.#users.get(user) ?? []
  }

  /** Those that have said `hello`, and of whom it is not known yet who they are. */
  *opening(): Iterable<Connection> {
    for (const connection of this.#opening) if (connection.isOpening) yield connection
  }

  /**
   * Closes those that hold the most unsent bytes, until all together hold no more than so many.
   * @returns how many were closed, and what all of them held before.
   */
  shed(bytes: number, close: (connection: Connection) => void): { readonly closed: number; readonly held: number } {
    let held = 0
    for (const { heldBytes } of this.#all) held += heldBytes
    let closed = 0
    if (held <= bytes) return { closed, held }
    const heaviest = Array.from(this.#all, (connection) => ({ connection, size: connection.heldBytes }))
    heaviest.sort((a, b) => b.size - a.size)
    let left = held
    for (const { connection, size } of heaviest) {
      if (left <= bytes) break
      left -= size
      closed++
      close(connection)
    }
    return { closed, held }
  }

  /** Those that a command is about. */
  *concernedBy({ user, session, except }: SessionEntry): Iterable<Connection> {
    // Who has just been found out may not be counted yet.
    for (const some of user === undefined ? [this.#all] : [this.ofUser(user), this.opening()]) {
      for (const connection of some) {
        const { id, user: found } = connection.session
        if ((user !== undefined && found?.id !== user) || (except !== undefined && id === except)) continue
        if (session === undefined || id === session) yield connection
      }
    }
  }
}
