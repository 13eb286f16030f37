import type { Change, ChangeBatch, CoarseChange } from './change-source.ts'
import type { CoarseEntry, LayerEntry, ScopeEntry, SessionEntry } from './channel-layer.ts'
import type { Filter } from './filter.ts'
import type { GroupHub } from './group-hub.ts'
import { type GroupNaming, entityGroup, groupName, strayGroup } from './groups.ts'
import { type KnownRecord, answerOf, statesOf } from './known-record.ts'
import type { Limits } from './protocol.ts'
import type { Dependency } from './resource.ts'
import type { ResourceModel } from './resource-model.ts'
import type { MaybePromise, Report } from './runtime.ts'
import { sessionEntry } from './session-commands.ts'
import type { SessionCommand, SessionRule } from './session-rule.ts'
import type { StoreReader } from './store-reader.ts'
import type { Key } from './value.ts'

type ChangedKey = { readonly key: Key; readonly action: Change['action'] }

/** Changes of one entity, and what the layer says to them. */
interface Emitted {
  readonly changes: readonly (Change | CoarseChange)[]
  readonly taken: Taken
}

/** Whether the layer has taken all entries of a batch. */
class Taken {
  #refused = false
  readonly #underway: Promise<unknown>[] = []

  /** An entry that the layer takes when the promise resolves, and not if it rejects. */
  add(entry: boolean | Promise<unknown>): void {
    if (entry === false) this.#refused = true
    else if (entry !== true) this.#underway.push(entry)
  }

