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
  if (process.channel) process.once('disconnect', tell)
}
