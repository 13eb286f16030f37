import type { LayerEntry } from '@rtapi/core'

/**
 * The entry in this JSON, if it is one that this version knows. What comes from Redis may have been written by a newer
 * version, or by anybody else who can write there.
 */
export function parseEntry(json: string): LayerEntry | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return undefined
  }
  return isRecord(value) && isEntry(value) ? (value as unknown as LayerEntry) : undefined
}

type Fields = Readonly<Record<string, unknown>>

function isEntry(entry: Fields): boolean {
  switch (entry['type']) {
    case 'changes':
      return isText(entry['tx']) && isText(entry['entity']) && isListOf(entry['changes'], isChange)
    case 'coarse':
      return isText(entry['tx']) && isText(entry['entity'])
    case 'scope':
      return (
        isText(entry['tx']) && isText(entry['resource']) && (entry['users'] === 'all' || isListOf(entry['users'], isId))
      )
    case 'session':
      return (
        (entry['command'] === 'end' || entry['command'] === 'refresh') &&
        isText(entry['reason']) &&
        (entry['user'] === undefined || isId(entry['user'])) &&
        (entry['session'] === undefined || isText(entry['session'])) &&
        (entry['except'] === undefined || isText(entry['except']))
      )
    default:
      return false
  }
}

function isChange(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { key, action } = value
  return (isId(key) || isListOf(key, isId)) && (action === 'create' || action === 'update' || action === 'delete')
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem)
}

function isId(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number'
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}
