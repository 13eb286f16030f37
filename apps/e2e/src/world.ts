import { type RedisServer, startRedis } from '../../../test/services/redis.ts'
import { type BoardProcess, startBoard } from './board-process.ts'
import { type DatabaseKind, type TestDatabase, newDatabase } from './databases.ts'

/** What board processes run on. */
export interface Setup {
  readonly layer: 'memory' | 'redis'
  /** `mixed`: the first board has MikroORM and the others Sequelize. */
  readonly orm: 'mikro-orm' | 'sequelize' | 'mixed'
  readonly database: DatabaseKind
}

const people = ['alice', 'bob', 'carol', 'root'] as const

export type Person = (typeof people)[number]

/** Boards on one database: one with the layer in memory, two with Redis between them. */
export interface World {
  /** The n-th board; of fewer, one of them. */
  node(n: number): BoardProcess
  /** The Redis between the boards, if there is one. */
  readonly redis: RedisServer | undefined
  /** One more board of the same kind. @param more - flags. */
  addNode(...more: readonly string[]): Promise<BoardProcess>
  token(person: Person): string
  userId(person: Person): number
  stop(): Promise<void>
}

export async function startWorld({ layer, orm, database: kind }: Setup): Promise<World> {
  const database = await newDatabase(kind)
  const redis = layer === 'redis' ? await startRedis() : undefined
  const flags = ['--db', database.url, '--layer', redis?.url ?? 'memory', '--seed', 'empty']
  const nodes: BoardProcess[] = []
  const addNode = async (...more: readonly string[]): Promise<BoardProcess> => {
    const its = orm === 'mixed' ? (nodes.length === 0 ? 'mikro-orm' : 'sequelize') : orm
    const board = await startBoard(['--orm', its, ...flags, ...more])
    nodes.push(board)
    return board
  }
  const stop = async (): Promise<void> => stopAll(nodes, redis, database)
  try {
    const first = await addNode()
    if (redis !== undefined) await addNode()
    const tokens = new Map(await Promise.all(people.map(async (name) => [name, await first.login(name)] as const)))
    const ids = new Map(people.map((name) => [name, userOf(tokens.get(name) ?? '')]))
    return {
      node: (n) => nodes[n % (redis === undefined ? 1 : 2)] ?? first,
      redis,
      addNode,
      token: (person) => tokens.get(person) ?? '',
      userId: (person) => ids.get(person) ?? 0,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function stopAll(
  nodes: readonly BoardProcess[],
  redis: RedisServer | undefined,
  database: TestDatabase,
): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop('SIGKILL')))
  await redis?.stop()
  await database.remove()
}

/** The board says in the token who it is of. */
function userOf(token: string): number {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')
  return Number((JSON.parse(payload) as { readonly sub?: string }).sub)
}
