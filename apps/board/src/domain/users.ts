/** The resource `users`. */
import { type Permission, type Store, defineResource, isRead } from '@rtapi/core'
import type { z } from 'zod'
import type { BoardUser } from '../authenticate.ts'
import { hashPassword } from '../passwords.ts'
import type { BoardStores } from './board-database.ts'
import { newUser, userPatch } from './inputs.ts'
import type { UserRow } from './rows.ts'

type NewUser = z.infer<typeof newUser>
type UserPatch = z.infer<typeof userPatch>

/** Everybody who is signed in sees the names; admins see and change the rest; a name is its owner's to change. */
const permission: Permission<UserRow, BoardUser> = {
  allows: ({ session: { user }, action }) =>
    user !== null && (isRead(action) || action === 'update' || user.role === 'admin'),
  scope: ({ session: { user }, action }) =>
    user !== null && (isRead(action) || user.role === 'admin' || { id: user.id }),
  allowsRecord: ({ session: { user } }, row) =>
    // Only active members have sessions, so any other value in a member's own record would be a change of it.
    user?.role === 'admin' || (row.id === user?.id && row.role === 'member' && row.active === true),
  fields: ({ session: { user } }) => (user?.role === 'admin' ? true : ['id', 'name']),
}

export function usersResource({ users }: BoardStores) {
  return defineResource('users', {
    store: hashingPasswords(users),
    fields: ['id', 'name', 'role', 'active'],
    input: { create: newUser, update: userPatch },
    permissions: [permission],
  })
}

/** The store of users, taking passwords and keeping their hashes. */
function hashingPasswords(users: BoardStores['users']): Store<UserRow, NewUser, UserPatch> {
  return {
    entity: users.entity,
    describe: () => users.describe(),
    read: (keys) => users.read(keys),
    find: (query) => users.find(query),
    create: async ({ password, ...user }) => users.create({ ...user, passwordHash: await hashPassword(password) }),
    update: (key, patch, where) => users.update(key, patch, where),
    delete: (key, where) => users.delete(key, where),
  }
}
