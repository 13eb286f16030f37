import type { Change, ChangeBatch, ChangeSource } from '@rtapi/core'
import type { BoardStores } from './board-database.ts'

/**
 * Passes a change source on, with what follows from its changes in the rules of this board:
 *
 * - A user who was deleted, switched off or on, or given another role is told to `onRightsChanged`; `undefined` stands
 *   for any user, where the source could not say which records changed.
 * - A task that moved to another project takes its comments along: they are announced as changed too.
 */
export function watchedChanges(
  source: ChangeSource,
  { users, tasks, comments }: Pick<BoardStores, 'users' | 'tasks' | 'comments'>,
  onRightsChanged: (userId: number | undefined) => void,
): ChangeSource {
  const withComments = (batch: ChangeBatch): ChangeBatch => {
    const moved = batch.changes.some(
      (change) => change.entity === tasks.entity && (change.type === 'coarse' || movesTask(change)),
    )
    const said = batch.changes.some((change) => change.entity === comments.entity && change.type === 'coarse')
    // Which comments a task has would take a query, and tasks rarely move.
    return moved && !said
      ? { ...batch, changes: [...batch.changes, { type: 'coarse', entity: comments.entity }] }
      : batch
  }
  return {
    start: (emit) =>
      source.start((batch) => {
        emit(withComments(batch))
        for (const change of batch.changes) {
          if (change.entity !== users.entity) continue
          if (change.type === 'coarse') onRightsChanged(undefined)
          else if (changesRights(change)) onRightsChanged(Number(change.key))
        }
      }),
    stop: () => source.stop(),
  }
}

function movesTask({ action, before = {}, after = {} }: Change): boolean {
  return action === 'update' && differs('projectId', before, after)
}

function changesRights({ action, before = {}, after = {} }: Change): boolean {
  if (action !== 'update') return action === 'delete'
  return differs('role', before, after) || differs('active', before, after)
}

/** Whether a field is another now. What is known of neither side was not written; known of one side only, it may be. */
function differs(field: string, before: NonNullable<Change['before']>, after: NonNullable<Change['after']>): boolean {
  return before[field] !== after[field]
}
