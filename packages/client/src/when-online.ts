/** Calls `run` whenever the browser says that it is online again; returns its undo. */
export function whenOnline(run: () => void): () => void {
  if (typeof globalThis.addEventListener !== 'function') return () => undefined
  globalThis.addEventListener('online', run)
  return () => globalThis.removeEventListener('online', run)
}
