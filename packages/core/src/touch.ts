import type { ChangePublisher } from './change-publisher.ts'
import type { Change } from './change-source.ts'
import type { Filter } from './filter.ts'
import type { Gate } from './gate.ts'
import { parseWhere } from './parse-where.ts'
import { type Limits, RtapiError, printable } from './protocol.ts'
import type { ResourceModel } from './resource-model.ts'
import { type Clock, type MaybePromise, withTimeout } from './runtime.ts'
import { keyOf } from './value.ts'

/** What `touch` needs around it. */
export interface TouchSurroundings {
  readonly models: ReadonlyMap<string, ResourceModel>
  readonly publisher: ChangePublisher
  readonly gate: Gate
  readonly limits: Limits
  readonly clock: Clock
  /** Settles when the views of this process show what has been announced until now. */
  caughtUp(): Promise<void>
}

/** Names no transaction of a store: no client takes it for its own. */
const TX = 'touch'
/** Characters of a filter that may travel to every process; a longer one counts as all records. */
const MAX_WHERE = 4_096

/**
 * Has everything read anew that may have been written unseen: see `Api.touch`.
 * @throws RtapiError `bad_request` for an unknown resource or a filter that cannot be read.
 */
export async function touch(resource: string, where: unknown, around: TouchSurroundings): Promise<void> {
  const model = modelOf(around.models, resource)
  const { store, types, options } = model
  const filter =
    where === undefined ? undefined : parseWhere(where, { types, lookups: options.lookups ?? {}, trusted: true })
  const matching = filter === undefined ? undefined : await findMatching(model, filter, around)
  const taken = await around.publisher.touch({
    entity: store.entity,
    tx: TX,
    ...(matching === undefined || !travels(model, matching.where, around.models) ? {} : { where: matching.where }),
    found: matching?.found ?? [],
  })
  await around.caughtUp()
  if (!taken)
    throw new RtapiError('unavailable', 'The channel layer has not taken it: other processes may not have heard of it.')
}

function modelOf(models: ReadonlyMap<string, ResourceModel>, name: string): ResourceModel {
  const model = models.get(name)
  if (model !== undefined) return model
  const known = models.size === 0 ? 'none' : [...models.keys()].join(', ')
  throw new RtapiError('bad_request', `there is no resource '${printable(name)}'; there are ${known}`)
}

interface Matching {
  readonly where: Filter
  readonly found: readonly Change[]
}

/** The records that match by now; `undefined` if they are so many that all views are queried again. */
async function findMatching(
  { store, keyOrder, keyFields }: ResourceModel,
  where: Filter,
  { gate, limits, clock }: TouchSurroundings,
): Promise<Matching | undefined> {
  const { coarseKeys, storeTimeout } = limits
  const late = (): Error => new RtapiError('timeout', 'The query took too long.')
  const rows = await gate
    .run(() =>
      withTimeout(
        clock,
        storeTimeout,
        ask(() => store.find({ where, order: keyOrder, limit: coarseKeys + 1 })),
        late,
      ),
    )
    .catch((error: unknown) => {
      if (error instanceof RtapiError) throw error
      throw new RtapiError('unavailable', 'The records cannot be read now.', { cause: error })
    })
  if (rows.length > coarseKeys) return undefined
  const { entity } = store
  const found = rows.map((row): Change => ({
    type: 'change',
    entity,
    key: keyOf(row, keyFields),
    action: 'update',
    after: row,
  }))
  return { where, found }
}

/** What throws at once rejects. */
async function ask<T>(query: () => MaybePromise<T>): Promise<T> {
  return query()
}

/** Stores of one entity may write its fields differently: only of one store is a filter understood by all its views. */
function travels(model: ResourceModel, where: Filter, models: ReadonlyMap<string, ResourceModel>): boolean {
  for (const { store } of models.values())
    if (store !== model.store && store.entity === model.store.entity) return false
  return JSON.stringify(where).length <= MAX_WHERE
}
