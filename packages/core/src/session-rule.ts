import type { Change, CoarseChange } from './change-source.ts'
import { type KnownRecord, answerOf, statesOf } from './known-record.ts'
import type { Key } from './value.ts'

/** Which sessions a command is about: all of a user, one, or every one there is. */
export type SessionSelector = (
  | { readonly user: string | number }
  | { readonly session: string }
  | { readonly everyone: true }
) & {
  /** A session that is left alone. */
  readonly except?: string
}

/** What is to become of sessions: they end, or their permissions are asked anew. */
export type SessionCommand =
  | (SessionSelector & { readonly command: 'end'; readonly reason: string })
  | (SessionSelector & { readonly command: 'refresh' })

/** What changes of an entity mean for sessions. Made by `userRecords`, `sessionRecords`, `rightsRecords`, or by hand. */
export interface SessionRule {
  /** As its store or change source names it. */
  readonly entity: string
  /** Asked for every committed change, before the change is announced. If it throws, every session is asked anew. */
  commands(change: Change | CoarseChange): readonly SessionCommand[]
}

const ALL_ANEW: readonly SessionCommand[] = [{ everyone: true, command: 'refresh' }]

export interface UserRecordsOptions {
  /** The entity of the users' own records. Its key is the `id` of `session.user`. */
  readonly entity: string
  /**
   * The fields on which depends who the user is and what they may do: where one of them changes, `authenticate` is asked
   * anew, and the permissions with it. @default every field
   */
  readonly fields?: readonly string[]
  /**
   * Whether a user with such a record is not let in any more: their sessions end at once. Where it asks for a field that
   * is not known of a change, `authenticate` is asked instead. @default only a deleted record ends sessions
   */
  readonly ends?: (record: KnownRecord) => boolean
}

/** Sessions follow the record of their user: deleted or switched off they end, changed they are authorised anew. */
export function userRecords({ entity, fields, ends }: UserRecordsOptions): SessionRule {
  return {
    entity,
    commands(change) {
      if (change.type === 'coarse') return ALL_ANEW
      if (change.action === 'create') return []
      const user = scalarKey(change.key)
      if (change.action === 'delete') return [{ user, command: 'end', reason: 'user deleted' }]
      const { before = {}, after = {} } = change
      if (ends !== undefined && answerOf(after, ends) === true)
        return [{ user, command: 'end', reason: 'user deactivated' }]
      // What is known of neither side was not written; known of one side only, it may have been.
      const isConcerned = fields === undefined || fields.some((field) => before[field] !== after[field])
      return isConcerned ? [{ user, command: 'refresh' }] : []
    },
  }
}

export interface SessionRecordsOptions {
  /** The entity of the records of sign-ins. */
  readonly entity: string
  /** The `id` of the session that the record stands for. @default the key of the record */
  readonly session?: (record: KnownRecord) => string | undefined
}

/** Sessions follow a record of their own: signed out (deleted) they end, changed they are authorised anew. */
export function sessionRecords({ entity, session }: SessionRecordsOptions): SessionRule {
  return {
    entity,
    commands(change) {
      if (change.type === 'coarse') return ALL_ANEW
      if (change.action === 'create') return []
      const [state = {}] = statesOf(change)
      const id = session === undefined ? String(scalarKey(change.key)) : answerOf(state, session)
      if (id === undefined) return ALL_ANEW
      if (change.action === 'delete') return [{ session: id, command: 'end', reason: 'signed out' }]
      return [{ session: id, command: 'refresh' }]
    },
  }
}

export interface RightsRecordsOptions {
  /** An entity whose records give users rights: roles, grants, bans. */
  readonly entity: string
  /** The users concerned by a record. Where it asks for a field that is not known of a change, everybody is. */
  readonly users: (record: KnownRecord) => readonly (string | number)[]
}

/**
 * Sessions are authorised anew when such a record comes, changes or goes. For rights in one resource alone, `dependsOn`
 * of that resource asks less.
 */
export function rightsRecords({ entity, users }: RightsRecordsOptions): SessionRule {
  return {
    entity,
    commands(change) {
      if (change.type === 'coarse') return ALL_ANEW
      const concerned = new Set<string | number>()
      for (const state of statesOf(change)) {
        const named = answerOf(state, users)
        if (named === undefined) return ALL_ANEW
        for (const user of named) concerned.add(user)
      }
      return [...concerned].map((user) => ({ user, command: 'refresh' }))
    },
  }
}

function scalarKey(key: Key): string | number {
  if (typeof key !== 'object') return key
  throw new TypeError('the record of a user or a session has a key of one field')
}
