import {
  type ChannelLayer,
  type LayerEntry,
  type LayerEvents,
  type LogEntry,
  type Position,
  type PresenceKeeper,
  RtapiError,
} from '@rtapi/core'
import { Deadlines } from './deadlines.ts'
import { EntryCodec } from './entry-codec.ts'
import { type GroupKeys, groupKeys } from './group-keys.ts'
import { GroupLog } from './group-log.ts'
import { JoinedGroup } from './joined-group.ts'
import { type LayerSettings, type RedisLayerOptions, settingsOf } from './layer-options.ts'
import type { LayerCounts, RedisLayerStats } from './layer-stats.ts'
import { Pauses } from './pauses.ts'
import { PositionChecks } from './position-checks.ts'
import { Publisher } from './publisher.ts'
import { type RedisConnection, topologyOf } from './redis-connection.ts'
import { RedisPresence } from './redis-presence.ts'
import { ServerCalls } from './server-calls.ts'
import { Subscriptions } from './subscriptions.ts'
import type { Topology } from './topology.ts'

/** A channel layer on Redis. */
export interface RedisLayer extends ChannelLayer {
  readonly presence: PresenceKeeper
  open(events: LayerEvents): Promise<void>
  join(group: string): Promise<Position>
  leave(group: string): Promise<void>
  publish(group: string, entry: LayerEntry): Promise<Position>
  history(group: string, since: Position): Promise<readonly LogEntry[] | 'gone'>
  close(): Promise<void>
  /** What it has met with since it was opened. */
  stats(): RedisLayerStats
}

/**
 * A channel layer on Redis 7 or newer: one server, the master that Sentinel names, or a cluster.
 *
 * Entries travel by publish/subscribe and are logged in a short stream for each group, both in one step. What does not
 * arrive is found by its missing number and taken from the log; where the log does not reach back, the group is lost and
 * begins anew. Without Redis calls reject in time, and joined groups catch up when it is back.
 *
 * @throws TypeError if the connection or an option is none.
 */
export function redisLayer(connection: RedisConnection, options: RedisLayerOptions = {}): RedisLayer {
  return new Layer(connection, options)
}

const GROUP = /^[\x20-\x7e]{1,64}$/

interface Membership {
  readonly group: JoinedGroup
  /** Calls of `join` that wait. */
  joining: number
  hasEntered: boolean
}

class Layer implements RedisLayer {
  readonly presence: PresenceKeeper
  readonly #settings: LayerSettings
  readonly #deadlines: Deadlines
  readonly #pauses: Pauses
  readonly #topology: Topology
  readonly #codec: EntryCodec
  readonly #log: GroupLog
  readonly #publisher: Publisher
  readonly #subscriptions: Subscriptions
  readonly #checks: PositionChecks
  readonly #groups = new Map<string, Membership>()
  readonly #byChannel = new Map<string, JoinedGroup>()
  readonly #counts: LayerCounts = { poisoned: 0, repaired: 0, lost: 0, resumed: 0 }
  #events: LayerEvents | undefined
  #state: 'new' | 'open' | 'closed' = 'new'
  #closing: Promise<void> | undefined

