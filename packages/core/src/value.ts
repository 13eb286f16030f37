/**
 * The values that travel: every field of a row is JSON, and its type says how it is written and compared.
 * Stores hand rows over in this form, filters carry values in this form, clients receive this form.
 */

/** A value a filter may hold. */
export type Scalar = string | number | boolean | null

/** Any JSON value. */
export type Json = Scalar | readonly Json[] | { readonly [name: string]: Json }

/**
 * What a field holds and how it travels:
 * `bigint` and `decimal` as decimal strings, `date` as ISO 8601 in UTC with milliseconds, `bytes` as base64,
 * `json` as it is. `json` and `bytes` can be shown and tested for null, but not compared or sorted.
 */
export type FieldType = 'string' | 'integer' | 'number' | 'boolean' | 'bigint' | 'decimal' | 'date' | 'bytes' | 'json'

/** A row as it travels: field name to JSON value. */
export type Row = Readonly<Record<string, Json>>

/** The primary key of a record: a string, a number, or an array of them for a composite key. */
export type Key = string | number | readonly (string | number)[]

/** The key as something a `Map` can hold. Keys of one resource all have one shape, so forms cannot collide. */
export type KeyId = string | number

export function keyId(key: Key): KeyId {
  return typeof key === 'object' ? JSON.stringify(key) : key
}

/** The key of a row, read from the resource's key fields. */
export function keyOf(row: Row, keyFields: readonly string[]): Key {
  if (keyFields.length === 1) return keyPart(row, keyFields[0] ?? '')
  return keyFields.map((field) => keyPart(row, field))
}

function keyPart(row: Row, field: string): string | number {
  const value = row[field]
  if (typeof value === 'string' || typeof value === 'number') return value
  throw new TypeError(`key field '${field}' holds ${value === null ? 'null' : typeof value}, not a string or number`)
}

/** Whether values of this type have an order, so that they can be compared with `lt` … and sorted. */
export function isComparable(type: FieldType): boolean {
  return type !== 'json' && type !== 'bytes'
}

/**
 * Orders two values of a field: negative, zero or positive. Null sorts below everything. Strings compare by Unicode
 * code point, as databases do under a binary collation; bigint and decimal by numeric value; dates as instants.
 */
export function compareValues(type: FieldType, a: Json | undefined, b: Json | undefined): number {
  if (a === b) return 0
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : -1
  if (b === null || b === undefined) return 1
  switch (type) {
    case 'integer':
    case 'number':
      return Number(a) - Number(b)
    case 'boolean':
      return Number(a === true) - Number(b === true)
    case 'bigint':
    case 'decimal':
      return compareDecimals(text(a), text(b))
    case 'date':
      return Date.parse(text(a)) - Date.parse(text(b))
    default:
      return compareCodePoints(text(a), text(b))
  }
}

function text(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Code point order differs from UTF-16 order only where a surrogate meets a unit above the surrogate range. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return codePointRank(x) - codePointRank(y)
  }
  return a.length - b.length
}

function codePointRank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit
}

function compareDecimals(a: string, b: string): number {
  const negativeA = a.startsWith('-')
  const negativeB = b.startsWith('-')
  const [wholeA = '', fractionA = ''] = (negativeA ? a.slice(1) : a).split('.')
  const [wholeB = '', fractionB = ''] = (negativeB ? b.slice(1) : b).split('.')
  const digits = Math.max(fractionA.length, fractionB.length)
  const scaledA = BigInt(wholeA + fractionA.padEnd(digits, '0')) * (negativeA ? -1n : 1n)
  const scaledB = BigInt(wholeB + fractionB.padEnd(digits, '0')) * (negativeB ? -1n : 1n)
  return scaledA < scaledB ? -1 : scaledA > scaledB ? 1 : 0
}

/** One field of a total order, with the type that says how to compare it. */
export type OrderTerm = readonly [field: string, direction: 'asc' | 'desc', type: FieldType]

/** Orders two rows by a total order. Both sides of the wire use it, so that a live view sorts as the query did. */
export function compareRows(order: readonly OrderTerm[], a: Row, b: Row): number {
  for (const [field, direction, type] of order) {
    const result = compareValues(type, a[field], b[field])
    if (result !== 0) return direction === 'asc' ? result : -result
  }
  return 0
}

const INT64_MAX = 9223372036854775807n
const ISO_DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/
const DECIMAL = /^-?\d{1,40}(\.\d{1,40})?$/
const INTEGER = /^-?\d{1,40}$/

/**
 * Reads one value that came from outside as a value of a field, in its canonical form, or answers why it is none.
 * Digits are counted before a number is built from them; numbers that a double cannot hold exactly are refused.
 */
export function parseValue(type: FieldType, value: unknown): { value: Scalar } | { problem: string } {
  if (value === null) return { value }
  switch (type) {
    case 'string':
      if (typeof value !== 'string') return { problem: 'expected a string' }
      if (!isWellFormed(value)) return { problem: 'expected text without NUL and lone surrogates' }
      return { value }
    case 'boolean':
      return typeof value === 'boolean' ? { value } : { problem: 'expected true or false' }
    case 'integer':
      return Number.isSafeInteger(value)
        ? { value: Number(value) + 0 }
        : { problem: 'expected a whole number below 2^53' }
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) return { problem: 'expected a finite number' }
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) return { problem: 'expected a number below 2^53' }
      return { value: value + 0 }
    case 'bigint':
      return parseBigint(value)
    case 'decimal':
      return parseDecimal(value)
    case 'date':
      return parseDate(value)
    default:
      return { problem: `a field of type ${type} holds no single comparable value` }
  }
}

/** Well-formed Unicode without NUL: what every database can store. */
export function isWellFormed(text: string): boolean {
  return !/\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)
}

function parseBigint(value: unknown): { value: Scalar } | { problem: string } {
  const problem = 'expected a 64-bit whole number, as a string of digits'
  if (typeof value === 'number' ? !Number.isSafeInteger(value) : typeof value !== 'string' || !INTEGER.test(value))
    return { problem }
  const number = BigInt(value as string | number)
  if (number > INT64_MAX || number < -INT64_MAX - 1n) return { problem }
  return { value: number.toString() }
}

function parseDecimal(value: unknown): { value: Scalar } | { problem: string } {
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || !DECIMAL.test(text) || text.length > 42) {
    return { problem: 'expected a decimal number of at most 40 digits, as a string' }
  }
  const negative = text.startsWith('-')
  const [whole = '', fraction = ''] = (negative ? text.slice(1) : text).split('.')
  const head = whole.replace(/^0+(?=\d)/, '')
  const tail = fraction.replace(/0+$/, '')
  const digits = tail === '' ? head : `${head}.${tail}`
  return { value: negative && digits !== '0' ? `-${digits}` : digits }
}

function parseDate(value: unknown): { value: Scalar } | { problem: string } {
  const problem = 'expected a date as ISO 8601 with a time zone, such as 2026-01-31T12:00:00.000Z'
  if (typeof value !== 'string' || value.length > 40) return { problem }
  const instant = Date.parse(value)
  if (!ISO_DATE.test(value) || Number.isNaN(instant)) return { problem }
  // `Date.parse` takes February 30 for March 2.
  const day = value.slice(0, 10)
  if (new Date(Date.parse(day)).toISOString().slice(0, 10) !== day) return { problem }
  const text = new Date(instant).toISOString()
  // A time zone may lead out of the years 1 to 9999, which is as far as every database goes.
  return text.length === 24 && !text.startsWith('0000') ? { value: text } : { problem }
}
