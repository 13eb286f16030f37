import type { ChangeAction, WireChange } from './protocol.ts'

/** Two changes of one key as one: what a client that heard of neither must be told. */
export function mergeChanges(before: WireChange | undefined, next: WireChange): WireChange | undefined {
  if (before === undefined) return next
  const isNew = before.action === 'create' || before.action === 'enter'
  const wasGone = before.action === 'delete' || before.action === 'leave'
  const goes = next.action === 'delete' || next.action === 'leave'
  if (goes) return isNew ? undefined : next
  const action: ChangeAction = isNew ? before.action : wasGone ? 'update' : next.action
  return { ...next, action }
}
