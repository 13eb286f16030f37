import { useSyncExternalStore } from 'react'

/** What this window looks at, as its address says: `#/projects/1/tasks/5`. */
export interface Place {
  readonly projectId: number | undefined
  readonly taskId: number | undefined
}

/** The place, and a render when it changes. */
export function usePlace(): Place {
  return placeOf(useSyncExternalStore(subscribe, () => location.hash))
}

/** Goes to a place; the browser's back button comes back. */
export function goTo({ projectId, taskId }: Place): void {
  location.hash = addressOf({ projectId, taskId })
}

/** Names the place where the window already is; there is nothing to come back to. */
export function stayAt(place: Place): void {
  location.replace(addressOf(place))
}

/** The link to a place. */
export function addressOf({ projectId, taskId }: Place): string {
  if (projectId === undefined) return '#/'
  return taskId === undefined ? `#/projects/${projectId}` : `#/projects/${projectId}/tasks/${taskId}`
}

function placeOf(hash: string): Place {
  const [, project, task] = /^#\/projects\/(\d+)(?:\/tasks\/(\d+))?$/.exec(hash) ?? []
  return {
    projectId: project === undefined ? undefined : Number(project),
    taskId: task === undefined ? undefined : Number(task),
  }
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener)
  return () => removeEventListener('hashchange', listener)
}
