import { type Clock, type Report, systemClock } from '@rtapi/core'
import { checkPrefix } from './group-keys.ts'
import type { KeptHistory } from './group-log.ts'

/** How a Redis layer is set up. Every process of one API needs the same `prefix` and `secret`. */
export interface RedisLayerOptions {
  /** Begins every key and channel: letters, digits and `_ . : / -`. Separates APIs that share a Redis. @default 'rtapi' */
  readonly prefix?: string
  /**
   * Signs every entry, so that others who can write to this Redis cannot make any up. Of several the first signs and all
   * are accepted: to change it, add the new one as the second everywhere, then make it the first, then drop the old one.
   * @default nothing is signed
   */
  readonly secret?: string | readonly string[]
  /** Milliseconds after which a call that Redis has not answered rejects. @default 2_000 */
  readonly timeout?: number
  /** What the log of a group keeps. Whichever bound is met first drops the oldest entries. */
  readonly history?: {
    /** @default 300 */
    readonly entries?: number
    /** Of all entries together, as they are logged. @default 524_288 */
    readonly bytes?: number
    /** Milliseconds after the last entry. @default 300_000 */
    readonly age?: number
    /**
     * Milliseconds for which Redis remembers a group that has no entries and that nobody is joined to.
     * @default 2_592_000_000, 30 days
     */
    readonly groupAge?: number
  }
  /**
   * Characters of the longest entry, as JSON. A longer one is dropped when it comes, and is not published: the log of its
   * group is ended instead, so that everybody begins anew. @default 1_048_576
   */
  readonly entrySize?: number
  /** Milliseconds between two comparisons of a silent group with its log. @default 10_000 */
  readonly checkInterval?: number
  /** Milliseconds of silence after which a connection is tried. @default 5_000 */
  readonly probeInterval?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** Told when a connection is lost, once for each outage, and when `deliver` throws. @default nobody is told */
  readonly report?: Report
}

/** The options with their defaults. */
export interface LayerSettings {
  readonly prefix: string
  readonly secrets: readonly string[]
  readonly timeout: number
  readonly history: KeptHistory
  readonly entrySize: number
  readonly checkInterval: number
  readonly probeInterval: number
  readonly clock: Clock
  readonly report: Report
}

const DAY = 86_400_000
/** What a timer holds. */
const LONGEST = 2 ** 31 - 1

/** @throws TypeError if an option is none. */
export function settingsOf(options: RedisLayerOptions): LayerSettings {
  const { history = {}, secret = [] } = options
  return {
    prefix: checkPrefix(options.prefix ?? 'rtapi'),
    secrets: (typeof secret === 'string' ? [secret] : secret).map(checkSecret),
    timeout: whole('timeout', options.timeout ?? 2_000, LONGEST),
    history: {
      entries: whole('history.entries', history.entries ?? 300),
      bytes: whole('history.bytes', history.bytes ?? 524_288),
      age: whole('history.age', history.age ?? 300_000),
      groupAge: whole('history.groupAge', history.groupAge ?? 30 * DAY),
    },
    entrySize: whole('entrySize', options.entrySize ?? 1_048_576),
    checkInterval: whole('checkInterval', options.checkInterval ?? 10_000, LONGEST),
    probeInterval: whole('probeInterval', options.probeInterval ?? 5_000, LONGEST),
    clock: options.clock ?? systemClock,
    report: options.report ?? (() => {}),
  }
}

/** A setting that was forgotten must not look like a secret. */
function checkSecret(secret: unknown): string {
  if (typeof secret === 'string' && secret !== '') return secret
  throw new TypeError('a secret is a text that is not empty')
}

function whole(name: string, value: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value > 0 && value <= most) return value
  throw new TypeError(`${name} is a whole number from 1 to ${most}, and not ${value}`)
}
