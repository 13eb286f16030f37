import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A server of a database that tests have to themselves, in a folder of its own on a port of its own. */
export interface Service {
  /** Where it listens, with a user who may do everything and without the name of a database. */
  readonly url: string
  /** Ends it and removes its files. */
  stop(): Promise<void>
}

/** A port on which nothing listens now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}

/** A new folder, and its removal. */
export async function scratchFolder(name: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `rtapi-${name}-`))
  return { path, remove: async () => rm(path, { recursive: true, force: true, maxRetries: 5 }) }
}
