import {
  CheckConstraintViolationException,
  ConnectionException,
  DeadlockException,
  ForeignKeyConstraintViolationException,
  LockWaitTimeoutException,
  NotNullConstraintViolationException,
  OptimisticLockError,
  UniqueConstraintViolationException,
  ValidationError,
} from '@mikro-orm/core'
import { type ErrorDetail, RtapiError } from '@rtapi/core'

/** The transaction lost a race and may succeed if it is run again. */
export function isDeadlock(error: unknown): boolean {
  return error instanceof DeadlockException
}

/**
 * The error that a store throws for what MikroORM or the database threw. Its text names no table, column, constraint
 * or value; the cause stays on the server. What is no fault of the data or the surroundings is answered as it is.
 */
export function storeError(error: unknown, details?: readonly ErrorDetail[]): unknown {
  if (error instanceof RtapiError) return error
  const conflict = conflictText(error)
  if (conflict !== undefined) return new RtapiError('conflict', conflict, { cause: error })
  if (isUnavailable(error)) return new RtapiError('unavailable', 'the database cannot do this now', { cause: error })
  if (isUnfit(error)) return new RtapiError('invalid', 'a value does not fit the record', { cause: error, details })
  return error
}

function conflictText(error: unknown): string | undefined {
  if (error instanceof UniqueConstraintViolationException || codeOf(error) === '23P01') {
    return 'a value must be unique and is taken already'
  }
  if (error instanceof ForeignKeyConstraintViolationException) {
    return 'the record refers to one that does not exist, or another one refers to it'
  }
  if (error instanceof OptimisticLockError) return 'the record was changed meanwhile'
  if (isDeadlock(error)) return 'others wrote the same records at the same time'
  return undefined
}

/** Values that are too long, too large or malformed: PostgreSQL 22xxx, and the numbers that MySQL and MariaDB use. */
const unfitNumbers = new Set([1264, 1265, 1292, 1366, 1367, 1406, 1411, 1690, 3140, 3156, 4025])

function isUnfit(error: unknown): boolean {
  if (error instanceof NotNullConstraintViolationException) return true
  if (error instanceof CheckConstraintViolationException || error instanceof ValidationError) return true
  const code = codeOf(error)
  if (typeof code === 'string' && /^22[0-9A-Z]{3}$/.test(code)) return true
  return unfitNumbers.has(numberOf(error)) || /datatype mismatch|string or blob too big/.test(messageOf(error))
}

/** PostgreSQL: connection, resources, operator's intervention (a statement's time is over). Others: see the drivers. */
const unavailableCode =
  /^(08|53|57)[0-9A-Z]{3}$|^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|PROTOCOL_CONNECTION_LOST|POOL_CLOSED|SQLITE_BUSY|SQLITE_LOCKED)$|^PROTOCOL_SEQUENCE_TIMEOUT$/
const unavailableNumbers = new Set([1040, 1053, 1077, 1158, 1159, 1160, 1161, 1203, 1317, 1927, 1969, 3024])

function isUnavailable(error: unknown): boolean {
  if (error instanceof ConnectionException || error instanceof LockWaitTimeoutException) return true
  const code = codeOf(error)
  if (typeof code === 'string' && unavailableCode.test(code)) return true
  return (
    unavailableNumbers.has(numberOf(error)) ||
    /connection terminated|timeout exceeded when trying to connect|connection is in closed state|pool is closed|after calling end on the pool|driver has already been destroyed/i.test(
      messageOf(error),
    )
  )
}

function codeOf(error: unknown): unknown {
  return memberOf(error, 'code')
}

function numberOf(error: unknown): number {
  const number = memberOf(error, 'errno')
  return typeof number === 'number' ? number : -1
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}

function memberOf(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? (Reflect.get(error, name) as unknown) : undefined
}
