import type { SessionEntry } from './channel-layer.ts'
import type { Connection } from './connection.ts'

/** The connections of this process, and whose they are. */
export class ConnectionSet implements Iterable<Connection> {
  readonly #all = new Set<Connection>()
  readonly #users = new Map<string | number, Set<Connection>>()
  /** Of whom it is not known yet who they are, or whether they still are. */
  readonly #opening = new Set<Connection>()

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
    const { user } = connection.session
    if (user === null) return
    const known = this.#users.get(user.id)
    if (known?.delete(connection) === true && known.size === 0) this.#users.delete(user.id)
  }

  countOf(user: string | number): number {
    return this.#users.get(user)?.size ?? 0
  }

  /** Those of a user. */
  ofUser(user: string | number): Iterable<Connection> {
    return this.#users.get(user) ?? []
  }

  /** Those that have said `hello`, and of whom it is not known yet who they are. */
  *opening(): Iterable<Connection> {
    for (const connection of this.#opening) if (connection.isOpening) yield connection
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
