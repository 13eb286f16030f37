import type { Access, AccessControl } from './access.ts'
import { everything, type Filter } from './filter.ts'
import { conjunction } from './filter-algebra.ts'
import { describeResource } from './describe.ts'
import type { KeyedWrites } from './keyed-writes.ts'
import { checkQuery, keyFilter, paramValues, requireReadable } from './query.ts'
import { checkInput, validate } from './input.ts'
import { matchesFilter } from './match-filter.ts'
import { afterCursor, cursorOf } from './page-cursor.ts'
import { ObservedRow, versionCondition } from './observed-row.ts'
import { parseWhere } from './parse-where.ts'
import { type Limits, type RequestMessage, RtapiError, printable } from './protocol.ts'
import { type Outcome, ownAction, unfit } from './requested-action.ts'
import type { ActionContext, OwnAction } from './resource.ts'
import { type ResourceModel, wireRow } from './resource-model.ts'
import { type Clock, type MaybePromise, withTimeout } from './runtime.ts'
import type { Session } from './session.ts'
import type { WriteResult } from './store.ts'
import { type Json, type Key, type Row, keyOf } from './value.ts'

export interface RequestSurroundings {
  readonly models: ReadonlyMap<string, ResourceModel>
  readonly access: AccessControl
  readonly keyed: KeyedWrites
  readonly limits: Limits
  readonly clock: Clock
}

const WRITE_ATTEMPTS = 3

/** Runs requests: checks them, asks the permissions, calls the store. It knows nothing of connections. */
export class Requests {
  readonly #around: RequestSurroundings
  /** Told when a write with an idempotency key begins to write. */
  readonly #begins = new WeakMap<RequestMessage, () => void>()

  constructor(around: RequestSurroundings) {
    this.#around = around
  }