  everything(): MaybePromise<boolean> {
    if (this.#refused) return false
    if (this.#underway.length === 0) return true
    return Promise.all(this.#underway).then(
      () => true,
      () => false,
    )
  }
}

/** What hangs on one entity. */
interface EntityRoutes {
  readonly entityGroup: string
  readonly strayGroup: string
  readonly namings: GroupNaming[]
  keyFields: readonly string[]
  readonly readers: StoreReader[]
  readonly sessionRules: SessionRule[]
  readonly dependents: { readonly resource: string; readonly dependency: Dependency }[]
}

/** Records of an entity that may have been written unseen. */
export interface TouchedRecords {
  readonly entity: string
  readonly tx: string
  /** Absent: all. */
  readonly where?: Filter
  /** The records that match by now. */
  readonly found: readonly Change[]
}

/** The group that hears when scopes of a resource may have changed. */
export function scopeGroup(resource: string): string {
  return groupName('scope', resource)
}

/** What the publisher needs around it. */
export interface PublisherSurroundings {
  readonly hub: GroupHub
  readonly limits: Limits
  readonly report: Report
  readonly sessionRules: readonly SessionRule[]
  readerOf(model: ResourceModel): StoreReader
  /** Does in this process what an entry about scopes says. */
  obey(entry: ScopeEntry): void
  /** Takes a command about sessions to every process. */
  command(entry: SessionEntry): MaybePromise<void>
}

/**
 * Takes committed changes from the sources to the groups that must hear of them. There is no other way for a change to
 * reach a feed: this process, too, hears of its own changes through the layer.
 */
export class ChangePublisher {
  readonly #around: PublisherSurroundings
  readonly #readers = new Set<StoreReader>()
  readonly #routes = new Map<string, EntityRoutes>()
  /** Batches on their way to this process's own feeds. */
  readonly #underway = new Set<Promise<void>>()

  constructor(models: Iterable<ResourceModel>, around: PublisherSurroundings) {
    this.#around = around
    for (const rule of around.sessionRules) this.#routesOf(rule.entity).sessionRules.push(rule)
    for (const model of models) {
      const routes = this.#routesOf(model.store.entity)
      routes.keyFields = model.keyFields
      if (model.groups.fields.length > 0) routes.namings.push(model.groups)
      const reader = around.readerOf(model)
      this.#readers.add(reader)
      if (!routes.readers.includes(reader)) routes.readers.push(reader)
      for (const dependency of model.options.dependsOn ?? []) {
        this.#routesOf(dependency.entity).dependents.push({ resource: model.name, dependency })
      }
    }
  }

  /** For `ChangeSource.start`: never throws, never waits; answers whether the layer has taken everything. */
  readonly emit = (batch: ChangeBatch): MaybePromise<boolean> => {
    const entities = byEntity(batch.changes)
    const taken = new Taken()
    // Who may see what goes first: no row is judged by a scope, or sent to a session, that the same transaction has ended.
    for (const [entity, changes] of entities) this.#publishSessions(entity, changes, taken)
    for (const [entity, changes] of entities) this.#publishScopes(entity, batch.tx, { changes, taken })
    for (const [entity, changes] of entities) this.#publishChanges(entity, batch.tx, { changes, taken })
    return taken.everything()
  }

  /**
   * Announces what no source has seen. Never throws. Of what the records were before nothing is known: for whoever goes
   * by them, all records of the entity have changed.
   */
  touch({ entity, tx, where, found }: TouchedRecords): MaybePromise<boolean> {
    const all: readonly CoarseChange[] = [{ type: 'coarse', entity }]
    const taken = new Taken()
    this.#publishSessions(entity, all, taken)
    this.#publishScopes(entity, tx, { changes: all, taken })
    const routes = this.#routesOf(entity)
    this.#publishCoarse(routes, { type: 'coarse', tx, entity, ...(where === undefined ? {} : { where }) }, taken)
    if (found.length > 0) this.#publishChanges(entity, tx, { changes: found, taken })
    return taken.everything()
  }

  /** Settles when everything emitted until now has been handed to the members of this process's feeds. */
  async settled(): Promise<void> {
    await Promise.all(this.#underway)
    await Promise.all([...this.#readers].map((reader) => reader.caughtUp()))
  }

  #routesOf(entity: string): EntityRoutes {
    const known = this.#routes.get(entity)
    if (known !== undefined) return known
    const routes: EntityRoutes = {
      entityGroup: entityGroup(entity),
      strayGroup: strayGroup(entity),
      namings: [],
      keyFields: [],
      readers: [],
      sessionRules: [],
      dependents: [],
    }
    this.#routes.set(entity, routes)
    return routes
  }

  #publishSessions(entity: string, changes: readonly (Change | CoarseChange)[], taken: Taken): void {
    const routes = this.#routes.get(entity)
    if (routes === undefined) return
    // A transaction that concerns many sends each command once.
    const commands = new Map<string, SessionEntry>()
    for (const rule of routes.sessionRules) {
      for (const change of changes) {
        const otherwise: readonly SessionCommand[] = [{ everyone: true, command: 'refresh' }]
        for (const command of this.#answer('sessionRules', () => rule.commands(change), otherwise)) {
          const entry = sessionEntry(command)
          commands.set(JSON.stringify(entry), entry)
        }
      }
    }
    for (const entry of commands.values()) {
      try {
        const sent = this.#around.command(entry)
        if (!(sent instanceof Promise)) continue
        taken.add(sent)
        this.#await(sent.catch((error: unknown) => this.#commandFailed(error)))
      } catch (error) {
        taken.add(false)
        this.#commandFailed(error)
      }
    }
  }

  #commandFailed(error: unknown): void {
    this.#around.report(error, { during: 'sessions.command' })
  }

  #publishScopes(entity: string, tx: string, { changes, taken }: Emitted): void {
    const routes = this.#routes.get(entity)
    for (const { resource, dependency } of routes?.dependents ?? []) {
      const users = this.#answer('dependsOn', () => concernedUsers(dependency, changes), 'all')
      if (routes !== undefined)
        taken.add(this.#publish(routes, scopeGroup(resource), { type: 'scope', tx, resource, users }))
    }
  }

  #publishChanges(entity: string, tx: string, { changes, taken }: Emitted): void {
    const routes = this.#routes.get(entity)
    if (routes === undefined || routes.readers.length === 0) return
    const exact = changes.filter((change) => change.type === 'change')
    if (exact.length < changes.length || exact.length > this.#around.limits.coarseKeys) {
      this.#publishCoarse(routes, { type: 'coarse', tx, entity }, taken)
      return
    }
    const all = exact.map(({ key, action }): ChangedKey => ({ key, action }))
    const whole: LayerEntry = { type: 'changes', tx, entity, changes: all }
    taken.add(this.#publish(routes, routes.entityGroup, whole))
    if (routes.namings.length === 0) return
    for (const [group, changes] of this.#narrowKeys(routes, entity, exact, all)) {
      const entry = changes.length === all.length ? whole : ({ type: 'changes', tx, entity, changes } as const)
      taken.add(this.#publish(routes, group, entry))
    }
  }

  #publishCoarse(routes: EntityRoutes, entry: CoarseEntry, taken: Taken): void {
    taken.add(this.#publish(routes, routes.entityGroup, entry))
    if (routes.namings.length > 0) taken.add(this.#publish(routes, routes.strayGroup, entry))
  }

  /** Answers whether the layer has taken it. */
  #publish(routes: EntityRoutes, group: string, entry: LayerEntry): boolean | Promise<unknown> {
    try {
      const position = this.#around.hub.publish(group, entry)
      if (position instanceof Promise) {
        this.#track(
          position.then((at) => this.#around.hub.reached(group, at)),
          routes,
          entry,
        )
        return position
      }
      this.#track(this.#around.hub.reached(group, position), routes, entry)
      return true
    } catch (error) {
      this.#failed(error, routes, entry)
      return false
    }
  }

  /** A layer that answers at once has delivered already: there is nothing to wait for. */
  #track(delivery: MaybePromise<void>, routes: EntityRoutes, entry: LayerEntry): void {
    if (!(delivery instanceof Promise)) return
    this.#await(delivery.catch((error: unknown) => this.#failed(error, routes, entry)))
  }

  #await(work: Promise<void>): void {
    const done = work.finally(() => this.#underway.delete(done))
    this.#underway.add(done)
  }

  #failed(error: unknown, routes: EntityRoutes, entry: LayerEntry): void {
    this.#around.report(error, { during: 'layer.publish' })
    this.#applyLocally(routes, entry)
  }

  /** Without the layer this process still hears of its own changes; the others heal when continuity is checked. */
  #applyLocally(routes: EntityRoutes, entry: LayerEntry): void {
    if (entry.type === 'scope') this.#around.obey(entry)
    for (const reader of routes.readers) {
      if (entry.type === 'changes') reader.markLocally(entry.changes, entry.tx)
      else if (entry.type === 'coarse') reader.requeryAll(entry.where)
    }
  }

