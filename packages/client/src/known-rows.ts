import type { Key, Row, WireRow } from '@rtapi/core/protocol'

/** What the server said of a row besides its data. */
export interface RowIdentity {
  readonly key: Key
  /** Where the resource has versions: what `ifVersion` expects. */
  readonly version: string | number | undefined
}

/** Remembers key and version of each row that the client has handed out, for as long as the row itself is in use. */
export class KnownRows {
  readonly #identities = new WeakMap<object, RowIdentity>()

  /** Remembers a row as it came, and answers its data. */
  add({ key, data, version }: WireRow): Row {
    this.set(data, { key, version })
    return data
  }

  set(row: Row, identity: RowIdentity): void {
    this.#identities.set(row, identity)
  }

  /** @throws TypeError if the row did not come from this client: a copy of a row is not the row. */
  get(row: object): RowIdentity {
    const identity = this.#identities.get(row)
    if (identity === undefined)
      throw new TypeError('this row was not received by this client; a copy of a row is not known')
    return identity
  }
}
