const reads: ReadonlySet<string> = new Set(['list', 'get', 'describe', 'subscribe'])

/** Whether an action only reads. */
export function isRead(action: string): boolean {
  return reads.has(action)
}
