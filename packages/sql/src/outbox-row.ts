import type { Change, ChangeBatch, CoarseChange, Key } from '@rtapi/core'

/**
 * What an outbox keeps of the changes of a transaction, as JSON: `[{ "entity": "Task", "key": 7, "action": "update" },
 * { "entity": "Person" }]`. Without a key any records of the entity may have changed. Values of fields are not kept, so
 * that the rows stay small and hold nothing but keys; what is read from them goes to more views than it need to.
 * @param most - entities with more changed records than that are kept without keys.
 */
export function writeRow(changes: ChangeBatch['changes'], most: number): string {
  const counts = new Map<string, number>()
  for (const change of changes) {
    counts.set(change.entity, (counts.get(change.entity) ?? 0) + (change.type === 'coarse' ? most + 1 : 1))
  }
  const isCoarse = (entity: string) => (counts.get(entity) ?? 0) > most
  const coarse = [...counts.keys()].filter(isCoarse).map((entity) => ({ entity }))
  const exact = changes.flatMap((change) =>
    change.type === 'coarse' || isCoarse(change.entity)
      ? []
      : [{ entity: change.entity, key: change.key, action: change.action }],
  )
  return JSON.stringify([...coarse, ...exact])
}

/**
 * Reads the changes in a row, which another program or another version may have written: of what it does not understand
 * it takes the entity. `undefined` if not even that can be read.
 */
export function readRow(text: unknown): readonly (Change | CoarseChange)[] | undefined {
  const parsed = parse(text)
  if (!Array.isArray(parsed) || parsed.length === 0) return undefined
  const changes = (parsed as unknown[]).map(readChange)
  return changes.every((change) => change !== undefined) ? changes : undefined
}

function parse(text: unknown): unknown {
  if (typeof text !== 'string') return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function readChange(value: unknown): Change | CoarseChange | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { entity, key, action } = value as Readonly<Record<string, unknown>>
  if (typeof entity !== 'string' || entity === '') return undefined
  return isKey(key) && isAction(action) ? { type: 'change', entity, key, action } : { type: 'coarse', entity }
}

function isKey(value: unknown): value is Key {
  return isPart(value) || (Array.isArray(value) && value.length > 0 && (value as unknown[]).every(isPart))
}

function isPart(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number'
}

function isAction(value: unknown): value is Change['action'] {
  return value === 'create' || value === 'update' || value === 'delete'
}
