import {
  type ChannelLayer,
  type Clock,
  type Limits,
  type Report,
  type ResultKeeper,
  createApi,
  jsonCodec,
  userRecords,
} from '@rtapi/core'
import { msgpackCodec } from '@rtapi/msgpack'
import { boardAuthenticate } from './authenticate.ts'
import type { BoardDatabase } from './domain/board-database.ts'
import { commentsMoveAlong } from './domain/comments-move-along.ts'
import { projectAccess } from './domain/project-access.ts'
import { membershipsResource, projectsResource } from './domain/projects.ts'
import { commentsResource, tasksResource } from './domain/tasks.ts'
import { usersResource } from './domain/users.ts'
import type { Tokens } from './tokens.ts'

export interface BoardApiOptions {
  readonly database: BoardDatabase
  readonly tokens: Tokens
  readonly layer: ChannelLayer
  /** Keeps results of writes with an idempotency key. @default the layer does, if it can */
  readonly results?: ResultKeeper
  /** @default systemClock */
  readonly clock?: Clock
  /** @default defaultLimits */
  readonly limits?: Partial<Limits>
  readonly report: Report
}

/** The API of the board; the page takes its types from here. */
export type BoardApi = ReturnType<typeof createBoardApi>

export function createBoardApi({ database, tokens, ...surroundings }: BoardApiOptions) {
  const { stores, changes } = database
  const access = projectAccess(stores)
  const resources = [
    usersResource(stores),
    projectsResource(stores, access),
    membershipsResource(stores, access),
    tasksResource(stores, access),
    commentsResource(stores, access),
  ] as const
  return createApi({
    ...surroundings,
    resources,
    changes: [commentsMoveAlong(changes, stores)],
    codecs: [jsonCodec, msgpackCodec],
    authenticate: boardAuthenticate(stores, tokens),
    sessionRules: [
      userRecords({
        entity: stores.users.entity,
        fields: ['role', 'active'],
        ends: ({ active }) => active === false,
      }),
    ],
  })
}
