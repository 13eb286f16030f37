import { accessControl } from './access.ts'
import type { Api, ApiOptions, SessionInfo } from './api.ts'
import { ChangePublisher, scopeGroup } from './change-publisher.ts'
import type { LayerEntry, SessionEntry } from './channel-layer.ts'
import { jsonCodec } from './codec.ts'
import { Connection, type ConnectionSurroundings } from './connection.ts'
import { ConnectionSet } from './connection-set.ts'
import { Gate } from './gate.ts'
import type { Diagnose } from './diagnostics.ts'
import type { Feed } from './feed.ts'
import { type GroupListener, GroupHub } from './group-hub.ts'
import { logReport } from './log-line.ts'
import { LoopWatch } from './loop-watch.ts'
import { KeyedWrites } from './keyed-writes.ts'
import { memoryLayer } from './memory-layer.ts'
import { comeBackAfter } from './open-sockets.ts'
import { Pace } from './pace.ts'
import { type Limits, RtapiError, closeCodes, defaultLimits } from './protocol.ts'
import { Presence } from './presence.ts'
import { Requests } from './requests.ts'
import type { Resource } from './resource.ts'
import { type ResourceModel, resolveResource } from './resource-model.ts'
import { type Report, systemClock } from './runtime.ts'
import { SESSION_GROUP, SessionCommands, sessionEntry } from './session-commands.ts'
import type { SessionSelector } from './session-rule.ts'
import type { Store } from './store.ts'
import { StoreReader } from './store-reader.ts'
import { Sweep, type SweepOptions } from './sweep.ts'
import { touch } from './touch.ts'
import type { Row } from './value.ts'

const SWEEP_INTERVAL = 250
/** Milliseconds between looks whether the layer still brings what ends or changes sessions: they must not outlive a minute. */
const CONTROL_INTERVAL = 50_000

/**
 * Starts an API: resolves its resources, opens the channel layer, starts the change sources. Transports are then
 * attached to it.
 * @throws TypeError if a resource is defined twice or names what its store does not have.
 */
