import { type ErrorCode, RtapiError, type WireError, closeCodes } from '@rtapi/core/protocol'

/**
 * The link was lost, or the time was up, after a write was sent and before its reply came: it may have happened or not.
 * The client does not repeat it. Look, or repeat it with the same `idempotencyKey`: then it happens once at most.
 */
export class OutcomeUnknownError extends Error {
  readonly code = 'outcome_unknown'

  constructor(resource: string, action: string) {
    super(`${resource}.${action} was sent, but its reply did not come: it may have happened or not`)
    this.name = 'OutcomeUnknownError'
  }
}

/** An error that came over the wire, as one to throw. */
export function errorFromWire({ code, message, retryAfter, details }: WireError): RtapiError {
  return new RtapiError(code, message, { retryAfter, details })
}

const codeOfClose: Readonly<Record<number, ErrorCode>> = {
  [closeCodes.badFrame]: 'bad_request',
  [closeCodes.unauthenticated]: 'unauthenticated',
  [closeCodes.forbidden]: 'forbidden',
  [closeCodes.version]: 'unsupported',
  [closeCodes.tooBig]: 'limit_exceeded',
  [closeCodes.abuse]: 'rate_limited',
  [closeCodes.revoked]: 'unauthenticated',
}

/** Why a connection was closed for good. */
export function errorFromClose(code: number, reason: string): RtapiError {
  return new RtapiError(codeOfClose[code] ?? 'unavailable', `the server closed the connection: ${reason || code}`)
}
