import { type ErrorDetail, RtapiError } from '@rtapi/core'
import { type DatabaseErrorKind, databaseErrorKind, errorOfKind } from '@rtapi/sql'
import {
  ConnectionError,
  ForeignKeyConstraintError,
  OptimisticLockError,
  TimeoutError,
  UniqueConstraintError,
  ValidationError,
  type ValidationErrorItem,
} from 'sequelize'
import type { ModelShape } from './model-shape.ts'

/** The transaction lost a race and may succeed if it is run again. */
export function isRace(error: unknown): boolean {
  return databaseErrorKind(causeOf(error)) === 'race'
}

/**
 * The error that a store throws for what Sequelize or the database threw. Its text names no table, column, constraint or
 * value; the cause stays on the server. What is no fault of the data or the surroundings is answered as it is.
 * @param missing - the fields that a create must give and does not.
 */
export function storeError(error: unknown, shape: ModelShape, missing?: readonly ErrorDetail[]): unknown {
  if (error instanceof RtapiError) return error
  if (error instanceof OptimisticLockError) {
    return new RtapiError('conflict', 'the record was changed meanwhile', { cause: error })
  }
  const kind = kindOf(error)
  if (kind === undefined) return error
  return errorOfKind(kind, error, error instanceof ValidationError ? detailsOf(error, shape) : missing)
}

function kindOf(error: unknown): DatabaseErrorKind | undefined {
  if (error instanceof UniqueConstraintError) return 'unique'
  if (error instanceof ValidationError) return 'unfit'
  if (error instanceof ForeignKeyConstraintError) return 'reference'
  const kind = databaseErrorKind(causeOf(error))
  if (kind !== undefined) return kind
  if (error instanceof ConnectionError || error instanceof TimeoutError) return 'unavailable'
  const isClosed = error instanceof Error && /after the connection manager was closed/.test(error.message)
  return isClosed ? 'unavailable' : undefined
}

function causeOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  return (Reflect.get(error, 'original') as unknown) ?? (Reflect.get(error, 'parent') as unknown) ?? error
}

/** The fields that do not fit. What Sequelize says by itself holds the name of the model; what the model says is meant to be read. */
function detailsOf({ errors }: ValidationError, { fields }: ModelShape): readonly ErrorDetail[] | undefined {
  const details = errors.flatMap((item): ErrorDetail[] => {
    const { path } = item
    return path !== null && fields.has(path) ? [{ path: [path], message: messageOf(item) }] : []
  })
  return details.length === 0 ? undefined : details
}

function messageOf({ message, validatorKey, path }: ValidationErrorItem): string {
  if (validatorKey === 'is_null' && message.endsWith(`.${path} cannot be null`)) return 'must not be null'
  return message === `Validation ${validatorKey} on ${path} failed` ? `is not valid: ${validatorKey}` : message
}
