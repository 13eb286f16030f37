import { type BoardProcess, startBoard } from '../../../e2e/src/board-process.ts'
import { type WireClient, connect } from '../../../e2e/src/wire-client.ts'

/** A stranger to every project, a member, an owner, an admin, and who is not signed in. */
export const roles = ['anonymous', 'carol', 'bob', 'alice', 'root'] as const

export type RoleName = (typeof roles)[number]

/** A board with the demo seed, and a connection for each role. */
export interface FiveSessions {
  readonly board: BoardProcess
  readonly as: Readonly<Record<RoleName, WireClient>>
  /** The key of the record that has this name, title or text. */
  keyOf(resource: string, text: string): Promise<number>
  stop(): Promise<void>
}

export async function startFiveSessions(flags: readonly string[]): Promise<FiveSessions> {
  const board = await startBoard(flags)
  const clients = await Promise.all(
    roles.map(async (role) => connect(board.line, role === 'anonymous' ? {} : { token: await board.login(role) })),
  )
  const as = Object.fromEntries(roles.map((role, at) => [role, clients[at]])) as Record<RoleName, WireClient>
  return {
    board,
    as,
    async keyOf(resource, text) {
      const field = { users: 'name', projects: 'name', tasks: 'title', comments: 'text' }[resource] ?? ''
      const reply = await as.root.request(resource, 'list', { where: { [field]: { eq: text } } })
      return Number(reply.ok && reply.rows?.[0]?.key)
    },
    async stop() {
      await board.stop()
    },
  }
}
