/** Watches for rejections that nobody handles; `stop` answers those that there were. */
export function watchRejections(): { readonly stop: () => Promise<readonly string[]> } {
  const rejections: string[] = []
  const record = (reason: unknown): void => void rejections.push(String(reason))
  process.on('unhandledRejection', record)
  return {
    async stop() {
      // Node tells of them when the microtasks of a turn are done.
      await new Promise((resolve) => setImmediate(resolve))
      process.off('unhandledRejection', record)
      return rejections
    },
  }
}
