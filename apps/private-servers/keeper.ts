// Keeps one server for an app: starts it, says where it is, and ends it when the channel to the app is closed.
import { startPostgres } from './postgres.ts'
import type { KeeperMessage, PrivateServerKind } from './private-server.ts'
import { startRedis } from './redis.ts'

/** A server that runs as a child of this process. */
export interface KeptServer {
  readonly url: string
  /** Settles when it has ended, by itself or by `stop`. */
  readonly ended: Promise<unknown>
  stop(): Promise<void>
}

async function keep(wanted: PrivateServerKind): Promise<void> {
  const left = new Promise((resolve) => (process.connected ? process.once('disconnect', resolve) : resolve(undefined)))
  const server = await (wanted.kind === 'redis' ? startRedis(wanted.app) : startPostgres(wanted.app, wanted.folder))
  say({ url: server.url })
  await Promise.race([left, server.ended])
  await server.stop()
}

function say(message: KeeperMessage): void {
  if (process.connected) process.send?.(message)
}

// Whoever ends the app ends the keeper by it, after the clients have been drained.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

try {
  await keep(JSON.parse(process.argv[2] ?? '{}') as PrivateServerKind)
} catch (error) {
  say({ problem: error instanceof Error ? error.message : String(error) })
}
if (process.connected) process.disconnect?.()
process.exit()
