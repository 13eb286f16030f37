import type { ConnectionLimits } from './connection.ts'
import type { RequestLimits } from './requests.ts'

/** Every limit of the client, in milliseconds or counts. */
export type ClientLimits = ConnectionLimits & RequestLimits

export const defaultClientLimits: ClientLimits = {
  requestTimeout: 30_000,
  requestsQueued: 1_000,
  requestsInFlight: 24,
  connectTimeout: 10_000,
  backoffMinimum: 500,
  backoffMaximum: 20_000,
  stableAfter: 5_000,
}
