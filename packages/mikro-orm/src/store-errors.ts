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
import { type DatabaseErrorKind, databaseErrorKind, errorOfKind } from '@rtapi/sql'

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
  if (error instanceof OptimisticLockError) {
    return new RtapiError('conflict', 'the record was changed meanwhile', { cause: error })
  }
  const kind = kindByClass(error) ?? databaseErrorKind(error)
  return kind === undefined ? error : errorOfKind(kind, error, details)
}

function kindByClass(error: unknown): DatabaseErrorKind | undefined {
  if (error instanceof UniqueConstraintViolationException) return 'unique'
  if (error instanceof ForeignKeyConstraintViolationException) return 'reference'
  if (isDeadlock(error)) return 'race'
  if (error instanceof ConnectionException || error instanceof LockWaitTimeoutException) return 'unavailable'
  if (error instanceof NotNullConstraintViolationException) return 'unfit'
  if (error instanceof CheckConstraintViolationException || error instanceof ValidationError) return 'unfit'
  return undefined
}
