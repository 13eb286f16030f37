import { Socket } from 'node:net'

let writes = 0

/** From now on counts what this process hands to the operating system to write, one for each call. */
export function countSocketWrites(): () => number {
  const prototype = Socket.prototype as unknown as Record<'_write' | '_writev', (...args: unknown[]) => void>
  for (const method of ['_write', '_writev'] as const) {
    const original = prototype[method]
    prototype[method] = function (...args): void {
      writes++
      original.apply(this, args)
    }
  }
  return () => writes
}
