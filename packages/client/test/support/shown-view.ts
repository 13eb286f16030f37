import { type Scripted, liveClient, wireRow } from './scripted-client.ts'

/** A whole snapshot of feed f1 at position p1, unless the fields say otherwise. */
export function snapshot(
  id: string,
  rows: readonly unknown[],
  fields: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const order = [['id', 'asc', 'integer']]
  return { type: 'snapshot', id, feed: 'f1', rows, part: 0, done: true, position: 'p1', order, ...fields }
}

/** Changes of feed f1. */
export function changes(from: string, to: string, ...list: readonly unknown[]): Record<string, unknown> {
  return { type: 'changes', feed: 'f1', from, to, changes: list }
}

/** A view that shows the comments 1 and 2. */
export function shownView(scripted: Scripted = liveClient()) {
  const { client, transport } = scripted
  const view = client.comments.live()
  const { id } = transport.link.takeSubscribe()
  transport.link.say(snapshot(id, [wireRow(1), wireRow(2)]))
  return { ...scripted, view, id }
}

/** The ids of rows, in order. */
export function ids(rows: readonly { readonly id: number }[]): number[] {
  return rows.map(({ id }) => id)
}
