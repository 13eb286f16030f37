/** Whether another process has started this one with a channel, and looks after it. */
export const hasParent: boolean = process.send !== undefined

/**
 * Ends the process by `stop` when it is told to, once: by SIGTERM or SIGINT, or by the end of the process that started it
 * with a channel. Its status is 0, or 1 if `stop` fails.
 */
export function endWhenTold(stop: () => Promise<void>): void {
  let told = false
  const tell = (): void => {
    if (told) return
    told = true
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, tell)
  if (!hasParent) return
  if (process.connected) process.once('disconnect', tell)
  // It was closed while this process began.
  else tell()
}
