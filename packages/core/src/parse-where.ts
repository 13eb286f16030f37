import type { FieldTypes, Filter, Operator } from './filter.ts'
import { allOf, anyOf, negate } from './filter-algebra.ts'
import { type Limits, RtapiError, defaultLimits, printable } from './protocol.ts'
import type { Lookup } from './resource.ts'
import { type FieldType, type Scalar, isComparable, parseValue } from './value.ts'

/** What a filter from outside is read against. */
export interface ParseWhereOptions {
  /** The fields that may be named. Any other, whether it exists or not, is refused with one and the same text. */
  readonly types: FieldTypes
  /** Those on fields outside `types` are unknown too. */
  readonly lookups?: Readonly<Record<string, Lookup>>
  /** @default defaultLimits */
  readonly limits?: Limits
  /** The filter was written by the developer: no limits, and `Date` and `bigint` objects may stand for their text. */
  readonly trusted?: boolean
}

/**
 * Reads a filter as people write it (`Where`) and answers it in normal form.
 * @throws RtapiError `bad_request`, saying where it is wrong and what would be right.
 */
export function parseWhere(where: unknown, options: ParseWhereOptions): Filter {
  return readWhere(where, 'where', 0, { ...options, clauses: 0 })
}

/**
 * Checks the lookups of a resource once, when it is set up.
 * @throws TypeError for a lookup that has the name of another field, or an operator that its field does not take.
 */
export function checkLookups(lookups: Readonly<Record<string, Lookup>>, types: FieldTypes): void {
  for (const [name, lookup] of Object.entries(lookups)) {
    if ((Object.hasOwn(types, name) && name !== lookup.field) || name === 'and' || name === 'or') {
      throw new TypeError(`lookup '${name}': a lookup needs a name that is neither another field nor 'and' nor 'or'`)
    }
    const type = ownValue(types, lookup.field)
    if (type === undefined) {
      throw new TypeError(`lookup '${name}': there is no field '${lookup.field}'; there are ${listOf(types)}`)
    }
    const taken = operatorsOf(type)
    if (!taken.includes(lookup.operator)) {
      throw new TypeError(`lookup '${name}': '${lookup.field}', of type ${type}, takes ${taken.join(', ')}`)
    }
    if (lookup.ignoreCase === true && lookup.operator !== 'startsWith') {
      throw new TypeError(`lookup '${name}': 'ignoreCase' goes with the operator startsWith alone`)
    }
  }
}

interface Reading extends ParseWhereOptions {
  /** Comparisons so far. */
  clauses: number
}

interface Target {
  readonly field: string
  readonly type: FieldType
  readonly path: string
}

function readWhere(where: unknown, path: string, depth: number, reading: Reading): Filter {
  if (!isPlain(where)) throw bad(path, `expected an object of fields, 'and' and 'or'`)
  const names = Object.keys(where)
  if (names.length === 0 && depth > 0) countClause(path, reading)
  return allOf(
    ...names.map((name) => {
      // Only a scope may say it, as `not(permission)` does; clients have the opposite of each operator.
      if (name === 'not' && reading.trusted === true && !Object.hasOwn(reading.types, name)) {
        return negate(readWhere(where[name], `${path}.not`, depth + 1, reading))
      }
      if (name === 'and' || name === 'or') return readJunction(name, where[name], `${path}.${name}`, depth + 1, reading)
      return readMember(name, where[name], path, reading)
    }),
  )
}

function readJunction(name: 'and' | 'or', list: unknown, path: string, depth: number, reading: Reading): Filter {
  const { filterDepth } = limitsOf(reading)
  if (depth > filterDepth) throw bad(path, `'and' and 'or' may be nested ${filterDepth} levels deep`)
  if (!Array.isArray(list)) throw bad(path, 'expected an array of filters')
  if (list.length === 0) countClause(path, reading)
  const filters = Array.from(list, (where: unknown, i) => readWhere(where, `${path}[${i}]`, depth, reading))
  return name === 'and' ? allOf(...filters) : anyOf(...filters)
}

function readMember(name: string, value: unknown, path: string, reading: Reading): Filter {
  const { types, lookups = {} } = reading
  const type = ownValue(types, name)
  const lookup = ownValue(lookups, name)
  // Of a lookup with the name of its field, a value is the lookup's; null and operators are the field's.
  const isOperand = value === null || (typeof value === 'object' && !Array.isArray(value))
  if (type !== undefined && (lookup === undefined || isOperand)) {
    return readField({ field: name, type, path: `${path}.${name}` }, value, reading)
  }
  const lookupType = lookup === undefined ? undefined : ownValue(types, lookup.field)
  if (lookup === undefined || lookupType === undefined) {
    throw new RtapiError('bad_request', `unknown field '${printable(name)}' in ${path}; there are ${known(reading)}`)
  }
  const inside = `${path}.${name}`
  const target = { field: lookup.field, type: lookupType, path: inside }
  if (lookup.operator !== 'startsWith') return readOperator(target, lookup.operator, value, reading)
  if (typeof value !== 'string') throw bad(inside, 'expected a string')
  return readOperator(target, 'startsWith', { value, ignoreCase: lookup.ignoreCase ?? false }, reading)
}

