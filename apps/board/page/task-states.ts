import type { TaskState } from './board-client.ts'

/** The columns of the board, from left to right. */
export const taskStates: readonly TaskState[] = ['open', 'doing', 'done']

export const stateNames: Readonly<Record<TaskState, string>> = { open: 'Open', doing: 'Doing', done: 'Done' }

/** The column beside a column, if there is one. */
export function neighbour(state: TaskState, direction: -1 | 1): TaskState | undefined {
  return taskStates[taskStates.indexOf(state) + direction]
}
