/** Two processes that start together get in each other's way; each try finds more of the work done. */
export async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 20; ; tries--) {
    try {
      return await work()
    } catch (error) {
      if (tries === 1) throw error
    }
  }
}
