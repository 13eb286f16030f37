/** The resources `tasks` and `comments`. */
import { type Permission, type Store, type Where, defineResource, groupBy, isRead } from '@rtapi/core'
import type { z } from 'zod'
import type { BoardUser } from '../authenticate.ts'
import type { BoardStores } from './board-database.ts'
import { type CommentInProject, commentsInProjects } from './comments-in-projects.ts'
import { commentPatch, newComment, newTask, taskPatch } from './inputs.ts'
import type { ProjectAccess } from './project-access.ts'
import { onMemberships, onProjects, userIdOf } from './projects.ts'
import { findOne, where } from './queries.ts'
import type { TaskRow } from './rows.ts'

export function tasksResource(stores: BoardStores, access: ProjectAccess) {
  const permission: Permission<TaskRow, BoardUser> = {
    allows: ({ session, action }) => isRead(action) || session.user !== null,
    scope: async ({ session, action }) =>
      inProjects<TaskRow>(isRead(action) ? await access.readable(session) : await access.mine(session)),
    async allowsRecord({ session }, { projectId }) {
      const mine = await access.mine(session)
      return mine === 'all' || (projectId !== undefined && mine.includes(projectId))
    },
    fields: ({ session }) => (session.user === null ? taskFields.filter((field) => field !== 'notes') : true),
  }
  return defineResource('tasks', {
    store: stores.tasks,
    fields: taskFields,
    input: { create: newTask, update: taskPatch },
    groups: groupBy('projectId'),
    params: ['projectId'],
    lookups: {
      ids: { field: 'id', operator: 'in' },
      title: { field: 'title', operator: 'startsWith', ignoreCase: true },
      pointsMax: { field: 'points', operator: 'lte' },
    },
    version: 'version',
    permissions: [permission],
    dependsOn: [onMemberships(stores), onProjects(stores)],
  })
}

/** Comments are read by who may read their task; whoever may read a task may comment on it. */
export function commentsResource(stores: BoardStores, access: ProjectAccess) {
  const permission: Permission<CommentInProject, BoardUser> = {
    allows: ({ session, action }) => isRead(action) || session.user !== null,
    async scope({ session, action }) {
      if (isRead(action)) return inProjects<CommentInProject>(await access.readable(session))
      return session.user !== null && (session.user.role === 'admin' || { authorId: session.user.id })
    },
    async allowsRecord({ session, action }, { taskId }) {
      if (action !== 'create') return true
      const task = taskId === undefined ? undefined : await findOne(stores.tasks, where('id', 'eq', taskId))
      return task !== undefined && access.mayRead(session, task.projectId)
    },
  }
  const comments = commentsInProjects(stores)
  const store: Store<CommentInProject, z.infer<typeof newComment>, z.infer<typeof commentPatch>> = comments
  return defineResource('comments', {
    store,
    fields: ['id', 'taskId', 'authorId', 'text', 'createdAt'],
    input: { create: newComment, update: commentPatch },
    groups: groupBy('taskId'),
    params: ['taskId'],
    permissions: [permission],
    dependsOn: [onMemberships(stores), onProjects(stores)],
    create: ({ session }, comment) => comments.create({ ...comment, authorId: userIdOf(session) }),
  })
}

const taskFields = [
  'id',
  'projectId',
  'title',
  'state',
  'assigneeId',
  'points',
  'estimate',
  'dueAt',
  'notes',
  'version',
  'createdAt',
] as const

function inProjects<R extends { readonly projectId: number }>(ids: readonly number[] | 'all'): Where<R> | boolean {
  return ids === 'all' || ({ projectId: { in: ids } } as Where<R>)
}
