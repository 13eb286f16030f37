import {
  type Clock,
  type HeldKey,
  type KnownKey,
  type Report,
  type Reservation,
  type ResultKeeper,
  RtapiError,
  systemClock,
} from '@rtapi/core'
import { createHash } from 'node:crypto'
import { Deadlines } from './deadlines.ts'
import { checkPrefix } from './group-keys.ts'
import { Pauses } from './pauses.ts'
import { type RedisConnection, topologyOf } from './redis-connection.ts'
import type { Topology } from './topology.ts'

/** Every process of one API needs the same `prefix`. */
export interface RedisResultsOptions {
  /** Begins every key: letters, digits and `_ . : / -`. Separates APIs that share a Redis. @default 'rtapi' */
  readonly prefix?: string
  /** Milliseconds after which a call that Redis has not answered rejects. @default 2_000 */
  readonly timeout?: number
  /** @default systemClock */
  readonly clock?: Clock
  /** Told when a connection is lost, once for each outage. @default nobody is told */
  readonly report?: Report
}

/**
 * Keeps the results of writes with an idempotency key on Redis 7 or newer, for all processes of an API.
 *
 * A reservation is as safe as what Redis replicates: a failover that loses the last writes forgets the keys among them.
 * Without Redis calls reject in time, and writes with a key are refused.
 *
 * @throws TypeError if the connection or the prefix is not one.
 */
export function redisResults(connection: RedisConnection, options: RedisResultsOptions = {}): ResultKeeper {
  return new RedisResults(connection, options)
}

/** Each begins by forgetting what is over. KEYS: the owner's keys by their end, the key. ARGV: the key, the run … */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function keep(ttl)
  redis.call('PEXPIRE', KEYS[2], ttl)
  redis.call('ZADD', KEYS[1], now + ttl, ARGV[1])
  if redis.call('PTTL', KEYS[1]) < tonumber(ttl) then redis.call('PEXPIRE', KEYS[1], ttl) end
end
`

/** … request, milliseconds to keep it, keys of one owner. */
const RESERVE = `${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local known = redis.call('HMGET', KEYS[2], 'request', 'result')
if known[1] then
  if known[2] then return {'settled', known[1], known[2]} end
  return {'running', known[1]}
end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  return {'full', string.format('%.0f', math.max(1, first[2] - now))}
end
redis.call('HSET', KEYS[2], 'run', ARGV[2], 'request', ARGV[3])
keep(ARGV[4])
return {'reserved'}
`

const HELD = `
local held = redis.call('HMGET', KEYS[2], 'run', 'result')
if held[1] ~= ARGV[2] or held[2] then return 0 end
`

/** … result, milliseconds to keep it. */
const SETTLE = `${NOW}${HELD}
redis.call('HSET', KEYS[2], 'result', ARGV[3])
keep(ARGV[4])
return 1
`

const RELEASE = `${HELD}
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
`

class RedisResults implements ResultKeeper {
  readonly #prefix: string
  readonly #deadlines: Deadlines
  readonly #pauses: Pauses
  readonly #topology: Topology
  #opening: Promise<void> | undefined

  constructor(connection: RedisConnection, options: RedisResultsOptions) {
    const { clock = systemClock, timeout = 2_000, report } = options
    this.#prefix = checkPrefix(options.prefix ?? 'rtapi')
    // A little less, so that who waits for as long hears the reason.
    this.#deadlines = new Deadlines(clock, Math.floor(timeout * 0.95))
    this.#pauses = new Pauses(clock)
    const failed = (error: unknown): void => report?.(error, { during: 'results.connection' })
    this.#topology = topologyOf(connection, { clock, deadlines: this.#deadlines, pauses: this.#pauses, failed })
  }

  async reserve(reservation: Reservation): Promise<KnownKey> {
    const { request, ttl, max } = reservation
    const reply: unknown = await this.#call(RESERVE, reservation, [request, String(ttl), String(max)])
    const [state, first, second] = Array.isArray(reply) ? (reply as readonly unknown[]) : []
    if (state === 'reserved') return { state }
    if (state === 'full') return { state, retryAfter: Number(first) }
    if (state === 'running' && typeof first === 'string') return { state, request: first }
    if (state === 'settled' && typeof first === 'string' && typeof second === 'string')
      return { state, request: first, result: second }
    throw new TypeError('Redis answered what no script of the results does')
  }

  async settle(held: HeldKey, result: string, ttl: number): Promise<void> {
    await this.#call(SETTLE, held, [result, String(ttl)])
  }

  async release(held: HeldKey): Promise<void> {
    await this.#call(RELEASE, held, [])
  }

  async close(): Promise<void> {
    this.#pauses.close()
    await this.#topology.close()
    this.#deadlines.close(new RtapiError('unavailable', 'the results are closed'))
  }

  async #call(script: string, { owner, key, run }: HeldKey, values: readonly string[]): Promise<unknown> {
    // No group has so long a name, so that none has these keys.
    const index = `${this.#prefix}:{results:${owner}}`
    const rest = ['2', index, `${index}:${key}`, key, run, ...values]
    try {
      return await this.#deadlines.run('answer', this.#send(index, script, rest))
    } catch (error) {
      if (error instanceof RtapiError) throw error
      // What Redis says is for operators, and not for clients.
      throw new RtapiError('unavailable', 'Redis did not do what was asked', { cause: error })
    }
  }

  async #send(key: string, script: string, rest: readonly string[]): Promise<unknown> {
    await (this.#opening ??= this.#open())
    try {
      return await this.#topology.send(key, ['EVALSHA', shaOf(script), ...rest])
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return await this.#topology.send(key, ['EVAL', script, ...rest])
    }
  }

  /** Connects when first needed; what fails is tried again by the next call. */
  async #open(): Promise<void> {
    try {
      await this.#topology.open()
    } catch (error) {
      this.#opening = undefined
      throw error
    }
  }
}

const shas = new Map([RESERVE, SETTLE, RELEASE].map((text) => [text, createHash('sha1').update(text).digest('hex')]))

function shaOf(script: string): string {
  return shas.get(script) ?? ''
}
