/** The records of the board as they travel: one type a table. */

export type Role = 'member' | 'admin'
export type TaskState = 'open' | 'doing' | 'done'

export type UserRow = {
  readonly id: number
  readonly name: string
  readonly role: Role
  readonly active: boolean
  /** As `hashPassword` writes it. In no resource. */
  readonly passwordHash: string
}

export type ProjectRow = {
  readonly id: number
  readonly name: string
  readonly public: boolean
  readonly ownerId: number
}

export type MembershipRow = {
  readonly id: number
  readonly projectId: number
  readonly userId: number
}

export type TaskRow = {
  readonly id: number
  readonly projectId: number
  readonly title: string
  readonly state: TaskState
  readonly assigneeId: number | null
  readonly points: number | null
  /** A decimal with two places, as a string. */
  readonly estimate: string | null
  /** ISO 8601 in UTC. */
  readonly dueAt: string | null
  readonly notes: string | null
  readonly version: number
  readonly createdAt: string
}

export type CommentRow = {
  readonly id: number
  readonly taskId: number
  readonly authorId: number
  readonly text: string
  readonly createdAt: string
}

/** A value the processes of a cluster share, such as the key that signs tokens. */
export type SettingRow = {
  readonly name: string
  readonly value: string
}

/** A token that was signed out before it expired. */
export type RevokedTokenRow = {
  /** Its `jti`, which is also the id of its session. */
  readonly id: string
  /** ISO 8601 in UTC; afterwards the row is of no use. */
  readonly expiresAt: string
}
