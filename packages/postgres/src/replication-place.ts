/** Where the log is read from, and how much is said of it. The source and the setup need the same. */
export interface ReplicationOptions {
  /** The replication slot: lower-case letters, digits and `_`. It is one for the whole server. @default 'rtapi' */
  readonly slot?: string
  /** @default 'rtapi' */
  readonly publication?: string
  /** A transaction that writes more records of an entity than this is announced as a coarse change. @default 1_000 */
  readonly coarseKeys?: number
}

/** Replication options with their defaults. */
export type ReplicationPlace = Required<ReplicationOptions>

/** Fills in the defaults. @throws TypeError for a name or number that is none. */
export function replicationPlace(options: ReplicationOptions): ReplicationPlace {
  const { slot = 'rtapi', publication = 'rtapi', coarseKeys = 1_000 } = options
  if (!/^[a-z0-9_]{1,63}$/.test(slot)) {
    throw new TypeError(`the name of a slot has lower-case letters, digits and '_' only, not ${JSON.stringify(slot)}`)
  }
  if (publication === '' || publication.includes('\0') || Buffer.byteLength(publication) > 63) {
    throw new TypeError(`a publication has a name of 1 to 63 bytes, not ${JSON.stringify(publication)}`)
  }
  if (!Number.isSafeInteger(coarseKeys) || coarseKeys < 1) {
    throw new TypeError(`coarseKeys is a whole number above 0, not ${coarseKeys}`)
  }
  return { slot, publication, coarseKeys }
}
