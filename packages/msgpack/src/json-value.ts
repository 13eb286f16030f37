import { MAX_DEPTH } from './max-depth.ts'

/**
 * Whether a value may be written as it is and comes back as `JSON.stringify` would have brought it. Answers false when in
 * doubt, e.g. for instances of classes and for values that are nested too deep.
 */
export function isJson(value: unknown, depth = 1): boolean {
  switch (typeof value) {
    case 'string':
      return !LONE_SURROGATE.test(value)
    case 'number':
      return Number.isFinite(value)
    // Written as null in arrays and left out of objects, as JSON does.
    case 'undefined':
    case 'boolean':
      return true
    case 'object':
      return value === null || (depth <= MAX_DEPTH && isPlain(value, depth))
    default:
      return false
  }
}

function isPlain(value: object, depth: number): boolean {
  if (Array.isArray(value)) {
    for (const item of value) if (!isJson(item, depth + 1)) return false
    return true
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if ((prototype !== Object.prototype && prototype !== null) || 'toJSON' in value) return false
  const members = value as Readonly<Record<string, unknown>>
  for (const key of Object.keys(members)) {
    if (LONE_SURROGATE.test(key) || !isJson(members[key], depth + 1)) return false
  }
  return true
}

/**
 * What JSON makes of a value, with U+FFFD in place of lone surrogates.
 * @throws TypeError for what JSON has no form for: a bigint, a function, an object that holds itself.
 */
export function toJson(value: unknown): unknown {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw new TypeError(`a frame cannot hold a ${typeof value}`)
  return JSON.parse(text.replaceAll(ESCAPE, (escape) => (escape === '\\\\' ? escape : '\uFFFD')))
}

const LONE_SURROGATE = /\p{Surrogate}/u
/** JSON escapes surrogates only if they are lone. A pair of backslashes is taken whole, so that no escape begins in it. */
const ESCAPE = /\\(?:\\|ud[89a-f][\da-f]{2})/g
