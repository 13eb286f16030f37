/** The meaning of a filter, written a second time: slowly, from what people write, with no code of the first. */
import type { FieldType, Json, Row } from '../../src/value.ts'

type Types = Readonly<Record<string, FieldType>>

/** Whether the row matches. */
export function naiveMatches(where: Row, types: Types, row: Row): boolean {
  return Object.entries(where).every(([name, condition]) => {
    if (name === 'and') return (condition as Row[]).every((inner) => naiveMatches(inner, types, row))
    if (name === 'or') return (condition as Row[]).some((inner) => naiveMatches(inner, types, row))
    const type = types[name] ?? 'json'
    const value = row[name] ?? null
    if (condition === null || typeof condition !== 'object') return equal(type, value, condition ?? null)
    return Object.entries(condition).every(([operator, operand]) => holds(type, operator, value, operand))
  })
}

function holds(type: FieldType, operator: string, value: Json, operand: Json): boolean {
  switch (operator) {
    case 'isNull':
      return (value === null) === operand
    case 'eq':
      return equal(type, value, operand)
    case 'ne':
      return !equal(type, value, operand)
    case 'in':
      return (operand as Json[]).some((one) => equal(type, value, one))
    case 'nin':
      return !(operand as Json[]).some((one) => equal(type, value, one))
    case 'startsWith':
      return value !== null && startsWith(value as string, operand as string | Row)
    default:
      return value !== null && ordered(operator, order(rank(type, value), rank(type, operand)))
  }
}

function ordered(operator: string, sign: number): boolean {
  if (sign === 0) return operator === 'lte' || operator === 'gte'
  return sign < 0 ? operator === 'lt' || operator === 'lte' : operator === 'gt' || operator === 'gte'
}

function equal(type: FieldType, a: Json, b: Json): boolean {
  if (a === null || b === null) return a === b
  return order(rank(type, a), rank(type, b)) === 0
}

function startsWith(text: string, prefix: string | Row): boolean {
  if (typeof prefix === 'string') return text.indexOf(prefix) === 0
  const fold = (word: string): string =>
    Array.from(word, (letter) => (letter >= 'A' && letter <= 'Z' ? letter.toLowerCase() : letter)).join('')
  const { value, ignoreCase } = prefix as { value: string; ignoreCase: boolean }
  return ignoreCase ? fold(text).indexOf(fold(value)) === 0 : text.indexOf(value) === 0
}

/** A value as a list of numbers that orders like it. */
function rank(type: FieldType, value: Json): readonly (number | bigint)[] {
  switch (type) {
    case 'string':
      return Array.from(value as string, (character) => character.codePointAt(0) ?? 0)
    case 'bigint':
      return [BigInt(value as string | number)]
    case 'decimal': {
      // Fifty digits behind the point are more than any value here has.
      const text = typeof value === 'number' ? String(value) : (value as string)
      const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? []
      const scaled = BigInt(whole + fraction.padEnd(50, '0'))
      return [sign === '-' ? -scaled : scaled]
    }
    case 'date':
      return [new Date(value as string).getTime()]
    default:
      return [Number(value)]
  }
}

function order(a: readonly (number | bigint)[], b: readonly (number | bigint)[]): number {
  const at = a.findIndex((x, i) => i >= b.length || x !== b[i])
  if (at === -1) return a.length < b.length ? -1 : 0
  const [x = 0, y] = [a[at], b[at]]
  return y === undefined || x > y ? 1 : -1
}
