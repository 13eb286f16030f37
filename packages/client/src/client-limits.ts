import type { ConnectionLimits } from './connection-options.ts'
import type { RequestLimits } from './requests.ts'

/** Every limit of the client, in milliseconds or counts. */
export type ClientLimits = ConnectionLimits & RequestLimits

export const defaultClientLimits: ClientLimits = {
  requestTimeout: 30_000,
  requestsQueued: 1_000,
  requestsInFlight: 24,
  connectTimeout: 10_000,
  fallbackTimeout: 4_000,
  backoffMinimum: 500,
  backoffMaximum: 20_000,
  stableAfter: 5_000,
  upgradeMinimum: 10_000,
  upgradeMaximum: 300_000,
}
