/**
 * The value of a field in the form that compares fast: what a filter holds is brought into it once, what a row holds
 * once for each comparison. Agrees with `compareValues`.
 */
import { type FieldType, type Json, compareValues } from './value.ts'

/** Forms of one type are all numbers or all strings, and two of them are identical exactly if the values are equal. */
export type Form = string | number

/** The form of a value that is not null. */
export function formOf(type: FieldType, value: Json): Form {
  switch (type) {
    case 'integer':
    case 'number':
      return Number(value)
    case 'boolean':
      return value === true ? 1 : 0
    case 'bigint':
    case 'decimal':
      return shortestDecimal(textOf(value))
    case 'date':
      return Date.parse(textOf(value))
    default:
      return textOf(value)
  }
}

/** How the forms of a type are ordered: negative, zero or positive. */
export function formOrder(type: FieldType): (a: Form, b: Form) => number {
  switch (type) {
    case 'integer':
    case 'number':
    case 'boolean':
    case 'date':
      return (a, b) => Number(a) - Number(b)
    case 'bigint':
    case 'decimal':
      return (a, b) => compareShortestDecimals(String(a), String(b))
    default:
      return (a, b) => compareValues('string', a, b)
  }
}

/** The text with the letters A–Z in lower case and nothing else changed. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

const ZERO = 48
const MINUS = 45

/** Drops the zeros that say nothing: `-007.50` is `-7.5`, `-0.0` is `0`. No number is built, however long the digits. */
function shortestDecimal(text: string): string {
  const negative = text.charCodeAt(0) === MINUS
  const dot = text.indexOf('.')
  let start = negative ? 1 : 0
  let end = text.length
  const wholeEnd = dot === -1 ? end : dot
  while (start < wholeEnd - 1 && text.charCodeAt(start) === ZERO) start++
  if (dot !== -1) {
    while (end > dot + 1 && text.charCodeAt(end - 1) === ZERO) end--
    if (end === dot + 1) end = dot
  }
  const digits = (start === wholeEnd ? '0' : '') + text.slice(start, end)
  return negative && digits !== '0' ? `-${digits}` : digits
}

/** Of two numbers of one sign the one with more whole digits is larger; with as many, the digits compare as text. */
function compareShortestDecimals(a: string, b: string): number {
  const negative = a.charCodeAt(0) === MINUS
  if (negative !== (b.charCodeAt(0) === MINUS)) return negative ? -1 : 1
  const magnitude = wholeLength(a) - wholeLength(b) || (a < b ? -1 : a > b ? 1 : 0)
  return negative ? -magnitude : magnitude
}

function wholeLength(digits: string): number {
  const dot = digits.indexOf('.')
  return dot === -1 ? digits.length : dot
}
