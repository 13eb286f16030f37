/** The resources `projects` and `memberships`. */
import {
  type Dependency,
  type Permission,
  RtapiError,
  type Session,
  type Store,
  defineResource,
  isRead,
} from '@rtapi/core'
import type { z } from 'zod'
import type { BoardUser } from '../authenticate.ts'
import type { BoardStores } from './board-database.ts'
import { newMembership, newProject, projectPatch } from './inputs.ts'
import type { ProjectAccess } from './project-access.ts'
import type { MembershipRow, ProjectRow } from './rows.ts'

/** Gaining or losing a membership changes what its user may read. */
export function onMemberships({ memberships }: BoardStores): Dependency {
  return { entity: memberships.entity, users: ({ userId }) => (typeof userId === 'number' ? [userId] : undefined) }
}

/**
 * A project that is or was public concerns everybody; a private one its owner. Its members are concerned by their
 * memberships, which end with it.
 */
export function onProjects({ projects }: BoardStores): Dependency {
  return {
    entity: projects.entity,
    users: ({ public: open, ownerId }) => (open === false && typeof ownerId === 'number' ? [ownerId] : undefined),
  }
}

export function projectsResource(stores: BoardStores, access: ProjectAccess) {
  const permission: Permission<ProjectRow, BoardUser> = {
    allows: ({ session, action }) => isRead(action) || session.user !== null,
    async scope({ session, action }) {
      if (session.user === null) return { public: true }
      if (session.user.role === 'admin') return true
      const own = { ownerId: session.user.id }
      return isRead(action) ? { or: [{ public: true }, own, { id: { in: await access.joined(session) } }] } : own
    },
  }
  const store: Store<ProjectRow, z.infer<typeof newProject>, z.infer<typeof projectPatch>> = stores.projects
  return defineResource('projects', {
    store,
    input: { create: newProject, update: projectPatch },
    permissions: [permission],
    dependsOn: [onMemberships(stores)],
    create: ({ session }, project) => stores.projects.create({ ...project, ownerId: userIdOf(session) }),
  })
}

export function membershipsResource(stores: BoardStores, access: ProjectAccess) {
  const permission: Permission<MembershipRow, BoardUser> = {
    allows: ({ session, action }) => isRead(action) || session.user !== null,
    async scope({ session, action }) {
      const owned = await access.owned(session)
      if (owned === 'all') return true
      if (session.user === null) return false
      const inOwned = { projectId: { in: owned } }
      return isRead(action) ? { or: [{ userId: session.user.id }, inOwned] } : inOwned
    },
    async allowsRecord({ session }, { projectId }) {
      const owned = await access.owned(session)
      return owned === 'all' || (projectId !== undefined && owned.includes(projectId))
    },
  }
  return defineResource('memberships', {
    store: stores.memberships,
    actions: ['list', 'get', 'describe', 'subscribe', 'create', 'delete'],
    input: { create: newMembership },
    permissions: [permission],
    dependsOn: [onProjects(stores)],
  })
}

/** The id of the user of a session which the permissions let through as signed in. */
export function userIdOf({ user }: Session): number {
  if (typeof user?.id !== 'number') throw new RtapiError('unauthenticated', 'Sign in first.')
  return user.id
}
