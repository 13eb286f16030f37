import type { Change, ChangeSource } from '@rtapi/core'

/**
 * Passes a change source through and tells of every user whose rights may be others now: deleted, switched off or on, or
 * of another role. `undefined` is "any of them": the source could not say which records changed.
 */
export function watchUsers(
  source: ChangeSource,
  userEntity: string,
  onRightsChanged: (userId: number | undefined) => void,
): ChangeSource {
  return {
    start: (emit) =>
      source.start((batch) => {
        emit(batch)
        for (const change of batch.changes) {
          if (change.entity !== userEntity) continue
          if (change.type === 'coarse') onRightsChanged(undefined)
          else if (changesRights(change)) onRightsChanged(Number(change.key))
        }
      }),
    stop: () => source.stop(),
  }
}

function changesRights({ action, before = {}, after = {} }: Change): boolean {
  if (action !== 'update') return action === 'delete'
  // What is unknown of both sides was not touched; what is known of one side only may have been.
  return (['role', 'active'] as const).some((field) => before[field] !== after[field])
}
