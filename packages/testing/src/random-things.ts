import type { Comparison, Filter, OrderTerm, Scalar } from '@rtapi/core'
import type { SeededRandom } from './seeded-random.ts'
import { type Thing, thing, thingFields } from './things.ts'

/**
 * Values on which databases and memory like to disagree: letter case, accents, blanks at the end, the wildcards of LIKE,
 * characters above U+FFFF and just below, digits beyond what a double holds, milliseconds.
 */
const texts = [
  ['', ' ', 'a', 'A', 'a ', ' a', 'ab', 'aB', 'b', 'Z', 'zebra', 'null', '0', '10', '9'],
  ['á', 'a\u0301', 'ä', 'Ä', 'ß', 'ss', 'SS', 'i', 'I', 'İ', 'ı', 'k', '\u212a', 'ſ', 'é', 'E\u0301'],
  ['%', '_', 'a%b', 'a_b', 'axb', '\\', 'a\\b', '\\%', "it's", '"', '`', '[a]', 'a*', '?', ';--', '\t', '\n'],
  ['😀', '😀a', '\ue000', '\ufffd', '日本', '日', '\u00a0', '\u200b'],
].flat()
const weights = [
  0, 1, -1, 0.5, -0.5, 0.1, 0.30000000000000004, 2, 10, 9, 1e15, -123456789.125, 1e-7, 1e-300, 4503599627370495.5,
]
const quantities = [0, 1, -1, 2, 9, 10, 100, 2_147_483_647, -2_147_483_648]
const totals = ['0', '1', '-1', '9', '10', '9007199254740993', '9007199254740992', '9223372036854775807']
const lowTotals = ['-9223372036854775808', '-10', '-9']
const prices = ['0', '1', '-1', '9', '10', '0.5', '-0.5', '0.1', '0.000001', '-0.000001', '1234567.891']
const longPrices = ['12345678901234.567891', '12345678901234.56789', '-99999999999999.999999', '99999999999999']
const dates = [
  ['2026-01-31T12:00:00.000Z', '2026-01-31T12:00:00.001Z', '2026-01-31T11:59:59.999Z', '2026-03-29T01:30:00.000Z'],
  ['2026-10-25T00:30:00.000Z', '2026-10-25T01:30:00.000Z', '1970-01-01T00:00:00.000Z', '1969-12-31T23:59:59.999Z'],
  ['2000-02-29T00:00:00.000Z', '1950-06-15T06:30:00.250Z', '2037-12-31T23:59:59.999Z'],
].flat()

/** The values that a field of a thing is tried with. Decimals have at most so many digits. */
function poolOf(field: keyof Thing, decimalDigits: number): readonly Exclude<Scalar, null>[] {
  switch (thingFields[field].type) {
    case 'number':
      return weights
    case 'integer':
      return field === 'id' ? [1, 5, 17, 40, 999] : quantities
    case 'boolean':
      return [true, false]
    case 'bigint':
      return [...totals, ...lowTotals]
    case 'decimal':
      return [...prices, ...longPrices].filter((price) => price.replace(/\D/g, '').length <= decimalDigits)
    case 'date':
      return dates
    default:
      return field === 'code' ? ['code 1', 'code 2', 'Code 1', ...texts] : texts
  }
}

/** A thing with random values; null where it may be, now and then. */
export function randomThing(random: SeededRandom, id: number, decimalDigits: number): Thing {
  const row: Record<string, Scalar> = {}
  for (const field of fieldNames) {
    const { nullable } = thingFields[field]
    row[field] = nullable && random.chance(0.25) ? null : random.pick(poolOf(field, decimalDigits))
  }
  // The key and `code` are unique.
  return { ...thing({ id }), ...row, id, code: random.chance(0.5) ? null : `code ${id}` }
}

const fieldNames = Object.keys(thingFields) as (keyof Thing)[]

/** A random filter of at most so many levels. */
export function randomFilter(random: SeededRandom, depth: number, decimalDigits: number): Filter {
  const kind = random.integer(10)
  if (depth > 1 && kind < 6) {
    const filters = Array.from({ length: random.integer(4) }, () => randomFilter(random, depth - 1, decimalDigits))
    return { type: kind < 3 ? 'and' : 'or', filters }
  }
  if (kind === 9 && random.chance(0.2)) return { type: 'const', value: random.chance(0.5) }
  return randomComparison(random, decimalDigits)
}

function randomComparison(random: SeededRandom, decimalDigits: number): Comparison {
  const field = random.pick(fieldNames)
  const pool = poolOf(field, decimalDigits)
  const texts = thingFields[field].type === 'string' ? (['startsWith', 'startsWith', 'notStartsWith'] as const) : []
  const operator = random.pick([...(['eq', 'ne', 'in', 'nin', 'lt', 'lte', 'gt', 'gte', 'isNull'] as const), ...texts])
  switch (operator) {
    case 'in':
    case 'nin': {
      const values = Array.from({ length: random.integer(4) }, () => random.pick(pool))
      return { type: 'compare', field, operator, value: values }
    }
    case 'isNull':
      return { type: 'compare', field, operator, value: random.chance(0.5) }
    case 'startsWith':
    case 'notStartsWith': {
      const text = Array.from(String(random.pick(pool)))
        .slice(0, 1 + random.integer(3))
        .join('')
      return { type: 'compare', field, operator, value: text, ignoreCase: random.chance(0.5) }
    }
    default:
      return { type: 'compare', field, operator, value: random.pick(pool) }
  }
}

/** A random total order: up to two fields, and then the key. */
export function randomOrder(random: SeededRandom): readonly OrderTerm[] {
  const fields = new Set<keyof Thing>()
  for (let i = random.integer(3); i > 0; i--) fields.add(random.pick(fieldNames))
  fields.add('id')
  return [...fields].map((field) => [field, random.chance(0.5) ? 'asc' : 'desc', thingFields[field].type])
}
