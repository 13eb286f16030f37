/** What tests want to know of a reply. */
import type { Json, ReplyMessage } from '@rtapi/core/protocol'

/** What a reply says in one word: `ok` or the code of its error. */
export function outcomeOf(reply: ReplyMessage): string {
  return reply.ok ? 'ok' : reply.error.code
}

/** The key that a create has answered. */
export function createdKey(reply: ReplyMessage): number {
  if (!reply.ok) throw new Error(`not created: ${JSON.stringify(reply.error)}`)
  return Number(reply.key)
}

/** One field of each row of a list, in ascending order. */
export function fieldOf(reply: ReplyMessage, field: string): readonly unknown[] {
  return reply.ok ? (reply.rows ?? []).map(({ data }) => data[field]).sort(compare) : []
}

function compare(a: Json | undefined, b: Json | undefined): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  return JSON.stringify(a).localeCompare(JSON.stringify(b))
}
