/** What a layer has met with since it was opened, and what it holds now: for operators and tests. */
export interface RedisLayerStats {
  /** Groups that are joined. */
  readonly groups: number
  /** Connections over which messages come. */
  readonly connections: number
  /** Messages that were no entries, and were dropped: broken, too long, unsigned, or of another version. */
  readonly poisoned: number
  /** Entries that had not come as messages and were taken from the log. */
  readonly repaired: number
  /** How often the continuity of a group could not be proven. */
  readonly lost: number
  /** Entries that could not be published when they were to be, and wait for it. */
  readonly unsent: number
  /** How often subscriptions came back after their connection had ended. */
  readonly resumed: number
}

/** The counts among them. */
export type LayerCounts = { -readonly [Name in 'poisoned' | 'repaired' | 'lost' | 'resumed']: number }
