import type { Membership, Project, User } from './board-client.ts'
import type { Live } from './use-live.ts'

/** Who looks at the page. */
export interface Viewer {
  /** `undefined`: nobody is signed in. */
  readonly id: number | undefined
  readonly name: string | undefined
  readonly admin: boolean
  /** The projects that name this user as a member. */
  readonly memberOf: ReadonlySet<number>
}

/** What the viewer may do in a project. The server decides; this says which controls to show. */
export interface Rights {
  readonly writeProject: boolean
  readonly writeTasks: boolean
}

export function useViewer(id: string | number | undefined, users: Live<User>, memberships: Live<Membership>): Viewer {
  if (typeof id !== 'number') return { id: undefined, name: undefined, admin: false, memberOf: new Set() }
  const me = users.get(id)
  const mine = memberships.rows.filter((membership) => membership.userId === id)
  // Only admins see roles.
  return {
    id,
    name: me?.name,
    admin: me?.role === 'admin',
    memberOf: new Set(mine.map(({ projectId }) => projectId)),
  }
}

export function rightsOf(viewer: Viewer, project: Project | undefined): Rights {
  if (project === undefined || viewer.id === undefined) return { writeProject: false, writeTasks: false }
  const writeProject = viewer.admin || project.ownerId === viewer.id
  return { writeProject, writeTasks: writeProject || viewer.memberOf.has(project.id) }
}