  /**
   * Runs one request.
   * @throws RtapiError for what the client is to be told; anything else is a fault of the server.
   */
  async run(session: Session, message: RequestMessage): Promise<Outcome> {
    const model = this.model(message.resource)
    const problem = unfit(model, message)
    if (problem !== undefined) throw (await this.#isVisible(model, session)) ? problem : noSuchResource(model.name)
    const { idempotencyKey } = message
    if (idempotencyKey === undefined) return this.#discreetly(model, session, message)
    // Whoever may not write is told so, whether or not it was done before.
    await this.allowed(model, session, message.action)
    return this.#around.keyed.run({
      session,
      message,
      key: idempotencyKey,
      execute: (begin) => {
        this.#begins.set(message, begin)
        return this.#discreetly(model, session, message)
      },
      keep: (outcome) => this.#kept(model, message, outcome),
      repeat: (kept) => this.#repeated(model, session, message, kept),
    })
  }

  /** What a store or a validator says of fields that the session can neither see nor has named is not passed on. */
  async #discreetly(model: ResourceModel, session: Session, message: RequestMessage): Promise<Outcome> {
    try {
      return await this.#execute(model, session, message)
    } catch (error) {
      if (!(error instanceof RtapiError) || error.details === undefined) throw error
      const seen = await this.#seenFields(model, session)
      const named = fieldsOf(message.data)
      const details = error.details.filter(({ path: [field] }) => {
        if (typeof field !== 'string' || !Object.hasOwn(model.description.fields, field)) return true
        return Object.hasOwn(named, field) || seen.includes(field)
      })
      if (details.length === error.details.length) throw error
      throw new RtapiError(error.code, error.message, { cause: error, retryAfter: error.retryAfter, details })
    }
  }

  /** The fields that the session may see; none where that cannot be told. */
  async #seenFields(model: ResourceModel, session: Session): Promise<readonly string[]> {
    try {
      return (await this.#around.access.access(model, session, 'get'))?.fields ?? []
    } catch {
      return []
    }
  }

  async #execute(model: ResourceModel, session: Session, message: RequestMessage): Promise<Outcome> {
    const own = ownAction(model, message.action)
    if (own !== undefined) return this.#own(model, session, message, own)
    switch (message.action) {
      case 'list':
        return this.#list(model, session, message)
      case 'get':
        return this.#get(model, session, message)
      case 'create':
        return this.#create(model, session, message)
      case 'update':
        return this.#update(model, session, message)
      case 'delete':
        return this.#delete(model, session, message)
      default:
        return this.#describe(model, session)
    }
  }

  /** @throws RtapiError `not_found` for a name that is none. */
  model(name: string): ResourceModel {
    const model = this.#around.models.get(name)
    if (model === undefined) throw noSuchResource(name)
    return model
  }

  /**
   * What the session may do by this action.
   * @throws RtapiError `forbidden`, or `unauthenticated` where signing in could help. A resource on which the session can
   * do nothing looks like one that does not exist.
   */
  async allowed(model: ResourceModel, session: Session, action: string): Promise<Access> {
    const offered = action !== 'subscribe' || model.actions.has('subscribe')
    const access = offered ? await this.#around.access.access(model, session, action) : null
    if (access !== null) return access
    if (!offered && (await this.#isVisible(model, session)))
      throw new RtapiError('unsupported', `${model.name} offers no subscriptions`)
    if (!(await this.#isVisible(model, session))) throw noSuchResource(model.name)
    if (session.user === null) throw new RtapiError('unauthenticated', `sign in to use '${action}' of ${model.name}`)
    throw new RtapiError('forbidden', `this session may not use '${action}' of ${model.name}`)
  }

  async #isVisible(model: ResourceModel, session: Session): Promise<boolean> {
    for (const action of actionsOf(model))
      if ((await this.#around.access.access(model, session, action)) !== null) return true
    return false
  }

  async #list(model: ResourceModel, session: Session, message: RequestMessage): Promise<Outcome> {
    const access = await this.allowed(model, session, 'list')
    const { limits } = this.#around
    if (message.limit !== undefined && message.limit > limits.pageMax) {
      throw new RtapiError('limit_exceeded', `limit: a page holds at most ${limits.pageMax} rows`)
    }
    const limit = message.limit ?? limits.pageDefault
    const { filter, order, fields } = checkQuery(model, message, access, limits)
    const after = message.after === undefined ? everything : afterCursor(order, message.after)
    const rows = await this.#store(
      model.store.find({ where: conjunction(filter, access.scope, after), order, limit: limit + 1 }),
    )
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return {
      rows: page.map((row) => wireRow(model, row, fields)),
      ...(rows.length > limit && last !== undefined ? { next: cursorOf(order, last) } : {}),
    }
  }

  async #get(model: ResourceModel, session: Session, message: RequestMessage): Promise<Outcome> {
    const access = await this.allowed(model, session, 'get')
    requireKey(message)
    const { filter, fields } = checkQuery(model, message, access, this.#around.limits)
    const [row] = await this.#store(
      model.store.find({ where: conjunction(filter, access.scope), order: model.keyOrder, limit: 1 }),
    )
    if (row === undefined) throw notFound()
    return wireRow(model, row, fields)
  }

  async #create(model: ResourceModel, session: Session, message: RequestMessage): Promise<Outcome> {
    await this.allowed(model, session, 'create')
    await this.#checkShown(model, session, message)
    const params = paramValues(model, message.params)
    const { options, store } = model
    const given = withParams(message.data, params)
    const data =
      options.input?.create === undefined
        ? given
        : await this.#checked(checkInput(model, options.input.create, given, 'create'))
    if (!(await this.#around.access.allowsRecord(model, session, 'create', fieldsOf(data))))
      throw forbiddenRecord('create')
    const result = await this.#write(model, message, () =>
      options.create === undefined ? store.create(data) : options.create({ session, params }, data),
    )
    return this.#written(model, session, message, result)
  }

  async #update(model: ResourceModel, session: Session, message: RequestMessage): Promise<Outcome> {
    const write = await this.allowed(model, session, 'update')
    await this.#checkShown(model, session, message)
    const { options, store } = model
    return this.#onRecord(model, session, message, write, async (key, row, context) => {
      const input = options.input?.update
      const patch =
        input === undefined ? message.data : await this.#checked(checkInput(model, input, message.data, 'update'))
      const judged = await this.#judge(model, session, 'update', row, { ...row, ...fieldsOf(patch) })
      return (where) =>
        options.update === undefined
          ? store.update(key, patch, conjunction(where, judged))
          : foundBy(options.update(context, key, patch))
    })
  }

  async #delete(model: ResourceModel, session: Session, message: RequestMessage): Promise<Outcome> {
    const write = await this.allowed(model, session, 'delete')
    const { options, store } = model
    const outcome = await this.#onRecord(model, session, message, write, async (key, row, context) => {
      const judged = await this.#judge(model, session, 'delete', row)
      return (where) =>
        options.delete === undefined
          ? store.delete(key, conjunction(where, judged))
          : foundBy(options.delete(context, key))
    })
    const { key, tx } = outcome
    return { ...(key === undefined ? {} : { key }), ...(tx === undefined ? {} : { tx }) }
  }

  /**
   * A write on one record: finds it as the session reads it, lets it be judged, and writes it under the condition that
   * it is still the record that was judged. Where it has changed meanwhile, everything is asked again.
   */
  async #onRecord(
    model: ResourceModel,
    session: Session,
    message: RequestMessage,
    write: Access,
    prepare: (
      key: Key,
      row: Row,
      context: ActionContext,
    ) => Promise<(where: Filter) => MaybePromise<WriteResult | null>>,
  ): Promise<Outcome> {
    const key = requireKey(message)
    const params = paramValues(model, message.params)
    const readable = await this.#readable(model, session, key, params)
    for (let attempt = 0; attempt < WRITE_ATTEMPTS; attempt++) {
      const row = await this.#find(model, readable)
      if (!matchesFilter(write.scope, model.types, row)) throw forbiddenRecord(message.action)
      const version = versionCondition(model, row, message.ifVersion)
      const execute = await prepare(key, row, { session, params })
      const result = await this.#write(model, message, () => execute(conjunction(readable, write.scope, version)))
      if (result !== null) return this.#written(model, session, message, result)
    }
    throw new RtapiError('conflict', 'The record is being changed by others; try again.')
  }

  /** The condition under which the session reads this record; nothing if it may read none. */
  async #readable(
    model: ResourceModel,
    session: Session,
    key: Key,
    params: Readonly<Record<string, Json>>,
  ): Promise<Filter> {
    const access = await this.#around.access.access(model, session, 'get')
    if (access === null) throw notFound()
    return conjunction(keyFilter(model, key), parseWhere(params, { types: model.types }), access.scope)
  }

  async #find(model: ResourceModel, where: Filter): Promise<Row> {
    const [row] = await this.#store(model.store.find({ where, order: model.keyOrder, limit: 1 }))
    if (row === undefined) throw notFound()
    return row
  }

  /**
   * Asks `allowsRecord` about the record as it is and as it would become. Answers the condition that the fields which
   * the rule has read are unchanged, so that nothing slips between the judgement and the write.
   */
  async #judge(model: ResourceModel, session: Session, action: string, row: Row, becomes?: Row): Promise<Filter> {
    const observed = new ObservedRow(row)
    if (!(await this.#around.access.allowsRecord(model, session, action, observed.row))) throw forbiddenRecord(action)
    if (becomes !== undefined && !(await this.#around.access.allowsRecord(model, session, action, becomes)))
      throw forbiddenRecord(action)
    return observed.unchanged(model)
  }

  async #own(model: ResourceModel, session: Session, message: RequestMessage, action: OwnAction): Promise<Outcome> {
    const write = await this.allowed(model, session, message.action)
    const params = paramValues(model, message.params)
    let row: Row | undefined
    if (action.record === true) {
      row = await this.#find(model, await this.#readable(model, session, requireKey(message), params))
      if (!matchesFilter(write.scope, model.types, row)) throw forbiddenRecord(message.action)
      await this.#judge(model, session, message.action, row)
    }
    const data = action.input === undefined ? undefined : await this.#checked(validate(action.input, message.data))
    const result = await this.#write(model, message, () =>
      action.run({ session, params }, { data, key: message.key, row }),
    )
    return result === undefined ? {} : { data: result }
  }

  async #describe(model: ResourceModel, session: Session): Promise<Outcome> {
    const access = await this.allowed(model, session, 'describe')
    const actions: string[] = []
    for (const action of actionsOf(model)) {
      if ((await this.#around.access.access(model, session, action)) !== null) actions.push(action)
    }
    return { data: describeResource(model, access.fields, actions) }
  }

  /** Before a write: whether the fields which its reply is to show can be shown at all. */
  async #checkShown(model: ResourceModel, session: Session, { fields }: RequestMessage): Promise<void> {
    if (fields === undefined) return
    const access = await this.#around.access.access(model, session, 'get')
    for (const field of fields) requireReadable(access?.fields ?? [], field, 'fields')
  }

  /** The row of a write as this session sees it: its key alone if it may not, or no longer, read it. */
  async #written(
    model: ResourceModel,
    session: Session,
    message: RequestMessage,
    { row, tx }: WriteResult,
  ): Promise<Outcome> {
    const told = { key: keyOf(row, model.keyFields), ...(tx === undefined ? {} : { tx }) }
    let access: Access | null = null
    try {
      access = await this.#around.access.access(model, session, 'get')
    } catch {
      // The write has been done: a rule that fails now must not make it look as if it had not.
    }
    if (access === null || !matchesFilter(access.scope, model.types, row)) return told
    return { ...wireRow(model, row, shownFields(access, message)), ...told }
  }

  /** What outlives a write: its row does not, since who repeats the write may not see what was shown then. */
  #kept(model: ResourceModel, { action }: RequestMessage, { key, tx, data }: Outcome): Outcome {
    const told = { ...(key === undefined ? {} : { key }), ...(tx === undefined ? {} : { tx }) }
    return ownAction(model, action) === undefined || data === undefined ? told : { ...told, data }
  }

  /** The answer to a repeated write: what was kept, and the record as it is now and as this session sees it. */
  async #repeated(model: ResourceModel, session: Session, message: RequestMessage, kept: Outcome): Promise<Outcome> {
    const { key } = kept
    if (key === undefined || message.action === 'delete' || ownAction(model, message.action) !== undefined) return kept
    const access = await this.#around.access.access(model, session, 'get')
    if (access === null) return kept
    const where = conjunction(keyFilter(model, key), access.scope)
    const [row] = await this.#store(model.store.find({ where, order: model.keyOrder, limit: 1 }))
    return row === undefined ? kept : { ...wireRow(model, row, shownFields(access, message)), ...kept }
  }

  #store<T>(work: MaybePromise<T>): Promise<T> {
    const { clock, limits } = this.#around
    return withTimeout(
      clock,
      limits.storeTimeout,
      work,
      () => new RtapiError('timeout', 'The records could not be read in time.'),
    )
  }

  #checked<T>(work: Promise<T>): Promise<T> {
    const { clock, limits } = this.#around
    return withTimeout(
      clock,
      limits.ruleTimeout,
      work,
      () => new RtapiError('timeout', 'The data could not be checked in time.'),
    )
  }

  /** A write is not given up half-way: it may still succeed, and the reply must not say otherwise. */
  async #write<T>(model: ResourceModel, message: RequestMessage, work: () => MaybePromise<T>): Promise<T> {
    const { clock, limits } = this.#around
    const begin = this.#begins.get(message)
    if (begin !== undefined) {
      // The end of it is waited for, to be written down; that the client does not wait so long is seen to elsewhere.
      begin()
      return work()
    }
    const late = (): RtapiError =>
      new RtapiError('timeout', `The write to ${model.name} did not finish in time; its outcome is unknown.`)
    return withTimeout(clock, limits.storeTimeout, work(), late)
  }
}

