import type { Filter } from './filter.ts'
import type { PresenceKeeper } from './presence-keeper.ts'
import type { ResultKeeper } from './result-keeper.ts'
import type { MaybePromise } from './runtime.ts'
import type { Key } from './value.ts'

/** Where a group stands: `epoch` is random for each life of its log, `seq` counts its entries without a hole. */
export interface Position {
  /** 1–32 of `[A-Za-z0-9_-]`. */
  readonly epoch: string
  /** Of the last entry; 0 before the first. */
  readonly seq: number
}

/** Changed records of one entity by one transaction, as they concern one group. */
export interface ChangeEntry {
  readonly type: 'changes'
  readonly tx: string
  readonly entity: string
  readonly changes: readonly { readonly key: Key; readonly action: 'create' | 'update' | 'delete' }[]
}

/** Every view of the entity is to be queried again, or every one that can show a row which matches `where`. */
export interface CoarseEntry {
  readonly type: 'coarse'
  readonly tx: string
  readonly entity: string
  /** Whoever does not know it takes it for everything, which is right and dearer. */
  readonly where?: Filter
}

/** The scope of these users (or of everybody) in a resource may have changed. */
export interface ScopeEntry {
  readonly type: 'scope'
  readonly tx: string
  readonly resource: string
  readonly users: readonly (string | number)[] | 'all'
}

/** Sessions of a user, or one session, are to end or to be authorised anew. */
export interface SessionEntry {
  readonly type: 'session'
  readonly command: 'end' | 'refresh'
  readonly user?: string | number
  readonly session?: string
  /** A session that is left alone. */
  readonly except?: string
  readonly reason: string
}

/** What travels through the layer: plain JSON, never row images. */
export type LayerEntry = ChangeEntry | CoarseEntry | ScopeEntry | SessionEntry

export interface LogEntry {
  readonly seq: number
  readonly entry: LayerEntry
}

/** What core gives a layer at `open`. Neither function throws or waits. */
export interface LayerEvents {
  /** An entry of a joined group has arrived. Entries of a group come in the order of `seq`, holes are allowed. */
  deliver(group: string, position: Position, entry: LayerEntry): void
  /** Continuity of this group, or of all groups, can no longer be proven. */
  lost(group?: string): void
}

/**
 * Carries entries of groups between processes, and keeps a bounded log of each group.
 *
 * A layer MUST deliver an entry to every process that has joined the group, the sender too, and keep the order within
 * a group. `join` MUST resolve only when delivery is certain from then on, with the position from which entries will
 * come. Each group is a log with a random epoch and a dense sequence: publishing takes the next number, logs and sends in
 * one atomic step. A group whose log is gone MUST come back under a new epoch. If continuity cannot be proven the layer
 * MUST call `lost`. A throwing `deliver` MUST NOT harm it.
 *
 * A layer MUST NOT let a call wait for more than the timeout (2 s by default): it rejects instead.
 * Group names are at most 64 bytes of printable ASCII.
 */
export interface ChannelLayer {
  /** Keeps results of writes for the same processes; it is closed with the layer. Absent: it does not. */
  readonly results?: ResultKeeper
  /** Keeps who is connected to which of the same processes, as long as it is open. Absent: each knows its own alone. */
  readonly presence?: PresenceKeeper
  /** Called once, before anything else. */
  open(events: LayerEvents): MaybePromise<void>
  join(group: string): MaybePromise<Position>
  leave(group: string): MaybePromise<void>
  publish(group: string, entry: LayerEntry): MaybePromise<Position>
  /** The entries after `since`, complete and in order, or `gone` if that cannot be said. */
  history(group: string, since: Position): MaybePromise<readonly LogEntry[] | 'gone'>
  /** Releases everything. Nothing is delivered afterwards. */
  close(): MaybePromise<void>
}
