import type { FieldTypes } from './filter.ts'
import { type ErrorDetail, RtapiError } from './protocol.ts'
import type { FieldDescription, StoreDescription } from './store.ts'
import { type FieldType, type Json, type Key, type OrderTerm, type Row, keyOf, parseValue } from './value.ts'

/** What a record may be given as: any of its fields; `undefined` is as good as absent. */
export type Draft<R extends Row = Row> = { readonly [F in keyof R]?: R[F] | undefined }

export interface MemoryStoreOptions<R extends Row = Row> {
  /** The name under which changes are announced. */
  readonly entity: string
  /** The fields; a type alone is a field that is never null. */
  readonly fields: { readonly [F in keyof R & string]: FieldDescription | FieldType }
  /** The field or fields of the primary key. @default 'id' */
  readonly key?: (keyof R & string) | readonly (keyof R & string)[]
  /** The records to begin with. They are not announced. */
  readonly rows?: readonly Draft<R>[]
  /**
   * Makes the key of a record that is created without one; for keys of one field.
   * @default 1, 2, 3 … if the key is one integer field, else the data must hold the key
   */
  readonly generate?: () => string | number
  /** What a field holds in a record that is created without it: a value, or a function that makes one. */
  readonly defaults?: { readonly [F in keyof R]?: R[F] | (() => R[F]) }
  /** An integer field which the store sets: it grows with every write, also from a record to its next life. */
  readonly version?: keyof R & string
  /** Fields whose values together are unique among the records; null is never equal to another null. */
  readonly unique?: readonly (readonly (keyof R & string)[])[]
}

/** What a memory store knows of its fields: makes frozen rows in wire form of what it is given, or says what is wrong. */
export class MemoryFields {
  readonly description: StoreDescription
  readonly types: FieldTypes
  readonly keyOrder: readonly OrderTerm[]
  readonly #version: string | undefined
  readonly #defaults: Readonly<Record<string, Json | (() => Json) | undefined>>
  readonly #generate: (() => string | number) | undefined
  /** The key's field, if it is one. */
  readonly #only: string | undefined
  #lastKey = 0
  #lastVersion = 0