  constructor(connection: RedisConnection, options: RedisLayerOptions) {
    const settings = settingsOf(options)
    const { clock, timeout, report } = settings
    this.#settings = settings
    // A little less, so that who waits for as long hears the reason.
    this.#deadlines = new Deadlines(clock, Math.floor(timeout * 0.95))
    this.#pauses = new Pauses(clock)
    const around = { clock, deadlines: this.#deadlines, pauses: this.#pauses }
    const failed = (error: unknown): void => report(error, { during: 'layer.connection' })
    this.#topology = topologyOf(connection, { ...around, failed })
    this.#codec = new EntryCodec(settings.secrets, settings.entrySize)
    const calls = new ServerCalls(this.#topology, this.#deadlines)
    this.presence = new RedisPresence(calls, settings.prefix)
    this.#log = new GroupLog(calls, this.#topology.sharded, settings.history)
    this.#publisher = new Publisher({
      log: this.#log,
      codec: this.#codec,
      pauses: this.#pauses,
      keysOf: (name) => this.#keysOf(name),
    })
    this.#subscriptions = new Subscriptions(this.#topology, {
      ...around,
      probeInterval: settings.probeInterval,
      send: (channel, message) => this.#log.send(channel, message),
      received: (channel, message) => this.#byChannel.get(channel)?.receive(message),
      resumed: (channels) => this.#resumed(channels),
      failed,
    })
    this.#checks = new PositionChecks({
      clock,
      log: this.#log,
      interval: settings.checkInterval,
      groups: () => this.#byChannel.values(),
      checkNodes: () => this.#subscriptions.checkNodes(),
    })
  }

  async open(events: LayerEvents): Promise<void> {
    if (this.#state !== 'new') throw new TypeError('a channel layer is opened once')
    this.#state = 'open'
    this.#events = events
    try {
      await this.#topology.open()
    } catch (error) {
      await this.close()
      throw new RtapiError('unavailable', 'Redis cannot be reached', { cause: error })
    }
    this.#checks.start()
  }

  async join(name: string): Promise<Position> {
    const events = this.#opened(name)
    const membership = this.#groups.get(name) ?? this.#enter(name, events)
    membership.joining++
    try {
      const position = await this.#deadlines.run('let a group be joined', membership.group.entered())
      membership.hasEntered = true
      return position
    } catch (error) {
      // Whoever was told that it cannot be joined will not leave it.
      if (membership.joining === 1 && !membership.hasEntered) this.#drop(name, membership)
      throw error
    } finally {
      membership.joining--
    }
  }

  /** Nobody has to wait until Redis has heard of it. */
  async leave(name: string): Promise<void> {
    const membership = this.#groups.get(name)
    if (membership !== undefined) this.#drop(name, membership)
  }

  async publish(name: string, entry: LayerEntry): Promise<Position> {
    this.#opened(name)
    return await this.#publisher.publish(name, entry)
  }

  async history(name: string, since: Position): Promise<readonly LogEntry[] | 'gone'> {
    this.#opened(name)
    if (!Number.isSafeInteger(since.seq) || since.seq < 0) return 'gone'
    const logged = await this.#log.read(this.#keysOf(name), since)
    if (logged === 'gone') return 'gone'
    const entries: LogEntry[] = []
    let last: string | undefined
    for (const { seq, previous, body } of logged.entries) {
      const decoded = this.#codec.decode(name, body)
      if (decoded === undefined) this.#counts.poisoned++
      if (decoded === undefined || (last !== undefined && last !== previous)) return 'gone'
      entries.push({ seq, entry: decoded.entry })
      last = decoded.tag
    }
    return last === undefined || last === logged.tag ? entries : 'gone'
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  stats(): RedisLayerStats {
    return {
      ...this.#counts,
      groups: this.#groups.size,
      connections: this.#subscriptions.connections,
      unsent: this.#publisher.unsent,
    }
  }

  async #close(): Promise<void> {
    const wasOpen = this.#state === 'open'
    this.#state = 'closed'
    for (const { group } of this.#groups.values()) group.leave()
    this.#groups.clear()
    this.#byChannel.clear()
    this.#checks.close()
    // What was written last is published before the process ends.
    if (wasOpen) await this.#publisher.finish()
    this.#pauses.close()
    this.#subscriptions.close()
    await this.#topology.close()
    this.#deadlines.close(new RtapiError('unavailable', 'the channel layer is closed'))
  }

  #opened(name: string): LayerEvents {
    if (this.#state !== 'open' || this.#events === undefined)
      throw new RtapiError('unavailable', 'the channel layer is not open')
    if (!GROUP.test(name)) throw new TypeError('a group name is 1 to 64 characters of printable ASCII')
    return this.#events
  }

  #keysOf(name: string): GroupKeys {
    return groupKeys(this.#settings.prefix, name)
  }

  #enter(name: string, events: LayerEvents): Membership {
    const group = new JoinedGroup(name, this.#keysOf(name), {
      ...this.#settings,
      pauses: this.#pauses,
      log: this.#log,
      codec: this.#codec,
      events,
      counts: this.#counts,
    })
    const membership = { group, joining: 0, hasEntered: false }
    this.#groups.set(name, membership)
    this.#byChannel.set(group.keys.channel, group)
    // The position is asked for when messages are certain to come: every entry is below it, or comes.
    this.#subscriptions.add(group.keys.channel).then(
      () => group.check(),
      () => undefined,
    )
    return membership
  }

  #drop(name: string, { group }: Membership): void {
    group.leave()
    if (this.#groups.get(name)?.group === group) this.#groups.delete(name)
    if (this.#byChannel.get(group.keys.channel) !== group) return
    this.#byChannel.delete(group.keys.channel)
    this.#subscriptions.remove(group.keys.channel)
  }

  #resumed(channels: readonly string[]): void {
    this.#counts.resumed++
    const groups = channels.flatMap((channel) => this.#byChannel.get(channel) ?? [])
    void this.#checks.checkAll(groups)
  }
}
