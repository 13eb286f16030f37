import { byteLength } from './byte-length.ts'
import type { WireRow } from './protocol.ts'
import { type ResourceModel, wireRow } from './resource-model.ts'
import { type Key, type KeyId, type Row, keyId, keyOf } from './value.ts'

/** What a viewer sees of a row: the same object for every feed with the same fields. */
export interface Seen {
  readonly row: WireRow
  /** Tells apart two states of the visible fields. */
  readonly hash: number
  /** Bytes of its JSON, without the names of its members. */
  readonly size: number
}

/** One row as read from the store, with its projections worked out once and shared by all feeds of a tick. */
export class RowView {
  readonly id: KeyId
  readonly row: Row
  readonly #model: ResourceModel
  #fields: readonly string[] | undefined
  #seen: Seen | undefined

  constructor(model: ResourceModel, row: Row) {
    this.#model = model
    this.row = row
    this.id = keyId(keyOf(row, model.keyFields))
  }

  /** The row as it is seen through these fields. Feeds that ask in turn with the same fields share one answer. */
  seen(fields: readonly string[]): Seen {
    if (this.#seen === undefined || !sameFields(this.#fields, fields)) {
      const row = wireRow(this.#model, this.row, fields)
      const text = JSON.stringify(row.data)
      this.#seen = { row: deepFreeze(row), hash: hashText(text), size: byteLength(text) + keySize(row.key) }
      this.#fields = fields
    }
    return this.#seen
  }
}

function keySize(key: Key): number {
  return typeof key === 'number' ? 16 : byteLength(JSON.stringify(key))
}

function sameFields(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a === b || (a !== undefined && a.length === b.length && a.every((field, i) => field === b[i]))
}

function deepFreeze<T extends object>(value: T): T {
  if (Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const name in value) {
    const member: unknown = value[name]
    if (typeof member === 'object' && member !== null) deepFreeze(member)
  }
  return value
}

const SEED: number = Math.floor(Math.random() * 2 ** 32)

/** 53 bits of a text (cyrb53, bryc, public domain), seeded anew in each process so that nobody can prepare a collision. */
function hashText(text: string): number {
  let a = 0xdeadbeef ^ SEED
  let b = 0x41c6ce57 ^ SEED
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 2654435761)
    b = Math.imul(b ^ unit, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return 4294967296 * (2097151 & b) + (a >>> 0)
}
