import { type FieldType, type Json, parseValue } from '@rtapi/core'
import { decimalText } from './decimal-text.ts'
import { isDay } from './read-date.ts'

/** A value that cannot be shown: a date that is none, an object where a scalar belongs. */
export class NoWireValue extends TypeError {}

/**
 * The wire form of a value as the application, or the driver, sees it.
 * @throws NoWireValue if it has none.
 */
export function toWire(type: FieldType, value: unknown): Json {
  if (value === null || value === undefined) return null
  switch (type) {
    case 'string':
      return textOf(value)
    case 'boolean':
      return value === true || value === 1 || value === '1'
    case 'integer':
    case 'number':
      return numberOf(value)
    case 'bigint':
      return canonical(type, textOf(value))
    case 'decimal':
      return canonical(type, typeof value === 'number' ? decimalText(value) : textOf(value))
    case 'date':
      return dateText(value)
    case 'bytes':
      return bytesText(value)
    default:
      return plainJson(value)
  }
}

/** A value from outside as a library takes it, or why it is none. */
export type ReadValue<T = unknown> = { readonly value: T } | { readonly problem: string }

/** Reads an instant that came from outside: ISO 8601, or the `Date` that a validator has made of it. */
export function dateFromWire(value: unknown): ReadValue<Date> {
  const parsed = parseValue('date', value instanceof Date && !Number.isNaN(+value) ? value.toISOString() : value)
  return 'problem' in parsed ? parsed : { value: new Date(String(parsed.value)) }
}

/** Reads a text that must be a UUID. */
export function uuidFromWire(text: string): ReadValue<string> {
  return UUID.test(text) ? { value: text.toLowerCase() } : { problem: 'expected a UUID' }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Reads a text that must be a day. */
export function dayFromWire(text: string): ReadValue<string> {
  return isDay(text) ? { value: text } : { problem: 'expected a date such as 2026-01-31' }
}

/** Reads bytes that came from outside: base64, or bytes that a validator has made of it. */
export function bytesFromWire(value: unknown): ReadValue<Buffer> {
  if (value instanceof Uint8Array) return { value: Buffer.from(value) }
  const problem = 'expected bytes in base64'
  if (typeof value !== 'string' || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)) {
    return { problem }
  }
  return { value: Buffer.from(value, 'base64') }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return `${value}`
  throw new NoWireValue('not text')
}

function numberOf(value: unknown): number {
  if (typeof value === 'object') throw new NoWireValue('not a number')
  return Number(value)
}

function canonical(type: FieldType, text: string): Json {
  const parsed = parseValue(type, text)
  return 'value' in parsed ? parsed.value : text
}

function dateText(value: unknown): string {
  const date = value instanceof Date ? value : new Date(typeof value === 'number' ? value : textOf(value))
  if (Number.isNaN(date.getTime())) throw new NoWireValue('not a date')
  return date.toISOString()
}

function bytesText(value: unknown): string {
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  }
  throw new NoWireValue('not bytes')
}

function plainJson(value: unknown): Json {
  if (typeof value !== 'object') return typeof value === 'bigint' ? value.toString() : (value as Json)
  return JSON.parse(
    JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? member.toString() : member)),
  ) as Json
}