/** Every action by its name, the standard ones first. */
function actionsOf(model: ResourceModel): readonly string[] {
  return [...model.actions, ...Object.keys(model.options.ownActions ?? {})]
}

/** Data as a record to judge: an override without an `input` may take anything. */
function fieldsOf(data: unknown): Row {
  return typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Row) : {}
}

/** What an override has written; it answers null where there is no such record any more. */
async function foundBy(result: MaybePromise<WriteResult | null>): Promise<WriteResult> {
  const found = await result
  if (found === null) throw notFound()
  return found
}

function shownFields(access: Access, { fields }: RequestMessage): readonly string[] {
  return fields === undefined ? access.fields : access.fields.filter((field) => fields.includes(field))
}

function requireKey({ key, action }: RequestMessage): Key {
  if (key === undefined) throw new RtapiError('bad_request', `'${action}' needs a key`)
  return key
}

/** The parents of a nested route fill in the data of a create; data that names another parent is refused. */
function withParams(data: Json | undefined, params: Readonly<Record<string, Json>>): Json | undefined {
  if (Object.keys(params).length === 0) return data
  if (data !== undefined && (typeof data !== 'object' || data === null || Array.isArray(data))) return data
  const given: Readonly<Record<string, Json>> = (data as Readonly<Record<string, Json>> | undefined) ?? {}
  for (const [field, value] of Object.entries(params)) {
    if (given[field] !== undefined && given[field] !== value)
      throw new RtapiError('bad_request', `'${field}' in data is not that of params`)
  }
  return { ...given, ...params }
}

function noSuchResource(name: string): RtapiError {
  return new RtapiError('not_found', `no resource '${printable(name)}'`)
}

/** One text for missing and hidden. */
function notFound(): RtapiError {
  return new RtapiError('not_found', 'No such record.')
}

function forbiddenRecord(action: string): RtapiError {
  return new RtapiError('forbidden', `this session may not use '${printable(action)}' on this record`)
}
