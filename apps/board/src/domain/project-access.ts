import type { Filter, Session } from '@rtapi/core'
import type { BoardUser } from '../authenticate.ts'
import type { BoardStores } from './board-database.ts'
import { anyOf, findAll, where } from './queries.ts'

/** Which projects a session has to do with, asked of the database each time. Ids ascend, so that equal answers look equal. */
export interface ProjectAccess {
  /** The projects it is a member or the owner of: it may write their tasks. `'all'` for admins. */
  mine(session: Session<BoardUser>): Promise<readonly number[] | 'all'>
  /** The projects it owns: it may write them and their memberships. `'all'` for admins. */
  owned(session: Session<BoardUser>): Promise<readonly number[] | 'all'>
  /** The projects it is a member of. */
  joined(session: Session<BoardUser>): Promise<readonly number[]>
  /** The projects it may read: the public ones and its own. `'all'` for admins. */
  readable(session: Session<BoardUser>): Promise<readonly number[] | 'all'>
  mayRead(session: Session<BoardUser>, projectId: number): Promise<boolean>
}

export function projectAccess({ projects, memberships }: BoardStores): ProjectAccess {
  const joinedBy = async (userId: number): Promise<readonly number[]> =>
    (await findAll(memberships, where('userId', 'eq', userId))).map(({ projectId }) => projectId).sort(ascending)
  const idsOf = async (filter: Filter): Promise<readonly number[]> =>
    (await findAll(projects, filter)).map(({ id }) => id).sort(ascending)

  const access: ProjectAccess = {
    async joined({ user }) {
      return user === null ? [] : joinedBy(user.id)
    },
    async owned({ user }) {
      if (user === null) return []
      return user.role === 'admin' ? 'all' : idsOf(where('ownerId', 'eq', user.id))
    },
    async mine({ user }) {
      if (user === null) return []
      if (user.role === 'admin') return 'all'
      return idsOf(anyOf(where('ownerId', 'eq', user.id), where('id', 'in', await joinedBy(user.id))))
    },
    async readable({ user }) {
      const open = where('public', 'eq', true)
      if (user === null) return idsOf(open)
      if (user.role === 'admin') return 'all'
      return idsOf(anyOf(open, where('ownerId', 'eq', user.id), where('id', 'in', await joinedBy(user.id))))
    },
    async mayRead(session, projectId) {
      const readable = await access.readable(session)
      return readable === 'all' || readable.includes(projectId)
    },
  }
  return access
}

function ascending(a: number, b: number): number {
  return a - b
}
