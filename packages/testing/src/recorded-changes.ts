import type { Change, ChangeBatch, ChangeSource, Key } from '@rtapi/core'

/** What a change source has emitted since a test began to watch it. */
export interface RecordedChanges {
  /** Those that have not been looked at by `announced`. */
  readonly batches: ChangeBatch[]
  /** What has been announced since the last look, such as `create Thing 1`, or `coarse Thing`. */
  announced(): readonly string[]
  /** The change of this record, of those announced since the last look; leaves them. */
  change(entity: string, key: Key): Change | undefined
}

/** Starts a source and records what it emits. */
export async function recordChanges(source: ChangeSource): Promise<RecordedChanges> {
  const batches: ChangeBatch[] = []
  await source.start((batch) => void batches.push(batch))
  return {
    batches,
    announced() {
      const changes = batches.splice(0).flatMap((batch) => batch.changes)
      return changes.map((change) =>
        change.type === 'coarse'
          ? `coarse ${change.entity}`
          : `${change.action} ${change.entity} ${JSON.stringify(change.key)}`,
      )
    },
    change(entity, key) {
      const changes = batches.flatMap((batch) => batch.changes).filter((change) => change.type === 'change')
      return changes.find((change) => change.entity === entity && JSON.stringify(change.key) === JSON.stringify(key))
    },
  }
}
