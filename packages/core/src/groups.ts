/**
 * Group naming: which groups of the channel layer hear of a change, and which groups together cover a filter.
 * It is an index for routing and never the permission.
 */
import { sha256Hex } from './sha256.ts'
import { type Json, type Scalar, parseValue } from './value.ts'

/** The values that a filter requires a field to have: one for `eq`, several for `in`. */
export type PinnedTerms = ReadonlyMap<string, readonly Scalar[]>

/** One group of an entity, as the parts of its name. */
export type GroupParts = readonly (string | number)[]

/** A resource's rule for naming groups beside that of the whole entity, which hears of every change. */
export interface GroupNaming {
  /** The fields that `ofRow` reads. If one is unknown for a change, every subscriber of the entity hears of it. */
  readonly fields: readonly string[]
  /** The groups that must hear of a change to this row. Pure. */
  ofRow(row: Readonly<Record<string, Json>>): readonly GroupParts[]
  /** The groups that cover all rows matching a filter with these terms; `undefined`: only the whole entity does. Pure. */
  ofFilter(terms: PinnedTerms): readonly GroupParts[] | undefined
}

/** One group for the whole resource: every process with a subscription hears of every change. The default. */
export function wholeResource(): GroupNaming {
  return { fields: [], ofRow: () => [], ofFilter: () => undefined }
}

/** Above so many values a subscription joins the group of the whole entity instead of one for each value. */
const MAX_GROUPS = 16

/**
 * A group for each value of these fields: a subscription that pins all of them by `eq` or `in` joins only the groups of
 * those values.
 */
export function groupBy(...fields: readonly [string, ...string[]]): GroupNaming {
  return {
    fields,
    ofRow: (row) => [fields.flatMap((field) => [field, groupPart(row[field] ?? null)])],
    ofFilter(terms) {
      let groups: (string | number)[][] = [[]]
      for (const field of fields) {
        const values = terms.get(field)
        if (values === undefined || values.length * groups.length > MAX_GROUPS) return undefined
        groups = groups.flatMap((parts) => values.map((value) => [...parts, field, groupPart(value)]))
      }
      return groups
    },
  }
}

/** A group for each record: for resources that clients subscribe to by key. */
export function perRecord(...keyFields: readonly [string, ...string[]] | []): GroupNaming {
  const [first = 'id', ...rest] = keyFields
  return groupBy(first, ...rest)
}

/**
 * Filters hold decimals in their shortest form, rows hold them as the database writes them: 1.5 and 1.50 must meet.
 * That texts such as 007 and 7 then share a group does no harm.
 */
function groupPart(value: Json): string | number {
  if (typeof value === 'number') return value
  if (typeof value !== 'string') return JSON.stringify(value)
  const decimal = parseValue('decimal', value)
  return 'value' in decimal ? String(decimal.value) : value
}

/** The group that hears of every change to an entity. */
export function entityGroup(entity: string): string {
  return groupName(entity)
}

/** The group of changes whose narrower groups cannot be told; everybody who is not in the entity's group listens. */
export function strayGroup(entity: string): string {
  return groupName(entity, '*', '*')
}

const PLAIN = /^[A-Za-z0-9_-]+$/

/**
 * The name of a group on the layer: `rt:` and its parts, at most 64 bytes of ASCII. Distinct parts never share a name:
 * parts with other characters, and long ones, are named by the SHA-256 of their JSON.
 */
export function groupName(...parts: GroupParts): string {
  let name = ''
  for (const part of parts) {
    if (typeof part === 'number') name += `:#${part}`
    else if (PLAIN.test(part)) name += `:${part}`
    else return hashedName(parts)
  }
  if (name.length > 61) return hashedName(parts)
  return name === '' ? 'rt:' : `rt${name}`
}

function hashedName(parts: GroupParts): string {
  return `rt:~${sha256Hex(JSON.stringify(parts)).slice(0, 40)}`
}