  constructor(options: MemoryStoreOptions) {
    const key = typeof options.key === 'object' ? options.key : [options.key ?? 'id']
    this.types = Object.fromEntries(
      Object.entries(options.fields).map(([name, field]) => [name, typeof field === 'object' ? field.type : field]),
    )
    for (const field of [...key, options.version ?? [], options.unique ?? []].flat(2)) {
      if (!Object.hasOwn(this.types, field)) throw new TypeError(`'${options.entity}' has no field '${field}'`)
    }
    this.#version = options.version
    if (this.#version !== undefined && this.types[this.#version] !== 'integer') {
      throw new TypeError(`the version '${this.#version}' of '${options.entity}' must be an integer field`)
    }
    this.#defaults = options.defaults ?? {}
    this.#only = key.length === 1 ? key[0] : undefined
    const counts = this.#only !== undefined && this.types[this.#only] === 'integer'
    this.#generate = options.generate ?? (counts ? () => this.#lastKey + 1 : undefined)
    this.keyOrder = key.map((field) => [field, 'asc', this.types[field] ?? 'string'])
    this.description = freeze({ key: [...key], fields: this.#describe(options) })
  }

  keyOf(row: Row): Key {
    return keyOf(row, this.description.key)
  }

  /** A new record. One of `rows` may say its own version. */
  build(data: Draft, origin: 'rows' | 'create'): Row {
    const given = definedFields(data)
    if (this.#version !== undefined && !(origin === 'rows' && given.has(this.#version))) {
      if (given.has(this.#version)) throw invalid([{ path: [this.#version], message: 'is set by the store' }])
      given.set(this.#version, this.#lastVersion + 1)
    }
    if (this.#only !== undefined && this.#generate !== undefined && !given.has(this.#only)) {
      given.set(this.#only, this.#generate())
    }
    for (const [field, { nullable }] of Object.entries(this.description.fields)) {
      if (given.has(field)) continue
      const value = Object.hasOwn(this.#defaults, field) ? this.#defaults[field] : undefined
      if (value !== undefined) given.set(field, typeof value === 'function' ? value() : value)
      else given.set(field, nullable ? null : undefined)
    }
    const parsed = this.#parse(given)
    const row = Object.fromEntries(Object.keys(this.types).map((field) => [field, parsed[field] ?? null]))
    this.#count(row)
    return freeze(row)
  }

  /** The record with the patch applied; the very same row if that changes nothing. */
  patch(before: Row, patch: Draft): Row {
    const given = this.#parse(Object.entries(patch).filter(([, value]) => value !== undefined))
    const changed = Object.keys(given).filter((field) => !equal(given[field], before[field]))
    if (changed.length === 0) return before
    const fixed = changed.filter((field) => field === this.#version || this.description.key.includes(field))
    if (fixed.length > 0) throw invalid(fixed.map((field) => ({ path: [field], message: 'cannot be changed' })))
    const version = this.#version === undefined ? {} : { [this.#version]: this.#lastVersion + 1 }
    const row = { ...before, ...given, ...version }
    this.#count(row)
    return freeze(row)
  }

  #parse(given: Iterable<readonly [string, unknown]>): Record<string, Json> {
    const details: ErrorDetail[] = []
    const row: Record<string, Json> = {}
    for (const [name, value] of given) {
      const field = Object.hasOwn(this.types, name) ? this.description.fields[name] : undefined
      const parsed = field === undefined ? { problem: 'there is no such field' } : parseField(field, value)
      if ('problem' in parsed) details.push({ path: [name], message: parsed.problem })
      else row[name] = parsed.value
    }
    if (details.length > 0) throw invalid(details)
    return row
  }

  /** Numbers that were given out are not given out again, be it that their write is undone. */
  #count(row: Row): void {
    const key = this.#only === undefined ? undefined : row[this.#only]
    if (typeof key === 'number') this.#lastKey = Math.max(this.#lastKey, key)
    const version = this.#version === undefined ? undefined : row[this.#version]
    if (typeof version === 'number') this.#lastVersion = Math.max(this.#lastVersion, version)
  }

  #describe(options: MemoryStoreOptions): Readonly<Record<string, FieldDescription>> {
    const filledIn = new Set(Object.keys(this.#defaults))
    if (this.#version !== undefined) filledIn.add(this.#version)
    if (this.#only !== undefined && this.#generate !== undefined) filledIn.add(this.#only)
    return Object.fromEntries(
      Object.entries(options.fields).map(([name, field]): [string, FieldDescription] => {
        const description = typeof field === 'object' ? field : { type: field, nullable: false }
        return [name, filledIn.has(name) ? { ...description, optional: true } : description]
      }),
    )
  }
}

function definedFields(data: Draft): Map<string, unknown> {
  return new Map<string, unknown>(Object.entries(data).filter(([, value]) => value !== undefined))
}

function parseField(field: FieldDescription, value: unknown): { value: Json } | { problem: string } {
  if (value === undefined) return { problem: 'expected a value' }
  if (value === null) return field.nullable ? { value } : { problem: 'must not be null' }
  switch (field.type) {
    case 'json':
      return isJson(value) ? { value: structuredClone(value) } : { problem: 'expected a JSON value' }
    case 'bytes':
      return typeof value === 'string' && value.length % 4 === 0 && BASE64.test(value)
        ? { value }
        : { problem: 'expected bytes as base64' }
    default:
      return parseValue(field.type, value)
  }
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

function isJson(value: unknown): value is Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (Array.isArray(value)) return value.every(isJson)
  return typeof value === 'object' && isPlain(value) && Object.values(value).every(isJson)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

function equal(a: Json | undefined, b: Json | undefined): boolean {
  return a === b || (typeof a === 'object' && a !== null && JSON.stringify(a) === JSON.stringify(b))
}

function freeze<T extends object>(value: T): T {
  for (const member of Object.values<unknown>(value as Record<string, unknown>)) {
    if (typeof member === 'object' && member !== null && !Object.isFrozen(member)) freeze(member)
  }
  return Object.freeze(value)
}

function invalid(details: readonly ErrorDetail[]): RtapiError {
  return new RtapiError('invalid', 'the data does not fit the fields', { details })
}
