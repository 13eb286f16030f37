import { type Change, type ChangeBatch, type CoarseChange, type Json, type Key, type KeyId, keyId } from '@rtapi/core'

type Known = Readonly<Record<string, Json>>

/** One write of one record, in the order in which the writes of a transaction took place. */
export interface RecordWrite {
  readonly entity: string
  readonly key: Key
  readonly action: Change['action']
  /** What is known of the record before and after. */
  readonly before?: Known
  readonly after?: Known
}

/** Makes of the writes of one transaction one change for each record, and one coarse change for each entity. */
export class ChangeLog {
  readonly #coarse = new Set<string>()
  readonly #changes = new Map<string, Map<KeyId, Change>>()

  /** Some records of this entity may have been written. */
  addCoarse(entity: string): void {
    this.#coarse.add(entity)
  }

  /** One record was written. */
  add(write: RecordWrite): void {
    let changes = this.#changes.get(write.entity)
    if (changes === undefined) {
      changes = new Map()
      this.#changes.set(write.entity, changes)
    }
    const id = keyId(write.key)
    const earlier = changes.get(id)
    if (earlier === undefined) {
      changes.set(id, toChange(write))
      return
    }
    // The later write moves the record to the end, so that the order is that of the last writes.
    changes.delete(id)
    const change = merge(earlier, write)
    if (change !== undefined) changes.set(id, change)
  }

  /** What to announce; empty if the transaction changed nothing. */
  changes(): ChangeBatch['changes'] {
    const all: (Change | CoarseChange)[] = []
    for (const entity of this.#coarse) all.push({ type: 'coarse', entity })
    for (const changes of this.#changes.values()) for (const change of changes.values()) all.push(change)
    return all
  }
}

function toChange({ entity, key, action, before, after }: RecordWrite): Change {
  const hadValues = before !== undefined && action !== 'create'
  const hasValues = after !== undefined && action !== 'delete'
  if (hadValues) return { type: 'change', entity, key, action, before, ...(hasValues && { after }) }
  return hasValues ? { type: 'change', entity, key, action, after } : { type: 'change', entity, key, action }
}

/** What two writes of one record are together; `undefined` if nothing is left of them. */
function merge(earlier: Change, write: RecordWrite): Change | undefined {
  const { entity, key } = write
  const wasThere = earlier.action !== 'create'
  const isThere = write.action !== 'delete'
  if (!wasThere && !isThere) return undefined
  const action = !wasThere ? 'create' : isThere ? 'update' : 'delete'
  const before = mergeBefore(earlier, write)
  // A record that was deleted and made again holds nothing of what it was.
  const after = earlier.action === 'delete' ? write.after : mergeAfter(earlier, write)
  return toChange({ entity, key, action, ...(before && { before }), ...(after && { after }) })
}

/** What was known first stands; what became known later counts only where nothing was written in between. */
function mergeBefore({ before, after }: Change, write: RecordWrite): Known | undefined {
  if (write.before === undefined) return before
  const known = { ...before }
  for (const [field, value] of Object.entries(write.before)) {
    if (!(field in known) && after !== undefined && !(field in after)) known[field] = value
  }
  return before === undefined && Object.keys(known).length === 0 ? undefined : known
}

/** A later write of which nothing is known may have changed each field. */
function mergeAfter({ after }: Change, write: RecordWrite): Known | undefined {
  return write.after === undefined ? undefined : { ...after, ...write.after }
}
