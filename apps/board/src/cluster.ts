import { type PrivateServer, type PrivateServerKind, startPrivateServer } from '../../private-servers/private-server.ts'
import { endWhenTold } from './ending.ts'
import { announce } from './board-line.ts'
import { type NodeProcess, spawnNode } from './node-process.ts'
import type { Flags } from './flags.ts'

/**
 * Runs several board processes on one database with Redis between them, until it is told to end. A node that ends by
 * itself is said and not replaced: its clients find another one, and whoever started the board sees what happened.
 */
export async function runCluster(flags: Flags): Promise<void> {
  const servers: PrivateServer[] = []
  const nodes = new Set<NodeProcess>()
  let ending = false
  let onAllGone = (): void => undefined

  async function startServer(kind: PrivateServerKind): Promise<string> {
    const server = await startPrivateServer(kind)
    servers.push(server)
    return server.url
  }

  /** Nodes first, which still need the servers. */
  async function stop(): Promise<void> {
    ending = true
    const ends = await Promise.all([...nodes].map((node) => node.stop()))
    await Promise.all(servers.map((server) => server.stop()))
    const failed = ends.find((end) => end !== 0)
    if (failed !== undefined) throw new Error(`a node ended with ${failed}`)
  }

  function startNode(number: number, shared: readonly string[]): NodeProcess {
    const port = flags.port === 0 ? 0 : flags.port + number - 1
    const node = spawnNode([...shared, '--port', String(port)])
    nodes.add(node)
    node.ended.then(
      (end) => {
        if (ending) return
        nodes.delete(node)
        console.error(`Node ${number} (process ${node.pid}) has ended with ${end}; ${nodes.size} left.`)
        if (nodes.size === 0) onAllGone()
      },
      (error: unknown) => console.error(error),
    )
    return node
  }

  try {
    const layer = flags.layer.kind === 'redis' ? flags.layer.url : await startServer({ kind: 'redis', app: 'board' })
    const db =
      flags.db.kind === 'embedded-postgres'
        ? await startServer({ kind: 'postgres', app: 'board', folder: flags.db.folder })
        : flags.db.url
    const { orm, seed, tokenTtl } = flags
    const shared = ['--orm', orm, '--db', db, '--layer', layer, '--seed', seed, '--token-ttl', String(tokenTtl)]
    // The first one makes the tables and plants the seed; the others find them.
    const first = startNode(1, shared)
    const line = await first.line
    const others = Array.from({ length: flags.nodes - 1 }, (_, at) => startNode(at + 2, shared))
    await Promise.all(others.map((node) => node.line))
    const lines = await Promise.all(
      [first, ...others].map(async ({ pid, line }) => {
        const { db: _, ...addresses } = await line
        return { pid, ...addresses }
      }),
    )
    endWhenTold(stop)
    onAllGone = () => {
      stop().then(
        () => process.exit(1),
        () => process.exit(1),
      )
    }
    announce({ ...line, layer, nodes: lines })
  } catch (error) {
    await stop().catch(() => undefined)
    throw error
  }
}
