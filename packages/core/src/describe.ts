import { operatorsOf } from './parse-where.ts'
import { type ResourceModel, isSortable } from './resource-model.ts'
import type { Json } from './value.ts'

/** What a client can know of a resource: these of its fields, and what can be done with them and with it. */
export function describeResource(
  model: ResourceModel,
  readable: readonly string[],
  actions: readonly string[],
): Readonly<Record<string, Json>> {
  const fields: Record<string, Json> = {}
  for (const field of readable) {
    const description = model.description.fields[field]
    if (description === undefined) continue
    const { type, nullable } = description
    fields[field] = { type, nullable, operators: operatorsOf(type), sortable: isSortable(model, field) }
  }
  const lookups = Object.entries(model.options.lookups ?? {}).filter(([, { field }]) => readable.includes(field))
  return {
    resource: model.name,
    key: model.keyFields,
    version: model.options.version ?? null,
    fields,
    lookups: Object.fromEntries(lookups.map(([name, { field, operator }]) => [name, { field, operator }])),
    params: [...(model.options.params ?? [])],
    actions: [...actions],
  }
}
