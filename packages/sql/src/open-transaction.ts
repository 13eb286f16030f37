/** An open transaction of a connection, with what has been written in it. */
export class OpenTransaction<Entry> {
  /** Names the transaction to whoever hears of its changes. */
  readonly id: string
  readonly #entries: Entry[] = []
  readonly #savepoints: { readonly name: string; readonly length: number }[] = []
  /** A statement failed, and the database will turn the commit into a rollback. */
  failed = false
  /** The database has taken the commit. */
  committed = false
  /** Something of it was announced. */
  announced = false
  /** Ids of the rows of the outbox that are committed with it. */
  readonly rows: string[] = []
  /** Entities with records that are written in it, which only the row of the outbox names. */
  readonly unstaged: Set<string> = new Set()
  /** How many announcements of such records are still to come after its end. */
  later = 0
  /** Whether what was announced of it has been taken. */
  readonly answers: (boolean | Promise<boolean>)[] = []
  /** SQLite: a savepoint began it, and the end of that savepoint commits it. */
  readonly endsWithSavepoint: boolean

  constructor(id: string, options: { readonly endsWithSavepoint?: boolean } = {}) {
    this.id = id
    this.endsWithSavepoint = options.endsWithSavepoint === true
  }

  /** What was written and not rolled back, in the order in which it was. */
  get entries(): readonly Entry[] {
    return this.#entries
  }

  /** Something has been written. */
  add(entry: Entry): void {
    this.#entries.push(entry)
  }

  /** A savepoint of this name was set; there may be others of the same name. */
  savepoint(name: string): void {
    this.#savepoints.push({ name, length: this.#entries.length })
  }

  /** Whether the savepoint is the first of those that are set. */
  isOutermost(name: string): boolean {
    return this.#indexOf(name) === 0
  }

  /** The savepoint and those within it are gone; what was written since remains. Answers whether it was the outermost. */
  release(name: string): boolean {
    const index = this.#indexOf(name)
    if (index !== -1) this.#savepoints.length = index
    return index === 0
  }

  /** What was written since the savepoint is undone; it remains itself. */
  rollbackTo(name: string): void {
    const index = this.#indexOf(name)
    const savepoint = this.#savepoints[index]
    if (savepoint === undefined) return
    this.#entries.length = savepoint.length
    this.#savepoints.length = index + 1
    this.failed = false
  }

  #indexOf(name: string): number {
    return this.#savepoints.findLastIndex((savepoint) => savepoint.name === name)
  }
}
