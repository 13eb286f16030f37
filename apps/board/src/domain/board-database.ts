import type { ChangeSource, Row, Store } from '@rtapi/core'
import type { Seed } from '../seed.ts'
import type { CommentRow, MembershipRow, ProjectRow, RevokedTokenRow, SettingRow, TaskRow, UserRow } from './rows.ts'

/** What a create must give of a record, and what it may leave out. */
type New<R extends Row, Optional extends keyof R = never> = Omit<R, 'id' | Optional> & Partial<Pick<R, Optional>>

/** Reads and writes each table, in one database, by whichever ORM. */
export interface BoardStores {
  readonly users: Store<UserRow, New<UserRow>, Partial<UserRow>>
  readonly projects: Store<ProjectRow, New<ProjectRow>, Partial<ProjectRow>>
  readonly memberships: Store<MembershipRow, New<MembershipRow>, Partial<MembershipRow>>
  readonly tasks: Store<TaskRow, NewTask, Partial<TaskRow>>
  readonly comments: Store<CommentRow, NewComment, Partial<CommentRow>>
  readonly settings: Store<SettingRow, SettingRow, Partial<SettingRow>>
  readonly revokedTokens: Store<RevokedTokenRow, RevokedTokenRow, Partial<RevokedTokenRow>>
}

type NewTask = New<
  TaskRow,
  'state' | 'assigneeId' | 'points' | 'estimate' | 'dueAt' | 'notes' | 'version' | 'createdAt'
>
export type NewComment = New<CommentRow, 'createdAt'>

/** What the board needs of an ORM; one file in `orm/` makes it. */
export interface BoardDatabase {
  readonly stores: BoardStores
  readonly changes: ChangeSource
  /** Stores the seed as a whole or, if there is a user already, not at all. */
  plant(seed: Seed): Promise<void>
  close(): Promise<void>
}