export function createApi<const Resources extends readonly Resource[]>(options: ApiOptions<Resources>): Api<Resources> {
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const clock = options.clock ?? systemClock
  const report = safely(options.report ?? logReport((line) => console.error(line), clock))
  const codecs = options.codecs ?? [jsonCodec]
  const sources = options.changes ?? []
  const areLate = sources.length > 0 && sources.every(({ late }) => late === true)
  const models = resolveAll(options.resources)
  const layer = options.layer ?? memoryLayer({ clock })
  const hub = new GroupHub(layer, clock, limits, report)
  const gate = new Gate(limits.snapshots)
  const pace = new Pace(clock, report)
  const access = accessControl(limits, clock, report)
  const keyed = new KeyedWrites({ results: options.results ?? layer.results, limits, clock, report })
  const requests = new Requests({ models, access, keyed, limits, clock })
  const readers = new Map<Store<Row, unknown, unknown>, StoreReader>()
  const readerOf = ({ store }: ResourceModel): StoreReader => {
    const known = readers.get(store)
    if (known !== undefined) return known
    const reader = new StoreReader(store, { hub, limits, clock, report, gate, pace })
    readers.set(store, reader)
    return reader
  }
  const commands = new SessionCommands({ hub, clock, obey })
  const publisher = new ChangePublisher(models.values(), {
    hub,
    limits,
    report,
    sessionRules: options.sessionRules ?? [],
    readerOf,
    obey,
    command: (entry) => commands.send(entry),
  })
  const connections = new ConnectionSet(limits.misses)
  const sweeps = options.sweep === undefined ? [] : sweepsOf(options.sweep)
  const watch = new LoopWatch(limits.loopLag)
  const { diagnostics } = options
  const diagnose = diagnostics && safeDiagnose(diagnostics, report)
  const dependent = [...models.values()].filter(({ options: { dependsOn = [] } }) => dependsOn.length > 0)
  const controlGroups = [SESSION_GROUP, ...dependent.map(({ name }) => scopeGroup(name))]
  let checkedAt = clock.monotonic()
  let cancelSweep: (() => void) | undefined
  let closing: Promise<void> | undefined

  const control: GroupListener = {
    receive: (_group, _seq, entry) => obey(entry),
    // What was missed may have been a revocation: everybody is asked anew, and again once nothing more can be missed.
    lost: (group) => {
      refreshAll()
      group.ready.then(refreshAll, () => undefined)
    },
  }

  function refreshAll(): void {
    for (const connection of connections) connection.refreshSession()
  }

  function obey(entry: LayerEntry): void {
    if (entry.type === 'session') {
      const { command, user, session, reason } = entry
      const whose = { ...(user === undefined ? {} : { user }), ...(session === undefined ? {} : { session }) }
      diagnose?.({ type: 'session.command', command, ...whose, reason })
      // Of whom nobody knows yet who it is, the question is asked again: its answer may be older than the command.
      for (const connection of connections.opening()) connection.refreshSession()
      for (const connection of connections.concernedBy(entry)) {
        if (entry.command === 'end') connection.goodbye(closeCodes.revoked, entry.reason)
        else connection.refreshSession()
      }
    } else if (entry.type === 'scope') {
      const model = models.get(entry.resource)
      if (model === undefined) return
      const users = entry.users === 'all' ? undefined : new Set(entry.users)
      const concerned = users === undefined ? [connections] : [...users].map((user) => connections.ofUser(user))
      for (const some of concerned) for (const connection of some) connection.refreshResource(model)
    }
  }

  async function start(): Promise<void> {
    await hub.open()
    await Promise.all(controlGroups.map((name) => hub.join(name, control).ready))
    for (const source of sources) await source.start(publisher.emit)
  }

  function sweep(): void {
    cancelSweep = undefined
    const now = clock.monotonic()
    const wasBehind = watch.isBehind
    watch.came(now)
    if (watch.isBehind !== wasBehind) diagnose?.({ type: 'load.behind', isBehind: watch.isBehind })
    for (const connection of connections) {
      try {
        connection.sweep(now)
      } catch (error) {
        // One connection that fails must not stop the time of the others.
        report(error, { during: 'sweep', connection: connection.id })
      }
    }
    shed()
    for (const some of sweeps) some.look()
    presence.sweep(now)
    if (now - checkedAt >= CONTROL_INTERVAL) {
      checkedAt = now
      void checkControl()
    }
    scheduleSweep()
  }

  /** What waits for slow clients must not take the memory of the others. */
  function shed(): void {
    const { closed, held } = connections.shed(limits.sendBudget, (connection) =>
      connection.goodbye(closeCodes.slowConsumer, 'server short of memory', comeBackAfter()),
    )
    if (closed === 0) return
    diagnose?.({ type: 'load.shed', connections: closed, bytes: held })
    report(new Error(`${held} bytes waited to be sent: closed ${closed} connections`), { during: 'sendBudget' })
  }

  /** While the layer brings nothing, a revocation elsewhere is found out by asking everybody anew. */
  async function checkControl(): Promise<void> {
    const answers = await Promise.all(controlGroups.map((name) => hub.check(name)))
    if (answers.includes(false)) refreshAll()
  }

  function scheduleSweep(): void {
    if (cancelSweep !== undefined || connections.size === 0) return
    watch.expect(clock.monotonic() + SWEEP_INTERVAL)
    cancelSweep = clock.setTimer(SWEEP_INTERVAL, sweep)
  }

  /** Their owner is the timer of the connections: without any there is nothing to compare. */
  function sweepsOf(sweep: SweepOptions): readonly { look(): void; close(): void }[] {
    // New views need not wait behind them.
    const plan = { ...sweep, clock, width: Math.max(1, limits.snapshots >> 2) }
    const feeds = new Sweep<Feed>({
      ...plan,
      *things() {
        for (const reader of readers.values()) yield* reader.feeds()
      },
      askedAt: ({ queriedAt }) => queriedAt,
      ask: (feed) => readerOf(feed.spec.model).sweep(feed),
    })
    const scopes = new Sweep<Connection>({
      ...plan,
      things: () => (dependent.length === 0 ? [] : connections),
      askedAt: ({ openedAt }) => openedAt,
      ask: (connection) => connection.review(dependent),
    })
    return [feeds, scopes]
  }

  const ready = start()
  // Every request waits for it and sees the failure; it must not end the process by itself.
  ready.catch((error: unknown) => report(error, { during: 'start' }))

  const presence = new Presence({
    keeper: layer.presence,
    ready,
    clock,
    limits,
    report,
    refuse: (connection) => connection.goodbye(closeCodes.abuse, 'too many connections of a user'),
  })

  const around: ConnectionSurroundings = {
    ready,
    hub,
    limits,
    clock,
    report,
    pace,
    requests,
    readerOf,
    authenticate: options.authenticate ?? (() => null),
    changesSettled: () => (areLate ? undefined : publisher.settled()),
    identified(connection) {
      connections.identify(connection)
      const { user } = connection.session
      if (user !== null && connections.countOf(user.id) > limits.connectionsPerUser) return false
      presence.set(connection)
      return true
    },
    renewed: (connection) => presence.set(connection),
    closed(connection) {
      connections.delete(connection)
      presence.delete(connection)
      if (connections.size > 0) return
      cancelSweep?.()
      cancelSweep = undefined
      watch.expect(undefined)
    },
    diagnose,
    isBehind: () => watch.isBehind,
    patience: () => clock.monotonic() - watch.lost,
    missed: (connection) => connections.missed(connection, clock.monotonic()),
  }

  function ownConnections(selector: SessionSelector): readonly SessionInfo[] {
    const { process } = presence
    const concerned = connections.concernedBy(sessionEntry({ ...selector, command: 'refresh' }))
    return Array.from(concerned).flatMap(({ info }) => (info === undefined ? [] : { ...info, process }))
  }

  async function command(entry: SessionEntry): Promise<void> {
    // Of an API that has not started this process obeys all the same.
    await ready.catch(() => undefined)
    await commands.send(entry)
  }

  async function caughtUp(): Promise<void> {
    await publisher.settled()
    await Promise.all(Array.from(connections, (connection) => connection.settled()))
  }

  async function close(): Promise<void> {
    for (const connection of connections)
      connection.goodbye(closeCodes.draining, 'server shutting down', comeBackAfter())
    cancelSweep?.()
    for (const some of sweeps) some.close()
    await ready.catch(() => undefined)
    for (const source of sources) await source.stop()
    for (const reader of readers.values()) reader.close()
    keyed.close()
    commands.close()
    await options.results?.close()
    await presence.close()
    await hub.close()
  }

  return {
    ready,
    limits,
    codecs,
    report,
    clock,
    accept(socket, handshake, codec) {
      const connection = new Connection(socket, handshake, codec, around)
      if (closing === undefined) {
        connections.add(connection)
        scheduleSweep()
      } else connection.goodbye(closeCodes.draining, 'server shutting down', comeBackAfter())
      return connection
    },
    sessions: {
      end: ({ reason = 'session ended', ...selector }) =>
        command(sessionEntry({ ...selector, command: 'end', reason })),
      refresh: (selector) => command(sessionEntry({ ...selector, command: 'refresh' })),
      list: (selector) => presence.list(selector, () => ownConnections(selector)),
    },
    async touch(...touched: readonly [string, unknown?]) {
      await ready
      if (closing !== undefined) throw new RtapiError('unavailable', 'the API is closed')
      const [resource, where] = touched
      await touch(resource, where, { models, publisher, gate, limits, clock, caughtUp })
    },
    stats: () => ({
      connections: connections.size,
      subscriptions: sum(connections, ({ subscriptionCount }) => subscriptionCount),
      feeds: sum(readers.values(), ({ feedCount }) => feedCount),
      groups: hub.size,
      timers:
        hub.timers +
        keyed.timers +
        commands.timers +
        sum(connections, ({ timers }) => timers) +
        sum(readers.values(), ({ timers }) => timers) +
        (cancelSweep === undefined ? 0 : 1),
    }),
    close: () => (closing ??= close()),
  }
}

function resolveAll(resources: readonly Resource[]): ReadonlyMap<string, ResourceModel> {
  const models = new Map<string, ResourceModel>()
  for (const resource of resources) {
    if (models.has(resource.name)) throw new TypeError(`the resource '${resource.name}' is defined twice`)
    models.set(resource.name, resolveResource(resource))
  }
  return models
}

function sum<T>(items: Iterable<T>, count: (item: T) => number): number {
  let total = 0
  for (const item of items) total += count(item)
  return total
}

function safely(report: Report): Report {
  return (error, context) => {
    try {
      report(error, context)
    } catch {
      // A report that fails has nobody left to tell.
    }
  }
}

function safeDiagnose(diagnose: Diagnose, report: Report): Diagnose {
  return (event) => {
    try {
      diagnose(event)
    } catch (error) {
      report(error, { during: 'diagnostics' })
    }
  }
}

declare const console: { error(...data: unknown[]): void }
