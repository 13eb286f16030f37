import type { PresenceKeeper, PresenceWrite, Presences } from '@rtapi/core'
import { randomText } from './random-text.ts'
import { script } from './scripts.ts'
import type { ServerCalls } from './server-calls.ts'

/**
 * What one process says, in one step. What it said last must be there still: a server that has lost that, or a connection
 * that brings a call late, would leave what is not so. KEYS: its hash. ARGV: milliseconds to keep it, the tag of the write
 * before or nothing if all is said anew, the tag of this one, how many labels are taken back, these, labels and values.
 */
const WRITE = script(`
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
elseif redis.pcall('HGET', KEYS[1], '') ~= ARGV[2] then return 0 end
local first = 5 + tonumber(ARGV[4])
for i = 5, first - 1 do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = first, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], '', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
`)

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** A process lives. KEYS: the processes by the end of their time. ARGV: the process, milliseconds. */
const LIVE = script(`${NOW}
-- Whatever somebody else has put there.
if type(redis.pcall('ZCARD', KEYS[1])) == 'table' then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`)

/** The processes that live. KEYS: as above. */
const LIVING = script(`${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
`)

/** Fields that Redis looks at in one step. */
const SCANNED = '250'

/**
 * Who is connected, on Redis: a hash for each process, which no other one writes and which ends by itself, and a list of
 * the processes that live, by the clock of Redis.
 */
export class RedisPresence implements PresenceKeeper {
  readonly #calls: ServerCalls
  /** No group has so long a name, or a key that ends like the first. */
  readonly #processes: string
  readonly #prefix: string
  /** Of the last write of each process. */
  readonly #tags = new Map<string, string>()

  constructor(calls: ServerCalls, prefix: string) {
    this.#calls = calls
    this.#processes = `${prefix}:{presence}:processes`
    this.#prefix = prefix
  }

  async write({ process, values, ttl, anew }: PresenceWrite): Promise<boolean> {
    const gone: string[] = []
    const said: string[] = []
    for (const [label, value] of values) {
      if (value === undefined) gone.push(fieldOf(label))
      else said.push(fieldOf(label), value)
    }
    const last = this.#tags.get(process)
    if (last === undefined && !anew) return false
    const tag = randomText(12)
    const rest = [String(ttl), anew ? '' : (last ?? ''), tag, String(gone.length), ...gone, ...said]
    if ((await this.#calls.run(WRITE, [this.#keyOf(process)], rest)) !== 1) return false
    this.#tags.set(process, tag)
    // Last, so that whoever is found among the living has said something.
    await this.#calls.run(LIVE, [this.#processes], [process, String(ttl)])
    return true
  }

  async read(labels: readonly string[] | 'all'): Promise<Presences> {
    const living = texts(await this.#calls.run(LIVING, [this.#processes], []))
    const values = living.map(async (process) => {
      const key = this.#keyOf(process)
      return [process, await (labels === 'all' ? this.#all(key) : this.#some(key, labels))] as const
    })
    return new Map(await Promise.all(values))
  }

  async forget(process: string): Promise<void> {
    const key = this.#keyOf(process)
    this.#tags.delete(process)
    await this.#calls.send(this.#processes, ['ZREM', this.#processes, process])
    await this.#calls.send(key, ['DEL', key])
  }

  #keyOf(process: string): string {
    return `${this.#prefix}:{presence:${process}}`
  }

  async #some(key: string, labels: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const values = new Map<string, string>()
    if (labels.length === 0) return values
    const found = list(await this.#calls.send(key, ['HMGET', key, ...labels.map(fieldOf)]))
    for (const [i, label] of labels.entries()) {
      const value = found[i]
      if (typeof value === 'string') values.set(label, value)
    }
    return values
  }

  /** In steps, since Redis does nothing else during each. */
  async #all(key: string): Promise<ReadonlyMap<string, string>> {
    const values = new Map<string, string>()
    let cursor = '0'
    do {
      const [next, found] = list(await this.#calls.send(key, ['HSCAN', key, cursor, 'COUNT', SCANNED]))
      const fields = texts(found)
      for (let i = 0; i < fields.length; i += 2) {
        const [field = '', value = ''] = fields.slice(i, i + 2)
        if (field !== '') values.set(field.slice(1), value)
      }
      cursor = String(next)
    } while (cursor !== '0')
    return values
  }
}

/** The empty field is not a label. */
function fieldOf(label: string): string {
  return `=${label}`
}

function texts(reply: unknown): readonly string[] {
  return list(reply).map(String)
}

function list(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw new TypeError('Redis answered what no call of the presence does')
  return reply
}
