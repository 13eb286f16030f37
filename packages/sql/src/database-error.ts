import { type ErrorDetail, RtapiError } from '@rtapi/core'

/**
 * What the database, or the way to it, says against a statement: a value that must be unique is taken; a reference is
 * broken; the transaction lost a race and may succeed if it is run again; a value does not fit; it cannot do this now.
 */
export type DatabaseErrorKind = 'unique' | 'reference' | 'race' | 'unfit' | 'unavailable'

/** SQLSTATEs of PostgreSQL. */
const states: readonly (readonly [RegExp, DatabaseErrorKind])[] = [
  [/^(23505|23P01)$/, 'unique'],
  [/^(23503|23001)$/, 'reference'],
  [/^40(P01|001)$/, 'race'],
  // Null, check constraint; too long, out of range or malformed.
  [/^(23502|23514|22[0-9A-Z]{3})$/, 'unfit'],
  // Connection, resources, the operator's intervention (a statement's time is over), a lock that is not to be had.
  [/^((08|53|57)[0-9A-Z]{3}|55P03)$/, 'unavailable'],
]

/** Numbers of MySQL and MariaDB; their SQLSTATEs say less. */
const numbers: Readonly<Record<DatabaseErrorKind, ReadonlySet<number>>> = {
  unique: new Set([1022, 1062, 1169, 1586]),
  reference: new Set([1216, 1217, 1451, 1452]),
  race: new Set([1020, 1213]),
  unfit: new Set([1048, 1264, 1265, 1292, 1364, 1366, 1367, 1406, 1411, 1690, 3140, 3156, 3819, 4025]),
  unavailable: new Set([1040, 1053, 1077, 1158, 1159, 1160, 1161, 1203, 1205, 1317, 1927, 1969, 3024, 3572]),
}

/** Codes of drivers and of the network. */
const unavailableCode =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|PROTOCOL_CONNECTION_LOST|POOL_CLOSED|SQLITE_BUSY|SQLITE_LOCKED)$|^PROTOCOL_SEQUENCE_TIMEOUT$/

/** What drivers say that give no code. SQLite says the same in each of its drivers. */
const texts: readonly (readonly [RegExp, DatabaseErrorKind])[] = [
  [/UNIQUE constraint failed/, 'unique'],
  [/FOREIGN KEY constraint failed/, 'reference'],
  [/(NOT NULL|CHECK) constraint failed|datatype mismatch|string or blob too big/, 'unfit'],
  [
    /database (table )?is locked|connection terminated|timeout exceeded when trying to connect|connection is in closed state|pool is closed|after calling end on the pool|driver has already been destroyed/i,
    'unavailable',
  ],
]

/** Tells what kind of error a driver has thrown; `undefined` if it is none of these. */
export function databaseErrorKind(error: unknown): DatabaseErrorKind | undefined {
  const code = memberOf(error, 'code')
  if (typeof code === 'string') {
    const state = states.find(([pattern]) => pattern.test(code))
    if (state !== undefined) return state[1]
    if (unavailableCode.test(code)) return 'unavailable'
  }
  const number = memberOf(error, 'errno')
  if (typeof number === 'number') {
    for (const [kind, known] of Object.entries(numbers)) if (known.has(number)) return kind as DatabaseErrorKind
  }
  const message = error instanceof Error ? error.message : ''
  return texts.find(([pattern]) => pattern.test(message))?.[1]
}

/**
 * The error that a store throws for an error of this kind. Its text names no table, column, constraint or value; the
 * cause stays on the server.
 * @param details - the fields that do not fit, where they are known.
 */
export function errorOfKind(kind: DatabaseErrorKind, cause: unknown, details?: readonly ErrorDetail[]): RtapiError {
  switch (kind) {
    case 'unique':
      return new RtapiError('conflict', 'a value must be unique and is taken already', { cause })
    case 'reference':
      return new RtapiError('conflict', 'the record refers to one that does not exist, or another one refers to it', {
        cause,
      })
    case 'race':
      return new RtapiError('conflict', 'others wrote the same records at the same time', { cause })
    case 'unavailable':
      return new RtapiError('unavailable', 'the database cannot do this now', { cause })
    default:
      return new RtapiError('invalid', 'a value does not fit the record', { cause, details })
  }
}

function memberOf(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? (Reflect.get(error, name) as unknown) : undefined
}