  /** The groups beside that of the entity that must hear of these changes, each with the keys that concern it. */
  #narrowKeys(
    routes: EntityRoutes,
    entity: string,
    changes: readonly Change[],
    all: readonly ChangedKey[],
  ): ReadonlyMap<string, readonly ChangedKey[]> {
    const groups = new Map<string, ChangedKey[]>()
    for (const [i, changed] of all.entries()) {
      const change = changes[i]
      if (change === undefined) continue
      const names = this.#answer('groups', () => narrowGroups(routes, entity, change), [routes.strayGroup])
      for (const name of names) {
        const keys = groups.get(name)
        if (keys === undefined) groups.set(name, [changed])
        else keys.push(changed)
      }
    }
    return groups
  }

  /** What a rule of the application answers; where it fails, what is right whatever it would have answered. */
  #answer<T>(rule: string, ask: () => T, otherwise: T): T {
    try {
      return ask()
    } catch (error) {
      this.#around.report(error, { during: `changes.${rule}` })
      return otherwise
    }
  }
}

function byEntity(changes: ChangeBatch['changes']): Map<string, (Change | CoarseChange)[]> {
  const entities = new Map<string, (Change | CoarseChange)[]>()
  for (const change of changes) {
    const known = entities.get(change.entity)
    if (known === undefined) entities.set(change.entity, [change])
    else known.push(change)
  }
  return entities
}

/** The groups beside that of the entity that must hear of a change. */
function narrowGroups(routes: EntityRoutes, entity: string, change: Change): Iterable<string> {
  const states = statesOf(change)
  const names = new Set<string>()
  for (const naming of routes.namings) {
    let before: KnownRecord | undefined
    for (const state of states) {
      const row = namedRow(naming, state, routes.keyFields, change.key)
      if (row === undefined) names.add(routes.strayGroup)
      // Most updates leave a record in its groups.
      else if (before === undefined || naming.fields.some((field) => row[field] !== before?.[field]))
        for (const name of naming.ofRow(row)) names.add(groupName(entity, ...name))
      before = row
    }
  }
  return names
}

/** A row with all that a naming reads of it, the key's fields if they are not in the row; `undefined` if some is unknown. */
function namedRow(
  naming: GroupNaming,
  row: KnownRecord,
  keyFields: readonly string[],
  key: Key,
): KnownRecord | undefined {
  if (naming.fields.every((field) => row[field] !== undefined)) return row
  const parts = typeof key === 'object' ? key : [key]
  const keyed = Object.fromEntries(keyFields.map((field, i) => [field, parts[i] ?? null]))
  const isKnown = naming.fields.every((field) => row[field] !== undefined || keyed[field] !== undefined)
  return isKnown ? { ...keyed, ...row } : undefined
}

/** The users whose scope these changes concern; everybody, where the rule asks for what is not known of a change. */
function concernedUsers(
  dependency: Dependency,
  changes: readonly (Change | CoarseChange)[],
): readonly (string | number)[] | 'all' {
  const users = new Set<string | number>()
  for (const change of changes) {
    for (const state of change.type === 'coarse' ? [{}] : statesOf(change)) {
      const concerned = answerOf(state, (record) => dependency.users?.(record))
      if (concerned === undefined) return 'all'
      for (const user of concerned) users.add(user)
    }
  }
  return [...users]
}
