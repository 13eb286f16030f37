/**
 * The value of a field in the form that compares fast: what a filter holds is brought into it once, what a row holds
 * once for each question. Agrees with `compareValues`.
 */
import type { FieldType, Json } from './value.ts'

/**
 * Forms of one type are all numbers or all strings. Two are identical exactly if the values are equal, and `<` orders
 * them as the values are ordered.
 */
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
      return sortableDecimal(textOf(value))
    case 'date':
      return Date.parse(textOf(value))
    default:
      return sortableText(textOf(value))
  }
}

/** How forms of a type are ordered: negative, zero or positive. Two functions, so that each sees values of one kind. */
export function formOrder(type: FieldType): (a: Form, b: Form) => number {
  return typeof formOf(type, '0') === 'number' ? orderOfNumbers : orderOfTexts
}

function orderOfNumbers(a: Form, b: Form): number {
  return Number(a) - Number(b)
}

function orderOfTexts(a: Form, b: Form): number {
  return a === b ? 0 : a < b ? -1 : 1
}

/** The text with the letters A–Z in lower case and nothing else changed. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/**
 * Strings order by UTF-16 units where code points are wanted. Both agree but for surrogates, which stand for the
 * highest code points and yet have units below U+E000: they change places with the units above them.
 */
function sortableText(text: string): string {
  return /[\ud800-\uffff]/.test(text) ? text.replace(/[\ud800-\uffff]/g, swapSurrogates) : text
}

function swapSurrogates(character: string): string {
  const unit = character.charCodeAt(0)
  return String.fromCharCode(unit < 0xe000 ? unit + 0x2000 : unit - 0x800)
}

const ZERO = 48
const MINUS = 45

/**
 * First a character for the sign and the number of whole digits, then the digits, without the zeros that say nothing;
 * of negative numbers each digit is replaced by what it lacks to nine, and `~` follows, so that the longer is smaller.
 * No number is built, however long the digits.
 */
function sortableDecimal(text: string): string {
  const negative = text.charCodeAt(0) === MINUS
  const dot = text.indexOf('.')
  let start = negative ? 1 : 0
  let end = text.length
  const wholeEnd = dot === -1 ? end : dot
  while (start < wholeEnd && text.charCodeAt(start) === ZERO) start++
  if (dot !== -1) {
    while (end > dot + 1 && text.charCodeAt(end - 1) === ZERO) end--
    if (end === dot + 1) end = dot
  }
  const digits = text.slice(start, end)
  const length = wholeEnd - start
  if (!negative || digits === '') return String.fromCharCode(0x8000 + length) + digits
  return `${String.fromCharCode(0x7fff - length)}${digits.replace(/\d/g, (digit) => String(9 - Number(digit)))}~`
}