function readField(target: Target, value: unknown, reading: Reading): Filter {
  const isObject = typeof value === 'object' && value !== null && !(reading.trusted === true && value instanceof Date)
  if (!isObject) return readOperator(target, 'eq', value, reading)
  const { type, path } = target
  if (!isPlain(value)) throw bad(path, `expected ${expectedValue(type)} or an object of operators`)
  const names = Object.keys(value)
  const taken = operatorsOf(type)
  if (names.length === 0) throw bad(path, `expected at least one operator: ${taken.join(', ')}`)
  return allOf(
    ...names.map((name) => {
      const operator = taken.find((operator) => operator === name)
      if (operator === undefined) {
        throw bad(path, `unknown operator '${printable(name)}'; a field of type ${type} takes ${taken.join(', ')}`)
      }
      return readOperator({ ...target, path: `${path}.${operator}` }, operator, value[name], reading)
    }),
  )
}

function readOperator(target: Target, operator: Operator, value: unknown, reading: Reading): Filter {
  const { field, path } = target
  countClause(path, reading)
  switch (operator) {
    case 'isNull':
      if (typeof value !== 'boolean') throw bad(path, 'expected true or false')
      return { type: 'compare', field, operator, value }
    case 'eq':
    case 'ne':
      if (value === null) return { type: 'compare', field, operator: 'isNull', value: operator === 'eq' }
      return { type: 'compare', field, operator, value: readValue(target, value, reading) }
    case 'in':
    case 'nin':
      return allOf({ type: 'compare', field, operator, value: readList(target, value, reading) })
    case 'startsWith':
      return allOf({ type: 'compare', field, operator, ...readPrefix(target, value, reading) })
    default:
      return { type: 'compare', field, operator, value: readValue(target, value, reading) }
  }
}

function readList(target: Target, list: unknown, reading: Reading): readonly Exclude<Scalar, null>[] {
  const { path } = target
  const { filterList } = limitsOf(reading)
  if (!Array.isArray(list)) throw bad(path, 'expected an array of values')
  if (list.length > filterList) throw bad(path, `expected at most ${filterList} values`)
  return Array.from(list, (value: unknown, i) => readValue({ ...target, path: `${path}[${i}]` }, value, reading))
}

function readPrefix(target: Target, value: unknown, reading: Reading): { value: string; ignoreCase: boolean } {
  const { path } = target
  const { filterText } = limitsOf(reading)
  const { prefix, ignoreCase } = isPrefix(value)
    ? { prefix: value.value, ignoreCase: value.ignoreCase }
    : { prefix: value, ignoreCase: false }
  if (typeof prefix !== 'string') throw bad(path, 'expected a string, or { value, ignoreCase }')
  if (prefix.length > filterText) throw bad(path, `expected at most ${filterText} characters`)
  return { value: String(readValue(target, prefix, reading)), ignoreCase }
}

function isPrefix(value: unknown): value is { value: unknown; ignoreCase: boolean } {
  return isPlain(value) && Object.keys(value).toSorted().join() === 'ignoreCase,value' && isBoolean(value['ignoreCase'])
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}

function readValue({ type, path }: Target, value: unknown, reading: Reading): Exclude<Scalar, null> {
  if (!isComparable(type)) throw bad(path, `a field of type ${type} can only be tested for null`)
  const parsed = parseValue(type, reading.trusted === true ? asText(type, value) : value)
  if ('problem' in parsed) throw bad(path, parsed.problem)
  if (parsed.value === null) throw bad(path, 'expected a value other than null; isNull asks for null')
  return parsed.value
}

/** The text of what only a program can write. */
function asText(type: FieldType, value: unknown): unknown {
  if (type === 'bigint' && typeof value === 'bigint') return value.toString()
  if (type === 'date' && value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
  return value
}

function countClause(path: string, reading: Reading): void {
  const { filterClauses } = limitsOf(reading)
  if (++reading.clauses > filterClauses) throw bad(path, `a filter holds at most ${filterClauses} comparisons`)
}

const unlimited = {
  filterDepth: Number.POSITIVE_INFINITY,
  filterClauses: Number.POSITIVE_INFINITY,
  filterList: Number.POSITIVE_INFINITY,
  filterText: Number.POSITIVE_INFINITY,
}

function limitsOf({ trusted, limits }: Reading): typeof unlimited {
  return trusted === true ? unlimited : (limits ?? defaultLimits)
}

const nullTests: readonly Operator[] = ['eq', 'ne', 'isNull']
const comparisons: readonly Operator[] = ['eq', 'ne', 'in', 'nin', 'lt', 'lte', 'gt', 'gte', 'isNull']
const textComparisons: readonly Operator[] = [...comparisons, 'startsWith']

/** The operators that a field of this type takes; those without an order only ask whether it is null. */
export function operatorsOf(type: FieldType): readonly Operator[] {
  if (!isComparable(type)) return nullTests
  return type === 'string' ? textComparisons : comparisons
}

function expectedValue(type: FieldType): string {
  return isComparable(type) ? `a value of type ${type}, null` : 'null'
}

/** Names what the session may filter by, so that a typo is found; a long list is cut. */
function known({ types, lookups = {} }: ParseWhereOptions): string {
  const usable = Object.entries(lookups).filter(([, { field }]) => Object.hasOwn(types, field))
  return listOf({ ...types, ...Object.fromEntries(usable) })
}

function listOf(members: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(members)
  if (names.length === 0) return 'none'
  return names.length > 20 ? `${names.slice(0, 20).join(', ')} …` : names.join(', ')
}

function ownValue<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

/** A plain object with nothing hidden in it: no class instance, no symbols, no properties that `keys` would miss. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return (
    (prototype === Object.prototype || prototype === null) &&
    Reflect.ownKeys(value).length === Object.keys(value).length
  )
}

function bad(path: string, problem: string): RtapiError {
  return new RtapiError('bad_request', `${path}: ${problem}`)
}
