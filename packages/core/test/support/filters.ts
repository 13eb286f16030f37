/** Generators of rows and filters, from pools so small that filters hit rows and bounds meet values. */
import * as fc from 'fast-check'
import type { FieldTypes, Filter } from '../../src/filter.ts'
import { negate } from '../../src/filter-algebra.ts'
import { parseWhere } from '../../src/parse-where.ts'
import type { FieldType, Json, Row } from '../../src/value.ts'

/** One field or two of each type. */
export const fieldTypes = {
  name: 'string',
  nick: 'string',
  rank: 'integer',
  score: 'number',
  done: 'boolean',
  big: 'bigint',
  price: 'decimal',
  at: 'date',
  blob: 'bytes',
  extra: 'json',
} as const satisfies FieldTypes

type FieldName = keyof typeof fieldTypes

/** Letter case, accents (composed and not), dotted and sharp letters, wildcards of LIKE, both sides of the surrogates. */
// oxfmt-ignore
const texts = [
  '', 'a', 'A', 'b', 'ab', 'Ab', 'aB', 'AB', 'abc', 'z', 'Z', '[', '`', '10', '9',
  'é', 'É', 'e\u0301', 'ß', 'SS', 'ss', 'İ', 'i', 'I', 'ı', '\u{212a}', 'k', 'K',
  '%', '_', 'a%', 'a_', '\\', "'", 'a b',
  '\u{d7ff}', '\u{e000}', '\u{ffff}', '😀', '😁', '\u{10ffff}', 'a😀', 'a\u{ffff}', 'a😀b', '\u{10ffff}\u{10ffff}',
]
const dates = [
  '1969-12-31T23:59:59.999Z',
  '1970-01-01T00:00:00.000Z',
  '2026-02-28T23:00:00.000Z',
  '9999-12-31T23:59:59.999Z',
]

/** What rows hold: wire form, which leaves a decimal its zeros. */
const rowValues: Record<FieldType, readonly Json[]> = {
  string: texts,
  integer: [-1, 0, 1, 2, 10, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  number: [-1.5, 0, 0.1, 0.1 + 0.2, 0.3, 1, 1.5, 1e-7],
  boolean: [true, false],
  bigint: ['-9223372036854775808', '-10', '-9', '0', '9', '10', '9007199254740993', '9223372036854775807'],
  decimal: [
    '-10.5',
    '-9.50',
    '-9.5',
    '-9.25',
    '-0.5',
    '0',
    '0.00',
    '0.5',
    '1.5',
    '1.50',
    '1.500',
    '1.05',
    '9',
    '10',
    '10.0',
  ],
  date: dates,
  bytes: ['AAEC', ''],
  json: [{ a: null }, [1], 'text', 0, false],
}

/** What people write in filters beside that: other spellings of the same values. */
const otherSpellings: Record<FieldType, readonly Json[]> = {
  string: [],
  integer: [-0],
  number: [-0],
  boolean: [],
  bigint: [0, 9, -10, '007', '-0'],
  decimal: [1.5, -0.5, 10, '01.5', '-0.00', '0009.00'],
  date: ['1970-01-01', '1970-01-01T01:00:00+01:00', '2026-03-01T00:00:00.000+01:00', '2026-02-28T23:00Z'],
  bytes: [],
  json: [],
}

const names = Object.keys(fieldTypes) as FieldName[]

/** A row with every field; each may be null. */
export const rows: fc.Arbitrary<Row> = fc.record(
  Object.fromEntries(
    names.map((name) => [name, fc.option(fc.constantFrom(...rowValues[fieldTypes[name]]), { freq: 5 })]),
  ),
)

/** A value that a filter may compare a field of this type with. */
export function valuesOf(type: FieldType): fc.Arbitrary<Json> {
  return fc.constantFrom(...rowValues[type], ...otherSpellings[type])
}

const prefixes = fc.oneof(
  fc.constantFrom(...texts),
  fc.record({ value: fc.constantFrom(...texts), ignoreCase: fc.boolean() }),
)

function operatorsOf(type: FieldType): fc.Arbitrary<Json> {
  const nullTests = { isNull: fc.boolean(), eq: fc.constant(null), ne: fc.constant(null) }
  if (type === 'bytes' || type === 'json') return someOf(nullTests)
  const value = valuesOf(type)
  const list = fc.array(value, { maxLength: 3 })
  const operators = {
    isNull: fc.boolean(),
    eq: fc.option(value, { freq: 5 }),
    ne: fc.option(value, { freq: 5 }),
    in: list,
    nin: list,
    lt: value,
    lte: value,
    gt: value,
    gte: value,
  }
  return type === 'string' ? someOf({ ...operators, startsWith: prefixes }) : someOf(operators)
}

/** One of the operators, sometimes two. */
function someOf(operators: Record<string, fc.Arbitrary<Json>>): fc.Arbitrary<Json> {
  const one = fc.oneof(...Object.entries(operators).map(([name, value]) => fc.record({ [name]: value })))
  return fc.oneof({ weight: 4, arbitrary: one }, { weight: 1, arbitrary: merged(one, one) })
}

function merged(a: fc.Arbitrary<object>, b: fc.Arbitrary<object>): fc.Arbitrary<Json> {
  return fc.tuple(a, b).map(([left, right]) => ({ ...left, ...right }))
}

const oneField: fc.Arbitrary<Row> = fc.constantFrom(...names).chain((name) => {
  const type: FieldType = fieldTypes[name]
  const comparable = type !== 'bytes' && type !== 'json'
  const bare = comparable ? fc.option(valuesOf(type), { freq: 5 }) : fc.constant(null)
  return fc.oneof(bare, operatorsOf(type)).map((condition) => ({ [name]: condition }))
})

/** Filters as people write them, at most four levels of `and` and `or` deep. */
export const wheres: fc.Arbitrary<Row> = fc.letrec<{ where: Row }>((tie) => {
  const list = fc.array(tie('where'), { maxLength: 3 })
  const nested = fc.oneof(fc.record({ and: list }), fc.record({ or: list }))
  return {
    where: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'where' },
      oneField,
      merged(oneField, oneField) as fc.Arbitrary<Row>,
      nested,
      merged(oneField, nested) as fc.Arbitrary<Row>,
    ),
  }
}).where

/** Filters in normal form; a third of them negated, which brings in what people cannot write. */
export const filters: fc.Arbitrary<Filter> = fc
  .tuple(wheres, fc.constantFrom(false, false, true))
  .map(([where, negated]) => {
    const filter = parseWhere(where, { types: fieldTypes, trusted: true })
    return negated ? negate(filter) : filter
  })
