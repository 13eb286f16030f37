import type { SessionInfo, SessionList } from './api.ts'
import type { Connection } from './connection.ts'
import type { PresenceKeeper, Presences } from './presence-keeper.ts'
import { connectionsIn, labelsFor, labelsOf, parsePresent, presentText, userLabel } from './present-connections.ts'
import { type Limits, RtapiError } from './protocol.ts'
import { type Clock, type MaybePromise, type Report, withTimeout } from './runtime.ts'
import type { SessionSelector } from './session-rule.ts'

/** Milliseconds between signs of life of a process that has nothing else to say. */
const BEAT = 5_000
/** Milliseconds after which a process that has said nothing counts as dead. */
const LIFETIME = 15_000
/** Milliseconds after a failure until the next attempt. */
const RETRY = 1_000
/** Labels of one call. */
const MOST = 1_000
/** Connections that are named under one label; the rest is only counted. */
const LISTED = 100
/** The label under which a process has said all that there is to say. */
const WHOLE = 'whole'
/** Read like the others, it names nobody. */
const WHOLE_TEXT = '{"count":0,"named":[]}'

interface PresenceSurroundings {
  readonly keeper: PresenceKeeper | undefined
  /** Settles when the API has started. */
  readonly ready: Promise<void>
  readonly clock: Clock
  readonly limits: Pick<Limits, 'connectionsPerUser' | 'layerTimeout'>
  readonly report: Report
  /** Closes a connection that is beyond what its user may have. */
  refuse(connection: Connection): void
}

/** What has been said of a connection, or is to be. */
interface Known {
  readonly labels: readonly string[]
  readonly expiresAt: number | undefined
}

/** Connections of a user of which it is not known yet whether there is room for them. */
interface Unjudged {
  /** In the order of their coming. */
  readonly connections: Set<Connection>
  /** Monotonic time at which they were found to be too many. */
  readonly since: number | undefined
}

/**
 * Tells all processes who is connected to this one, by user and by session, and knows what they tell. What is said follows
 * what is, moments later: nobody waits for it to be accepted or closed.
 *
 * A user has too many connections if more are counted after the new ones have been made known: whichever process makes its
 * own known last counts all the others. They are closed only when they are still too many after the time for which those of
 * a dead process are counted, since clients that come back from there must find a place.
 */
export class Presence {
  /** Names this life of this process. */
  readonly process: string = crypto.randomUUID()
  readonly #around: PresenceSurroundings
  readonly #labels = new Map<string, Set<Connection>>()
  readonly #known = new Map<Connection, Known>()
  /** By the label of their user. */
  readonly #unjudged = new Map<string, Unjudged>()
  /** What is under these labels is to be said. */
  #changed = new Set<string>()
  /** How much of all there is to say the others know. */
  #said: 'nothing' | 'a part' | 'all' = 'nothing'
  #saidAt = Number.NEGATIVE_INFINITY
  /** When all users with too many connections were looked at. */
  #lookedAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY
  /** When what was said here was found to be lost: that of others may be as well, until they have said it anew. */
  #lostAt = Number.NEGATIVE_INFINITY
  /** The outage that there is has been told. */
  #isTold = false
  #isSoon = false
  #talking: Promise<void> | undefined
  #isClosed = false

  constructor(around: PresenceSurroundings) {
    this.#around = around
  }

