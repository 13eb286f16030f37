/** Waiting times between attempts, in milliseconds. */
export interface BackoffOptions {
  readonly minimum: number
  readonly maximum: number
  /** Answers a number from 0 up to, but not including, 1. */
  readonly random: () => number
}

/**
 * The wait before attempt `attempt` (the first is 0): `minimum` plus a random share of `minimum` × 2^attempt, never more
 * than `maximum`. Full jitter: clients that lost their server at one moment come back spread over the whole span.
 */
export function backoffDelay(attempt: number, { minimum, maximum, random }: BackoffOptions): number {
  const span = Math.min(maximum, minimum * 2 ** Math.min(attempt, 30))
  return Math.min(maximum, minimum + random() * span)
}
