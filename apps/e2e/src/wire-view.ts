import type { ChangesMessage, Key, Row, ServerMessage } from '@rtapi/core/protocol'

/** The rows of one subscription. */
export class WireView {
  readonly rows = new Map<Key, Row>()
  whole = false
  /** How many whole snapshots have come. */
  snapshots = 0
  /** Why it ended, if it did. */
  ended: string | undefined
  /** Why it was begun anew, each time. */
  readonly resets: string[] = []
  /** What happened to rows since the first snapshot: `create 5`, `leave 7` … */
  readonly log: string[] = []
  /** From where another link may go on. */
  position: string | undefined
  readonly #id: string
  readonly #wait: (condition: () => boolean, what: string) => Promise<void>
  #feed: string | undefined
  #resuming: boolean
  #parts = new Map<Key, Row>()

  /** @param before - the view that this one goes on from. */
  constructor(id: string, wait: (condition: () => boolean, what: string) => Promise<void>, before?: WireView) {
    this.#id = id
    this.#wait = wait
    this.#resuming = before !== undefined
    for (const [key, row] of before?.rows ?? []) this.rows.set(key, row)
  }

  get keys(): Key[] {
    return [...this.rows.keys()]
  }

  /** One field of every row. */
  all(field: string): unknown[] {
    return [...this.rows.values()].map((row) => row[field])
  }

  until(condition: () => boolean): Promise<void> {
    return this.#wait(condition, `a view, which has ${JSON.stringify([...this.rows.values()])}`)
  }

  take(message: ServerMessage): void {
    switch (message.type) {
      case 'snapshot':
        if (message.id !== this.#id) return
        this.#feed = message.feed
        if (message.part === 0) this.#parts = new Map()
        for (const { key, data } of message.rows) this.#parts.set(key, data)
        if (!message.done) return
        if (!this.#resuming) this.rows.clear()
        for (const [key, data] of this.#parts) this.rows.set(key, data)
        this.#resuming = false
        this.position = message.position
        this.whole = true
        this.snapshots++
        return
      case 'changes':
        if (message.feed === this.#feed) this.#change(message)
        return
      case 'reset':
        if (message.id !== this.#id) return
        this.resets.push(message.reason)
        this.whole = this.#resuming = false
        if (message.reason === 'policy') this.rows.clear()
        return
      case 'end':
        if (message.id === this.#id) this.ended = message.error?.code ?? 'ended'
        return
      default:
    }
  }

  #change({ from, to, changes }: ChangesMessage): void {
    const isNext = this.position === undefined || from === this.position || to === this.position
    if (!isNext && this.whole) throw new Error(`changes from ${from} for a view at ${this.position}`)
    this.position = to
    for (const { action, key, data } of changes) {
      this.log.push(`${action} ${JSON.stringify(key)}`)
      if (data === undefined) this.rows.delete(key)
      else this.rows.set(key, data)
    }
  }
}
