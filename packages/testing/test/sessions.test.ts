import { type Permission, createApi, defineResource, isAuthenticated, memoryStore } from '@rtapi/core'
import { testSessions } from '@rtapi/testing'
import { expect, test } from 'vitest'

type Note = { readonly id: number; readonly text: string; readonly owner: number }

/** Notes, of which each user has their own. */
function setUp(sessions = testSessions()) {
  const notes = memoryStore<Note>({
    entity: 'notes',
    fields: { id: 'integer', text: 'string', owner: 'integer' },
    rows: [1, 2, 3].map((owner) => ({ text: `of ${owner}`, owner })),
  })
  const own: Permission<Note> = { scope: ({ session }) => ({ owner: Number(session.user?.id) }) }
  const resource = defineResource('notes', { store: notes, permissions: [isAuthenticated, own] })
  return { sessions, api: createApi({ resources: [resource], changes: [notes], authenticate: sessions.authenticate }) }
}

test('connectAs is connected as that user, and as nobody without one', async () => {
  const { sessions, api } = setUp()
  const user = await sessions.user()
  const client = await sessions.connectAs(api, user)
  expect(client.welcome?.user).toBe(user.id)
  const view = await client.subscribe({ resource: 'notes' })
  expect(view.rows).toEqual([{ id: 1, text: 'of 1', owner: 1 }])
  const nobody = await sessions.connectAs(api, null)
  expect(nobody.welcome).not.toHaveProperty('user')
  await expect(nobody.subscribe({ resource: 'notes' })).rejects.toMatchObject({ code: 'not_found' })
  await api.close()
})

test('user and admin are made once, and createUser makes up what is not said', async () => {
  const sessions = testSessions()
  expect(await sessions.user()).toBe(await sessions.user())
  expect(await sessions.user()).toMatchObject({ name: 'user', admin: false })
  expect(await sessions.admin()).toMatchObject({ name: 'admin', admin: true })
  const made = await sessions.createUser({ name: 'bob' })
  expect(made).toMatchObject({ name: 'bob', admin: false })
  expect(made.id).not.toBe((await sessions.user()).id)
})

test('login changes the user by a new connection, and refuses wrong credentials', async () => {
  const { sessions, api } = setUp()
  const bob = await sessions.createUser({ name: 'bob', password: 'secret' })
  const nobody = await sessions.connectAs(api, null)
  await expect(sessions.login(nobody, { name: 'bob', password: 'wrong' })).rejects.toMatchObject({
    code: 'unauthenticated',
  })
  expect(nobody.closed).toBeUndefined()
  const client = await sessions.login(nobody, { name: 'bob', password: 'secret' })
  expect(client.welcome?.user).toBe(bob.id)
  expect(nobody.closed).toMatchObject({ code: 4451 })
  await api.close()
})

test('forceLogin of the same user keeps the connection and its views', async () => {
  const { sessions, api } = setUp()
  const user = await sessions.user()
  const client = await sessions.connectAs(api, user)
  const view = await client.subscribe({ resource: 'notes' })
  expect(await sessions.forceLogin(client, user)).toBe(client)
  expect(view.end).toBeUndefined()
  const other = await sessions.forceLogin(client, await sessions.admin())
  expect(other).not.toBe(client)
  expect(other.welcome?.user).toBe((await sessions.admin()).id)
  await api.close()
})

test('logout makes the client anonymous and its token worthless', async () => {
  const { sessions, api } = setUp()
  const client = await sessions.connectAs(api, await sessions.user())
  const { token } = client
  const nobody = await sessions.logout(client)
  expect(nobody.welcome).not.toHaveProperty('user')
  expect(client.closed).toMatchObject({ code: 4451 })
  await expect(nobody.reconnect(token)).rejects.toThrow(/closed with 4401/)
  await api.close()
})

test('users and other tokens may be those of the application', async () => {
  const created: string[] = []
  const people = [{ id: 'a', login: 'ann' }]
  const sessions = testSessions({
    createUser({ name }) {
      created.push(name)
      return { id: name, login: name }
    },
    findUser: ({ name }) => people.find(({ login }) => login === name) ?? null,
    authenticate: ({ token }) => (token === 'of the application' ? { user: { id: 'x', login: 'x' } } : null),
  })
  const api = createApi({ resources: [], authenticate: sessions.authenticate })
  const client = await sessions.connectAs(api, await sessions.user())
  expect(created).toEqual(['user'])
  expect(client.welcome?.user).toBe('user')
  expect((await client.reconnect('of the application')).welcome?.user).toBe('x')
  expect((await sessions.login(await client.reconnect(), { name: 'ann', password: '' })).welcome?.user).toBe('a')
  await api.close()
})
