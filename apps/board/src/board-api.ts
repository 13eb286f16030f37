import { type Api, type ChannelLayer, type Report, createApi, everything, jsonCodec } from '@rtapi/core'
import { msgpackCodec } from '@rtapi/msgpack'
import { boardAuthenticate } from './authenticate.ts'
import type { BoardDatabase } from './domain/board-database.ts'
import { projectAccess } from './domain/project-access.ts'
import { membershipsResource, projectsResource } from './domain/projects.ts'
import { findAll } from './domain/queries.ts'
import { commentsResource, tasksResource } from './domain/tasks.ts'
import { watchedChanges } from './domain/watched-changes.ts'
import { usersResource } from './domain/users.ts'
import type { Tokens } from './tokens.ts'

export interface BoardApiOptions {
  readonly database: BoardDatabase
  readonly tokens: Tokens
  readonly layer: ChannelLayer
  readonly report: Report
}

/** The API of the board; the page takes its types from here. */
export type BoardApi = ReturnType<typeof createBoardApi>

export function createBoardApi({ database, tokens, layer, report }: BoardApiOptions) {
  const { stores, changes } = database
  const access = projectAccess(stores)
  const rightsChanged = (userId: number | undefined): void => {
    endConnections(api, database, userId).catch((error: unknown) => report(error, { during: 'sessions.end' }))
  }
  const resources = [
    usersResource(stores),
    projectsResource(stores, access),
    membershipsResource(stores, access),
    tasksResource(stores, access),
    commentsResource(stores, access),
  ] as const
  const api = createApi({
    resources,
    changes: [watchedChanges(changes, stores, rightsChanged)],
    layer,
    codecs: [jsonCodec, msgpackCodec],
    authenticate: boardAuthenticate(stores, tokens),
    report,
  })
  return api
}

/** Closes the connections of a user, or of every user, on every process: who still may comes back with the new rights. */
async function endConnections(api: Api, { stores }: BoardDatabase, userId: number | undefined): Promise<void> {
  const ids = userId === undefined ? (await findAll(stores.users, everything)).map(({ id }) => id) : [userId]
  await Promise.all(ids.map((user) => api.sessions.end({ user, reason: 'rights changed' })))
}
