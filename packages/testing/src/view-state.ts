import {
  type ChangesMessage,
  type EndMessage,
  type Key,
  type KeyId,
  type OrderTerm,
  type ResetMessage,
  type ResetReason,
  type Row,
  type SnapshotMessage,
  type WireChange,
  type WireRow,
  compareRows,
  keyId,
} from '@rtapi/core'

/** A message about one subscription. */
export type ViewMessage = SnapshotMessage | ChangesMessage | ResetMessage | EndMessage

/**
 * The rows of one subscription, kept as the protocol says: parts of a snapshot are shown when the last has come, changes
 * are applied as a whole, a reset keeps the old rows until the new snapshot is whole, or drops them at once if its
 * reason is `policy`. Whatever the server does that the protocol forbids is a violation.
 */
export class ViewState {
  readonly id: string
  /** All that has come, in order. */
  readonly log: ViewMessage[] = []
  /** Reasons of the resets so far. */
  readonly resets: ResetReason[] = []
  /** What the server did against the protocol. */
  readonly violations: string[] = []
  feed: string | undefined
  position: string | undefined
  end: EndMessage | undefined
  /** Whether the rows are those of a whole snapshot. */
  whole = false
  #rows = new Map<KeyId, WireRow>()
  #order: readonly OrderTerm[] = []
  #parts: WireRow[] = []
  #nextPart = 0
  /** The next snapshot adds to the rows: the subscription resumes, and there was no reset. */
  #resumes: boolean

  /** @param resumeFrom - rows that a resumed subscription begins with. */
  constructor(id: string, resumeFrom: { rows: readonly WireRow[]; order: readonly OrderTerm[] } | undefined) {
    this.id = id
    this.#resumes = resumeFrom !== undefined
    this.#order = resumeFrom?.order ?? []
    for (const row of resumeFrom?.rows ?? []) this.#rows.set(keyId(row.key), row)
  }

  get order(): readonly OrderTerm[] {
    return this.#order
  }

  /** In the order of the view. */
  get wireRows(): readonly WireRow[] {
    return [...this.#rows.values()].sort((a, b) => compareRows(this.#order, a.data, b.data))
  }

  get rows(): readonly Row[] {
    return this.wireRows.map(({ data }) => data)
  }

  get keys(): readonly Key[] {
    return this.wireRows.map(({ key }) => key)
  }

  apply(message: ViewMessage): void {
    this.log.push(message)
    if (this.end !== undefined) this.#violate(`${message.type} after the end`)
    switch (message.type) {
      case 'snapshot':
        return this.#applySnapshot(message)
      case 'changes':
        return this.#applyChanges(message)
      case 'reset':
        return this.#applyReset(message)
      default:
        this.end = message
        this.whole = false
    }
  }

  #applySnapshot(message: SnapshotMessage): void {
    if (message.part !== this.#nextPart) this.#violate(`part ${message.part} of a snapshot, not ${this.#nextPart}`)
    this.#nextPart = message.part + 1
    if (message.part === 0) {
      this.#parts = []
      this.feed = message.feed
      if (message.order !== undefined) this.#order = message.order
    } else if (message.feed !== this.feed) this.#violate('the parts of a snapshot name different feeds')
    this.#parts.push(...message.rows)
    if (!message.done) return
    if (!this.#resumes) this.#rows = new Map()
    for (const row of this.#parts) this.#rows.set(keyId(row.key), row)
    if (message.position === undefined) this.#violate('the last part of a snapshot without a position')
    this.position = message.position
    this.whole = true
    this.#resumes = false
    this.#parts = []
    this.#nextPart = 0
  }

  #applyChanges(message: ChangesMessage): void {
    if (!this.whole) this.#violate('changes before the snapshot was whole')
    if (message.from !== this.position) this.#violate(`changes from ${message.from} at position ${this.position}`)
    this.position = message.to
    for (const change of message.changes) this.#applyChange(change)
  }

  #applyChange(change: WireChange): void {
    const id = keyId(change.key)
    const there = this.#rows.get(id)
    const name = `${change.action} of ${JSON.stringify(change.key)}`
    if (change.action === 'delete' || change.action === 'leave') {
      if (there === undefined) this.#violate(`${name}, which the view does not hold`)
      if (change.data !== undefined) this.#violate(`${name} with data`)
      this.#rows.delete(id)
      return
    }
    if ((there === undefined) === (change.action === 'update')) {
      this.#violate(`${name}, which the view ${there === undefined ? 'does not hold' : 'holds already'}`)
    }
    if (change.data === undefined) return this.#violate(`${name} without data`)
    if (typeof there?.version === 'number' && typeof change.version === 'number' && change.version < there.version) {
      this.#violate(`${name} goes back from version ${there.version} to ${change.version}`)
    }
    const version = change.version === undefined ? {} : { version: change.version }
    this.#rows.set(id, { key: change.key, data: change.data, ...version })
  }

  #applyReset(message: ResetMessage): void {
    this.resets.push(message.reason)
    this.whole = false
    this.#resumes = false
    this.#parts = []
    this.#nextPart = 0
    if (message.reason === 'policy') this.#rows = new Map()
  }

  #violate(what: string): void {
    this.violations.push(`subscription ${this.id}: ${what}`)
  }
}
