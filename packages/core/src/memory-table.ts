import type { ChangeBatch } from './change-source.ts'
import type { Filter } from './filter.ts'
import { type Matches, compileFilter } from './match-filter.ts'
import type { MemoryFields } from './memory-fields.ts'
import { RtapiError } from './protocol.ts'
import { type Json, type Key, type KeyId, type Row } from './value.ts'

/** A record before and after; `undefined`: there is none. Rows never change, so that identity tells versions apart. */
export interface Touched {
  readonly before: Row | undefined
  readonly after: Row | undefined
}

export type Writes = ReadonlyMap<KeyId, Touched>

/** Where reads look and writes go: the committed rows, or what a transaction lays over them. */
export interface MemorySpace {
  get(id: KeyId): Row | undefined
  rows(): Iterable<Row>
  /** Takes the writes all together, or throws and takes none. */
  commit(writes: Writes, tx: string): void
}

/** What a transaction has written so far, over what it sees below. */
export class MemoryOverlay implements MemorySpace {
  readonly writes: Map<KeyId, Touched> = new Map()
  readonly #below: MemorySpace

  constructor(below: MemorySpace) {
    this.#below = below
  }

  get(id: KeyId): Row | undefined {
    const touched = this.writes.get(id)
    return touched === undefined ? this.#below.get(id) : touched.after
  }

  *rows(): Iterable<Row> {
    const hidden = new Set<Row>()
    for (const [id, { after }] of this.writes) {
      const below = this.#below.get(id)
      if (below !== undefined) hidden.add(below)
      if (after !== undefined) yield after
    }
    for (const row of this.#below.rows()) if (!hidden.has(row)) yield row
  }

  commit(writes: Writes): void {
    for (const [id, { before, after }] of writes) {
      const earlier = this.writes.get(id)
      this.writes.set(id, { before: earlier === undefined ? before : earlier.before, after })
    }
  }
}

/** The committed rows, their unique values, and whoever is told of changes. */
export class MemoryTable implements MemorySpace {
  readonly fields: MemoryFields
  readonly #entity: string
  readonly #rows = new Map<KeyId, Row>()
  readonly #unique: readonly UniqueIndex[]
  readonly #source = randomName()
  #transactions = 0
  #emit: ((batch: ChangeBatch) => void) | undefined

  constructor(entity: string, fields: MemoryFields, unique: readonly (readonly string[])[]) {
    this.#entity = entity
    this.fields = fields
    this.#unique = unique.map((names) => new UniqueIndex(names))
  }

  start(emit: (batch: ChangeBatch) => void): void {
    if (this.#emit !== undefined) throw new TypeError(`the changes of '${this.#entity}' have been started already`)
    this.#emit = emit
  }

  stop(): void {
    this.#emit = undefined
  }

  /** An id that no other transaction has, of this or another process. */
  nextTx(): string {
    return `${this.#source}.${++this.#transactions}`
  }

  compile(where: Filter): Matches {
    return compileFilter(where, this.fields.types)
  }

  /** The keys which a filter leaves over by `eq` or `in` on a simple key; `undefined`: any. */
  keysNamed(where: Filter): readonly Key[] | undefined {
    const [field, second] = this.fields.description.key
    if (second !== undefined) return undefined
    for (const filter of where.type === 'and' ? where.filters : [where]) {
      if (filter.type !== 'compare' || filter.field !== field) continue
      const values = filter.operator === 'eq' ? [filter.value] : filter.operator === 'in' ? filter.value : undefined
      if (values !== undefined) return values.filter((value) => typeof value !== 'boolean')
    }
    return undefined
  }

  get(id: KeyId): Row | undefined {
    return this.#rows.get(id)
  }

  rows(): Iterable<Row> {
    return this.#rows.values()
  }

  commit(writes: Writes, tx: string): void {
    for (const [id, { before }] of writes) if (this.#rows.get(id) !== before) throw conflict()
    for (const index of this.#unique) if (index.refuses(writes)) throw conflict()
    for (const index of this.#unique) index.apply(writes)
    const changes: ChangeBatch['changes'][number][] = []
    for (const [id, touched] of writes) {
      if (touched.after === undefined) this.#rows.delete(id)
      else this.#rows.set(id, touched.after)
      if (touched.before !== touched.after) changes.push(this.#changeOf(touched))
    }
    if (changes.length === 0) return
    try {
      this.#emit?.({ tx, changes })
    } catch {
      // By its contract `emit` never throws; the write is committed all the same.
    }
  }

  #changeOf({ before, after }: Touched): ChangeBatch['changes'][number] {
    const action = before === undefined ? 'create' : after === undefined ? 'delete' : 'update'
    const images = { ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }
    return { type: 'change', entity: this.#entity, key: this.fields.keyOf(after ?? before ?? {}), action, ...images }
  }
}

/** Which record holds each combination of the values of some fields. */
class UniqueIndex {
  readonly #fields: readonly string[]
  readonly #holders = new Map<string, KeyId>()

  constructor(fields: readonly string[]) {
    this.#fields = fields
  }

  /** Whether two records would hold the same values after these writes. */
  refuses(writes: Writes): boolean {
    const claimed = new Set<string>()
    for (const { after } of writes.values()) {
      const values = this.#valuesOf(after)
      if (values === undefined) continue
      const holder = this.#holders.get(values)
      if (claimed.has(values) || (holder !== undefined && !writes.has(holder))) return true
      claimed.add(values)
    }
    return false
  }

  apply(writes: Writes): void {
    for (const { before } of writes.values()) {
      const values = this.#valuesOf(before)
      if (values !== undefined) this.#holders.delete(values)
    }
    for (const [id, { after }] of writes) {
      const values = this.#valuesOf(after)
      if (values !== undefined) this.#holders.set(values, id)
    }
  }

  #valuesOf(row: Row | undefined): string | undefined {
    if (row === undefined) return undefined
    const values = this.#fields.map((field): Json => row[field] ?? null)
    return values.includes(null) ? undefined : JSON.stringify(values)
  }
}

/** The conflict of two writes, or of two records over a value; says nothing of the other one. */
export function conflict(): RtapiError {
  return new RtapiError('conflict', 'the record was written by somebody else, or a value that must be unique is taken')
}

function randomName(): string {
  const [a = 0, b = 0] = crypto.getRandomValues(new Uint32Array(2))
  return a.toString(36) + b.toString(36)
}
