import { everything, type Filter } from './filter.ts'
import { conjunction } from './filter-algebra.ts'
import { RtapiError } from './protocol.ts'
import { type ResourceModel, isSortable, versionOf } from './resource-model.ts'
import type { Json, Row } from './value.ts'

/** A row that remembers which of its fields have been read: by them it was judged. */
export class ObservedRow {
  /** The row to hand to who judges. */
  readonly row: Row
  readonly #observed: Row
  readonly #read = new Set<string>()

  constructor(row: Row) {
    this.#observed = row
    const read = this.#read
    this.row = new Proxy(row, {
      get(target, field) {
        if (typeof field === 'string') read.add(field)
        return Reflect.get(target, field) as unknown
      },
      ownKeys(target) {
        for (const field of Object.keys(target)) read.add(field)
        return Reflect.ownKeys(target)
      },
    })
  }

  /** The condition that the fields which have been read still have their values. */
  unchanged(model: ResourceModel): Filter {
    const known = [...this.#read].filter((field) => Object.hasOwn(model.types, field) && isSortable(model, field))
    return conjunction(...known.map((field) => holds(field, this.#observed[field] ?? null)))
  }
}

function holds(field: string, value: Json): Filter {
  if (value === null) return { type: 'compare', field, operator: 'isNull', value: true }
  return { type: 'compare', field, operator: 'eq', value: typeof value === 'object' ? JSON.stringify(value) : value }
}

/**
 * The condition that the record still has the version which a request names, if it names one.
 * @throws RtapiError `conflict` if this row has another, `bad_request` if the resource has no versions.
 */
export function versionCondition(model: ResourceModel, row: Row, ifVersion: string | number | undefined): Filter {
  const field = model.options.version
  if (ifVersion === undefined) return everything
  if (field === undefined) throw new RtapiError('bad_request', `${model.name} has no versions: leave out 'ifVersion'`)
  const current = versionOf(model, row)
  if (current !== ifVersion) {
    const details = [{ path: [field], message: `the version is ${JSON.stringify(current ?? null)}` }]
    throw new RtapiError('conflict', 'The record has another version.', { details })
  }
  return { type: 'compare', field, operator: 'eq', value: ifVersion }
}
