import type { Column, Comparator, Sql } from './dialect.ts'

/** True of no row. */
export const never: Sql = { text: '1 = 0', params: [] }
/** True of every row. */
export const always: Sql = { text: '1 = 1', params: [] }

/** A piece of SQL with the parameters of its `?`, in order. */
export function sql(text: string, ...params: readonly unknown[]): Sql {
  return { text, params }
}

/** Several pieces, of which all must be true (`and`) or one (`or`). */
export function join(operator: 'and' | 'or', pieces: readonly Sql[]): Sql {
  const [first, ...others] = pieces
  if (first === undefined) return operator === 'and' ? always : never
  if (others.length === 0) return first
  return {
    text: `(${pieces.map(({ text }) => text).join(` ${operator} `)})`,
    params: pieces.flatMap(({ params }) => params),
  }
}

/** `left in (?, …)`, or `left = ?` for one value. */
export function inList(left: string, placeholder: string, values: readonly unknown[]): Sql {
  if (values.length === 1) return sql(`${left} = ${placeholder}`, values[0])
  return sql(`${left} in (${values.map(() => placeholder).join(', ')})`, ...values)
}

/** The prefix as a pattern of LIKE with the escape character `!`. */
export function likePattern(prefix: string): string {
  return `${prefix.replace(/[!%_]/g, '!$&')}%`
}

/** How many digits behind the second a column keeps, read from its type, such as `datetime(3)`. */
export function fractionDigits({ declared }: Column, unlimited: number): number {
  const match = /\((\d)\)/.exec(declared)
  return match === null ? unlimited : Number(match[1])
}

/** Compares with a date where the column keeps parts of milliseconds, which the wire form has not. */
export function compareInstants(column: string, placeholder: string, comparator: Comparator, value: Date): Sql {
  const next = new Date(value.getTime() + 1)
  switch (comparator) {
    case '=':
      return sql(`(${column} >= ${placeholder} and ${column} < ${placeholder})`, value, next)
    case '<>':
      return sql(`(${column} < ${placeholder} or ${column} >= ${placeholder})`, value, next)
    case '<=':
      return sql(`${column} < ${placeholder}`, next)
    case '>':
      return sql(`${column} >= ${placeholder}`, next)
    default:
      return sql(`${column} ${comparator} ${placeholder}`, value)
  }
}

/** Whether a date is between two whole seconds. */
export function hasFraction(value: unknown): boolean {
  return value instanceof Date && value.getTime() % 1_000 !== 0
}

/** How many digits a decimal has behind the point. */
export function scaleOf(decimal: string): number {
  const dot = decimal.indexOf('.')
  return dot === -1 ? 0 : decimal.length - dot - 1
}

/**
 * What the comparison with `value` becomes where only its neighbour `near` can be compared with; `side` says on which
 * side of the value the neighbour is, and no value of the column lies between the two.
 */
export function compareBeside(
  column: string,
  placeholder: string,
  comparator: Comparator,
  near: { readonly value: unknown; readonly side: 'below' | 'above' },
): Sql {
  switch (comparator) {
    case '=':
      return never
    case '<>':
      return always
    case '<':
    case '<=':
      return sql(`${column} ${near.side === 'below' ? '<=' : '<'} ${placeholder}`, near.value)
    default:
      return sql(`${column} ${near.side === 'below' ? '>' : '>='} ${placeholder}`, near.value)
  }
}
