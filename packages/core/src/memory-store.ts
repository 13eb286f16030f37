import type { ChangeBatch, ChangeSource } from './change-source.ts'
import { type Filter, everything } from './filter.ts'
import { type Draft, MemoryFields, type MemoryStoreOptions } from './memory-fields.ts'
import { MemoryOverlay, type MemorySpace, MemoryTable, type Touched, conflict } from './memory-table.ts'
import type { MaybePromise } from './runtime.ts'
import type { Query, Store, WriteResult } from './store.ts'
import { type Key, type KeyId, type Row, compareRows, keyId } from './value.ts'

/** A write's result with the row's own type. */
export interface MemoryWrite<R extends Row = Row> extends WriteResult {
  readonly row: R
}

/** Reads and writes of a memory store; they are done when they return. A `where` left out is `everything`. */
export interface MemoryAccess<R extends Row = Row> {
  read(keys: readonly Key[]): readonly R[]
  /** Without a query: all records in the order of their keys. */
  find(query?: Query): readonly R[]
  /** @throws RtapiError `invalid` if the data does not fit the fields, `conflict` if a value must be unique. */
  create(data: Draft<R>): MemoryWrite<R>
  /** A patch that changes nothing is no write: it is not announced and names no transaction. Throws as `create`. */
  update(key: Key, patch: Draft<R>, where?: Filter): MemoryWrite<R> | null
  delete(key: Key, where?: Filter): MemoryWrite<R> | null
  /**
   * Does the work and commits; if it throws, nothing has happened. The work sees its own writes over what others have
   * committed. At the commit unique values are checked, and that nobody else has meanwhile written one of its records:
   * else it rejects with `conflict`. A transaction within a transaction is a savepoint.
   */
  transaction<T>(work: (access: MemoryAccess<R>) => MaybePromise<T>): Promise<T>
}

/** A store of frozen rows in memory that announces its own changes. */
export interface MemoryStore<R extends Row = Row>
  extends MemoryAccess<R>, Omit<Store<R, Draft<R>, Draft<R>>, keyof MemoryAccess>, ChangeSource {
  start(emit: (batch: ChangeBatch) => void): void
  stop(): void
}

/**
 * Makes a memory store, for tests, prototypes and demos. A write outside of a transaction is committed and announced
 * when it returns.
 * @throws TypeError if the options name a field that is none; RtapiError as `create` if one of `rows` does not fit.
 */
export function memoryStore<R extends Row = Row>(options: MemoryStoreOptions<R>): MemoryStore<R> {
  // Fields are checked by name and type at run time; inside, every row is a plain one.
  const plain = options as unknown as MemoryStoreOptions
  const fields = new MemoryFields(plain)
  const table = new MemoryTable(plain.entity, fields, plain.unique ?? [])
  for (const data of plain.rows ?? []) {
    const row = fields.build(data, 'rows')
    table.commit(new Map([[keyId(fields.keyOf(row)), { before: undefined, after: row }]]), '')
  }
  const direct = new Access(table, table, undefined)
  const store: MemoryStore = {
    entity: plain.entity,
    describe: () => fields.description,
    read: (keys) => direct.read(keys),
    find: (query) => direct.find(query),
    create: (data) => direct.create(data),
    update: (key, patch, where) => direct.update(key, patch, where),
    delete: (key, where) => direct.delete(key, where),
    transaction: (work) => direct.transaction(work),
    start: (emit) => table.start(emit),
    stop: () => table.stop(),
  }
  return store as unknown as MemoryStore<R>
}

class Access implements MemoryAccess {
  readonly #table: MemoryTable
  readonly #space: MemorySpace
  /** Of the transaction that this belongs to; `undefined`: each write is one of its own. */
  readonly #tx: string | undefined
  #ended = false

  constructor(table: MemoryTable, space: MemorySpace, tx: string | undefined) {
    this.#table = table
    this.#space = space
    this.#tx = tx
  }

  read(keys: readonly Key[]): readonly Row[] {
    this.#check()
    const rows: Row[] = []
    for (const id of new Set(keys.map(keyId))) {
      const row = this.#space.get(id)
      if (row !== undefined) rows.push(row)
    }
    return rows
  }

  find(query: Query = { where: everything, order: this.#table.fields.keyOrder }): readonly Row[] {
    this.#check()
    const keys = this.#table.keysNamed(query.where)
    const matches = this.#table.compile(query.where)
    const rows: Row[] = []
    if (keys === undefined) {
      for (const row of this.#space.rows()) if (matches(row)) rows.push(row)
    } else {
      const [field = ''] = this.#table.fields.description.key
      for (const [id, key] of new Map(keys.map((key) => [keyId(key), key]))) {
        const row = this.#space.get(id)
        // Time must not tell whether it was there and did not match: it is matched all the same.
        if (matches(row ?? { [field]: key }) && row !== undefined) rows.push(row)
      }
    }
    return firstRows(rows, query)
  }

  create(data: Draft): MemoryWrite {
    this.#check()
    const row = this.#table.fields.build(data, 'create')
    const id = keyId(this.#table.fields.keyOf(row))
    if (this.#space.get(id) !== undefined) throw conflict()
    return { row, tx: this.#write(id, { before: undefined, after: row }) }
  }

  update(key: Key, patch: Draft, where: Filter = everything): MemoryWrite | null {
    const before = this.#matching(key, where)
    if (before === undefined) return null
    const after = this.#table.fields.patch(before, patch)
    return after === before ? { row: after } : { row: after, tx: this.#write(keyId(key), { before, after }) }
  }

  delete(key: Key, where: Filter = everything): MemoryWrite | null {
    const before = this.#matching(key, where)
    if (before === undefined) return null
    return { row: before, tx: this.#write(keyId(key), { before, after: undefined }) }
  }

  async transaction<T>(work: (access: MemoryAccess) => MaybePromise<T>): Promise<T> {
    this.#check()
    const tx = this.#tx ?? this.#table.nextTx()
    const overlay = new MemoryOverlay(this.#space)
    const access = new Access(this.#table, overlay, tx)
    try {
      const result = await work(access)
      this.#check()
      this.#space.commit(overlay.writes, tx)
      return result
    } finally {
      access.#ended = true
    }
  }

  #matching(key: Key, where: Filter): Row | undefined {
    this.#check()
    const row = this.#space.get(keyId(key))
    return row === undefined || (where !== everything && !this.#table.compile(where)(row)) ? undefined : row
  }

  #write(id: KeyId, touched: Touched): string {
    const tx = this.#tx ?? this.#table.nextTx()
    this.#space.commit(new Map([[id, touched]]), tx)
    return tx
  }

  #check(): void {
    if (this.#ended) throw new TypeError('the transaction has ended')
  }
}

/** The first rows in the order of the query. For a short list of many the rest is not sorted. */
function firstRows(rows: Row[], { order, limit }: Query): readonly Row[] {
  if (limit === undefined || limit * 8 > rows.length) {
    return rows.sort((a, b) => compareRows(order, a, b)).slice(0, limit)
  }
  const first: Row[] = []
  for (const row of rows) {
    const last = first.at(-1)
    if (first.length === limit && last !== undefined && compareRows(order, row, last) >= 0) continue
    first.splice(rankOf(row, first, order), 0, row)
    if (first.length > limit) first.pop()
  }
  return first
}

/** Where a row belongs among rows in order, by halving. */
function rankOf(row: Row, sorted: readonly Row[], order: Query['order']): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    const other = sorted[middle]
    if (other !== undefined && compareRows(order, other, row) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
