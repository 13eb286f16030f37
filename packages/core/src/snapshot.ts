import type { Feed, FeedSnapshot } from './feed.ts'
import type { FeedSpec } from './feed-spec.ts'
import type { Group, GroupHub } from './group-hub.ts'
import { readPosition } from './position.ts'
import type { Key, Limits, ServerMessage, SubscribeMessage, WireChange, WireRow } from './protocol.ts'
import type { Seen } from './row-view.ts'
import { type KeyId, keyId } from './value.ts'

/** Where a client goes on: what was logged since it left, and what it shows. */
export interface ResumePoint {
  readonly logged: ReadonlySet<KeyId>
  readonly have: readonly Key[]
}

/** Reads what was logged since the client's position; `undefined` if the view cannot be continued from there. */
export async function resumePoint(
  hub: GroupHub,
  spec: FeedSpec,
  groups: readonly Group[],
  { since, have }: SubscribeMessage,
): Promise<ResumePoint | undefined> {
  if (since === undefined || have === undefined) return undefined
  const positions = readPosition(since, spec.id, groups.length)
  if (positions === undefined) return undefined
  const logged = new Set<KeyId>()
  for (const [i, group] of groups.entries()) {
    const position = positions[i]
    const entries = position === undefined ? 'gone' : await hub.history(group.name, position)
    if (entries === 'gone') return undefined
    for (const { entry } of entries) {
      // What was announced without keys cannot be told apart: the whole view is needed.
      if (entry.type === 'coarse') return undefined
      if (entry.type === 'changes') for (const { key } of entry.changes) logged.add(keyId(key))
    }
  }
  return { logged, have: [...new Map(have.map((key) => [keyId(key), key])).values()] }
}

interface SnapshotParts {
  readonly id: string
  readonly handle: string
  readonly feed: Feed
  readonly snapshot: FeedSnapshot
  readonly resume: ResumePoint | undefined
  readonly withRows: boolean
  readonly limits: Limits
}

/**
 * The messages that begin a view, each made when it is asked for: the snapshot in parts, and for a client that goes on
 * where it left off only what it cannot have, followed by what it must forget.
 */
export function* snapshotMessages({
  id,
  handle,
  feed,
  snapshot,
  resume,
  withRows,
  limits,
}: SnapshotParts): Generator<ServerMessage | readonly ServerMessage[], undefined> {
  const { position } = snapshot
  const rows = withRows ? neededRows(snapshot, resume) : []
  let part = 0
  for (let start = 0; ;) {
    const end = partEnd(rows, start, limits.snapshotPart)
    const done = end >= rows.length
    const message = {
      type: 'snapshot',
      id,
      feed: handle,
      rows: rows.slice(start, end).map(({ row }): WireRow => row),
      part,
      done,
    } as const
    const ordered = part === 0 ? { ...message, order: feed.spec.order } : message
    if (done) {
      const last = { ...ordered, position }
      const changes = goneKeys(snapshot, resume).map((key): WireChange => ({ action: 'delete', key }))
      // In one frame, so that no client shows the one without the other.
      yield changes.length === 0
        ? last
        : [last, { type: 'changes', feed: handle, from: position, to: position, changes }]
      return undefined
    }
    yield ordered
    start = end
    part++
  }
}

/** The keys that the client shows and the view no longer does. */
function goneKeys(snapshot: FeedSnapshot, resume: ResumePoint | undefined): readonly Key[] {
  if (resume === undefined) return []
  const shown = new Set(snapshot.rows.map(({ row }) => keyId(row.key)))
  return resume.have.filter((key) => !shown.has(keyId(key)))
}

/** Without a point to go on from: all. */
function neededRows(snapshot: FeedSnapshot, resume: ResumePoint | undefined): readonly Seen[] {
  if (resume === undefined) return snapshot.rows
  const kept = new Set(keptKeys(snapshot, resume))
  return snapshot.rows.filter(({ row }) => !kept.has(keyId(row.key)))
}

/** The keys whose rows the client keeps as it has them. */
export function keptKeys({ touched }: FeedSnapshot, { have, logged }: ResumePoint): readonly KeyId[] {
  return have.map(keyId).filter((id) => !logged.has(id) && !touched.has(id))
}

function partEnd(rows: readonly Seen[], start: number, size: number): number {
  let end = start
  // Around the rows there are their order and a position, and around each row the names of its members and a version.
  for (let sum = Math.min(2_048, size / 8); end < rows.length; end++) {
    sum += (rows[end]?.size ?? 0) + 96
    if (sum > size && end > start) break
  }
  return end
}
