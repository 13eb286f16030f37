import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A server that an app starts for itself and ends with itself. */
export interface PrivateServer {
  readonly url: string
  stop(): Promise<void>
}

/** Which one, and the name of the app. Redis keeps nothing; PostgreSQL keeps its data if a folder is given. */
export type PrivateServerKind =
  | { readonly kind: 'redis'; readonly app: string }
  | { readonly kind: 'postgres'; readonly app: string; readonly folder?: string }

/** What a keeper says once. */
export type KeeperMessage = { readonly url: string } | { readonly problem: string }

/** A server that cannot be started; the message says what to do about it. */
export class ServerError extends Error {
  override name = 'ServerError'
}

const keeper = fileURLToPath(new URL('keeper.ts', import.meta.url))

/**
 * Starts a server on a free port of this machine. It is kept by a process of its own, which hears none of the terminal's
 * signals and ends the server when this process ends, however it ends: until clients have been drained it is needed.
 * @throws ServerError
 */
export async function startPrivateServer(server: PrivateServerKind): Promise<PrivateServer> {
  const child = fork(keeper, [JSON.stringify(server)], {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  const [message] = (await Promise.race([
    once(child, 'message'),
    exited.then(([code]) => [{ problem: `The keeper of ${server.kind} ended with ${code}.` }]),
  ])) as [KeeperMessage]
  if ('problem' in message) {
    await exited
    throw new ServerError(message.problem)
  }
  let stopping = false
  void exited.then(() => {
    if (!stopping) console.error(`The ${server.kind} of the ${server.app} has ended.`)
  })
  return {
    url: message.url,
    async stop() {
      stopping = true
      if (child.connected) child.disconnect()
      await exited
    },
  }
}
