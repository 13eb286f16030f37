import type { Change, ChangeBatch, ChangeSource } from '@rtapi/core'
import type { BoardStores } from './board-database.ts'

/**
 * Passes a change source on. A task that moved to another project takes its comments along: they are announced as changed
 * too.
 */
export function commentsMoveAlong(
  source: ChangeSource,
  { tasks, comments }: Pick<BoardStores, 'tasks' | 'comments'>,
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
    start: (emit) => source.start((batch) => emit(withComments(batch))),
    stop: () => source.stop(),
  }
}

/** What is known of neither side was not written; known of one side only, it may be. */
function movesTask({ action, before = {}, after = {} }: Change): boolean {
  return action === 'update' && before['projectId'] !== after['projectId']
}
