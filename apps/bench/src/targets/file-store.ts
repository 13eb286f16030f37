import { constants, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ChangeBatch,
  type ChangeSource,
  type Key,
  type Query,
  type Store,
  type StoreDescription,
  RtapiError,
  compileFilter,
} from '@rtapi/core'
import { type Item, makeItem } from '../workload.ts'
import { type ItemRow, itemFields } from './item-row.ts'

/** Bytes of a record's place in the file; what its JSON leaves over is blank. */
const PLACE = 512

/**
 * Items in a file which several processes have open: what one has written, the others read at once. It stands for the
 * database of an application, and costs little more than memory. Items are changed, but neither made nor deleted.
 */
export class FileStore implements Store<ItemRow, never, Partial<ItemRow>>, ChangeSource {
  readonly entity = 'item'
  private readonly file: number
  private readonly keys: readonly number[]
  private readonly place = Buffer.alloc(PLACE)
  private emit: ((batch: ChangeBatch) => void) | undefined
  private transactions = 0

  /** Every process writes the same records to begin with, so that it does not matter which is the first. */
  constructor(folder: string, records: number) {
    this.file = openSync(join(folder, 'items'), constants.O_RDWR | constants.O_CREAT)
    this.keys = Array.from({ length: records }, (_, i) => i + 1)
    for (const key of this.keys) this.write(makeItem(key))
  }

  describe(): StoreDescription {
    const fields = Object.entries(itemFields).map(([name, type]) => [name, { type, nullable: false }] as const)
    return { key: ['id'], fields: Object.fromEntries(fields) }
  }

  start(emit: (batch: ChangeBatch) => void): void {
    this.emit = emit
  }

  stop(): void {
    this.emit = undefined
  }

  read(keys: readonly Key[]): readonly ItemRow[] {
    return keys.flatMap((key) => this.row(key) ?? [])
  }

  /** In the order of the keys, the only one that this application asks for. */
  find({ where, limit = Number.POSITIVE_INFINITY }: Query): readonly ItemRow[] {
    const filters = where.type === 'and' ? where.filters : [where]
    const named = filters.flatMap((filter) =>
      filter.type === 'compare' && filter.field === 'id' && filter.operator === 'eq' ? [Number(filter.value)] : [],
    )
    const matches = compileFilter(where, itemFields)
    const found: ItemRow[] = []
    for (const key of named.length > 0 ? named.slice(0, 1) : this.keys) {
      const row = this.row(key)
      if (row !== undefined && matches(row) && found.push(row) >= limit) break
    }
    return found
  }

  create(): never {
    throw new RtapiError('unsupported', 'no items are made here')
  }

  update(key: Key, patch: Partial<ItemRow>): { row: ItemRow; tx: string } | null {
    const before = this.row(key)
    if (before === undefined) return null
    const row = { ...before, ...patch }
    this.write(row)
    const tx = `${process.pid}.${++this.transactions}`
    this.emit?.({
      tx,
      changes: [{ type: 'change', entity: 'item', key: row.id, action: 'update', before, after: row }],
    })
    return { row, tx }
  }

  delete(): never {
    throw new RtapiError('unsupported', 'no items are deleted here')
  }

  private row(key: Key): ItemRow | undefined {
    if (typeof key !== 'number' || this.keys[key - 1] !== key) return undefined
    readSync(this.file, this.place, 0, PLACE, key * PLACE)
    return JSON.parse(this.place.toString('latin1')) as ItemRow
  }

  /** One write for one record: who reads meanwhile sees it as it was or as it is. */
  private write(item: Item): void {
    this.place.fill(' ')
    this.place.write(JSON.stringify(item), 'latin1')
    writeSync(this.file, this.place, 0, PLACE, item.id * PLACE)
  }
}