  /** Its user is known: it counts from now on. Called again when another session of the same user is on it. */
  set(connection: Connection): void {
    if (this.#around.keeper === undefined) return
    const labels = labelsOf(connection)
    const { expiresAt } = connection.session
    const known = this.#known.get(connection)
    if (known?.expiresAt === expiresAt && known?.labels.join() === labels.join()) return
    if (known !== undefined) this.#remove(connection, known.labels)
    this.#known.set(connection, { labels, expiresAt })
    for (const label of labels) {
      this.#changed.add(label)
      const connections = this.#labels.get(label)
      if (connections === undefined) this.#labels.set(label, new Set([connection]))
      else connections.add(connection)
    }
    if (known === undefined) this.#question(connection)
    this.#talkSoon()
  }

  delete(connection: Connection): void {
    const known = this.#known.get(connection)
    if (known === undefined) return
    this.#known.delete(connection)
    this.#remove(connection, known.labels)
    const [label = ''] = known.labels
    const unjudged = this.#unjudged.get(label)
    if (unjudged?.connections.delete(connection) === true && unjudged.connections.size === 0)
      this.#unjudged.delete(label)
    this.#talkSoon()
  }

  /** Called again and again while there are connections: says that this process lives, and what could not be said. */
  sweep(now: number): void {
    if (now - this.#failedAt < RETRY) return
    const isDue = now - this.#saidAt >= BEAT || (this.#unjudged.size > 0 && now - this.#lookedAt >= BEAT)
    if (isDue || this.#changed.size > 0) this.#talk()
  }

  /**
   * The connections of these sessions to all processes.
   * @param own - those to this one; asked once the others are known, so that the newest is told of each.
   */
  async list(selector: SessionSelector, own: () => readonly SessionInfo[]): Promise<SessionList> {
    const others: SessionInfo[] = []
    let complete = true
    try {
      await this.#around.ready
      const labels = labelsFor(selector)
      const isKept = this.#said !== 'nothing' && this.#now - this.#saidAt < LIFETIME
      const presences = await this.#read(labels === 'all' ? labels : [...labels, WHOLE])
      if (isKept && !presences.has(this.process)) this.#lostAt = this.#now
      if (this.#now - this.#lostAt < BEAT + RETRY) complete = false
      for (const [process, values] of presences) {
        if (process === this.process) continue
        const { found, isWhole } = connectionsIn(values, selector)
        if (!isWhole || !values.has(WHOLE)) complete = false
        for (const info of found) others.push({ ...info, process })
      }
    } catch {
      // Whoever asks is told; the outage itself is reported by what goes on.
      complete = false
    }
    return { connections: [...own(), ...others].toSorted((a, b) => a.openedAt - b.openedAt), complete }
  }

  /** Takes back what this process has said. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#talking
    const { keeper } = this.#around
    if (keeper === undefined || this.#said === 'nothing') return
    // If it fails the others forget this process as they would a dead one.
    await this.#inTime(() => keeper.forget(this.process)).catch(() => undefined)
  }

  get #now(): number {
    return this.#around.clock.monotonic()
  }

  #remove(connection: Connection, labels: readonly string[]): void {
    for (const label of labels) {
      this.#changed.add(label)
      const connections = this.#labels.get(label)
      if (connections?.delete(connection) === true && connections.size === 0) this.#labels.delete(label)
    }
  }

  #question(connection: Connection): void {
    const { user } = connection.session
    if (user === null) return
    const label = userLabel(user.id)
    const unjudged = this.#unjudged.get(label)
    if (unjudged === undefined) this.#unjudged.set(label, { connections: new Set([connection]), since: undefined })
    else unjudged.connections.add(connection)
  }

  /** Of what was said nothing is kept any more: what has changed since need not be remembered. */
  #beginAnew(): void {
    this.#said = 'nothing'
    this.#changed.clear()
  }

  /** What changes in one tick is said together. */
  #talkSoon(): void {
    if (this.#isSoon || this.#now - this.#failedAt < RETRY) return
    this.#isSoon = true
    this.#around.clock.defer(() => {
      this.#isSoon = false
      this.#talk()
    })
  }

  #talk(): void {
    const { keeper, report } = this.#around
    if (keeper === undefined || this.#isClosed || this.#talking !== undefined) return
    const talking = this.#tellAndLook(keeper).then(
      () => {
        this.#isTold = false
        this.#talking = undefined
        if (this.#changed.size > 0) this.#talkSoon()
      },
      (error: unknown) => {
        this.#failedAt = this.#now
        this.#talking = undefined
        if (this.#failedAt - this.#saidAt >= LIFETIME) this.#beginAnew()
        if (!this.#isTold) report(error, { during: 'presence' })
        this.#isTold = true
      },
    )
    this.#talking = talking
  }

  async #tellAndLook(keeper: PresenceKeeper): Promise<void> {
    await this.#around.ready
    const hasNews = (): boolean => this.#changed.size > 0 || this.#said !== 'all' || this.#now - this.#saidAt >= BEAT
    while (!this.#isClosed && hasNews()) await this.#tell(keeper)
    if (!this.#isClosed) await this.#judge()
  }

  async #tell(keeper: PresenceKeeper): Promise<void> {
    const anew = this.#said === 'nothing'
    if (anew) {
      this.#changed = new Set(this.#labels.keys())
      for (const connection of this.#known.keys()) this.#question(connection)
    }
    const values = new Map<string, string | undefined>()
    for (const label of this.#changed) {
      if (values.size === MOST - 1) break
      this.#changed.delete(label)
      values.set(label, presentText(this.#labels.get(label) ?? [], LISTED))
    }
    const isAll = this.#said === 'all' || this.#changed.size === 0
    if (isAll && this.#said !== 'all') values.set(WHOLE, WHOLE_TEXT)
    const saidAt = this.#now
    try {
      const isWritten = await this.#inTime(() => keeper.write({ process: this.process, values, ttl: LIFETIME, anew }))
      if (anew && !isWritten) throw new TypeError('a process that says everything anew was not heard')
      if (!isWritten) this.#lostAt = this.#now
      this.#said = !isWritten ? 'nothing' : isAll ? 'all' : 'a part'
      this.#saidAt = saidAt
    } catch (error) {
      for (const label of values.keys()) if (label !== WHOLE) this.#changed.add(label)
      throw error
    }
  }

  /** Counts the connections of the users of whom there are new ones, all of which have been made known. */
  async #judge(): Promise<void> {
    const now = this.#now
    const isDue = now - this.#lookedAt >= BEAT
    if (isDue) this.#lookedAt = now
    const asked = [...this.#unjudged].filter(([, { since }]) => isDue || since === undefined)
    for (let i = 0; i < asked.length; i += MOST) await this.#judgeSome(asked.slice(i, i + MOST))
  }

  async #judgeSome(asked: readonly (readonly [label: string, unjudged: Unjudged])[]): Promise<void> {
    // Those that come from now on are not made known yet.
    for (const [label] of asked) this.#unjudged.delete(label)
    let presences: Presences
    try {
      presences = await this.#read(asked.map(([label]) => label))
    } catch (error) {
      for (const [label, unjudged] of asked) this.#putBack(label, unjudged.connections, unjudged.since)
      throw error
    }
    const now = this.#now
    for (const [label, { connections, since = now }] of asked) {
      const tooMany = this.#countOf(label, presences) - this.#around.limits.connectionsPerUser
      if (tooMany <= 0) continue
      if (now - since < LIFETIME) this.#putBack(label, connections, since)
      else for (const newest of this.#present(connections).slice(-tooMany)) this.#around.refuse(newest)
    }
  }

  #countOf(label: string, presences: Presences): number {
    let count = this.#labels.get(label)?.size ?? 0
    for (const [process, values] of presences) {
      const text = process === this.process ? undefined : values.get(label)
      if (text !== undefined) count += parsePresent(text)?.count ?? 0
    }
    return count
  }

  #putBack(label: string, connections: Iterable<Connection>, since: number | undefined): void {
    const later = this.#unjudged.get(label)?.connections ?? []
    const all = new Set([...this.#present(connections), ...later])
    if (all.size > 0) this.#unjudged.set(label, { connections: all, since })
  }

  /** Those that have not been closed meanwhile. */
  #present(connections: Iterable<Connection>): readonly Connection[] {
    return [...connections].filter((connection) => this.#known.has(connection))
  }

  async #read(labels: readonly string[] | 'all'): Promise<Presences> {
    const { keeper } = this.#around
    if (keeper === undefined) throw new RtapiError('unavailable', 'the channel layer keeps no presence')
    return await this.#inTime(() => keeper.read(labels))
  }

  async #inTime<T>(call: () => MaybePromise<T>): Promise<T> {
    const { clock, limits } = this.#around
    const late = (): Error => new RtapiError('unavailable', 'the channel layer did not answer in time')
    return await withTimeout(clock, limits.layerTimeout, call(), late)
  }
}
