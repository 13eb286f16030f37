import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type TestDatabase, newDatabase, setups } from '../../e2e/src/databases.ts'
import { createdKey, outcomeOf } from '../../e2e/src/replies.ts'
import { type FiveSessions, startFiveSessions } from './support/five-sessions.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

let sessions: FiveSessions
let database: TestDatabase
let carol: number
let garden: number
let secret: number

describe.each(setups)('%s on %s', (orm, kind) => {
  beforeAll(async () => {
    database = await newDatabase(kind)
    sessions = await startFiveSessions(['--orm', orm, '--db', database.url])
    carol = await sessions.keyOf('users', 'carol')
    garden = await sessions.keyOf('projects', 'Garden day')
    secret = await sessions.keyOf('projects', 'A present for Alice')
  })

  afterAll(async () => {
    await sessions.stop()
    await database.remove()
  })

  /** A private project of bob with a task and a comment, and a change of its membership to come. */
  async function privateProject() {
    const { as } = sessions
    const project = createdKey(await as.bob.request('projects', 'create', { data: { name: 'private' } }))
    const task = createdKey(await as.bob.request('tasks', 'create', { data: { projectId: project, title: 'task' } }))
    const comment = createdKey(await as.bob.request('comments', 'create', { data: { taskId: task, text: 'hi' } }))
    return { project, task, comment }
  }

  describe('a membership', () => {
    test('that is gained shows projects, tasks and comments at once, and takes them away when it is lost', async () => {
      const { as } = sessions
      const { project, task, comment } = await privateProject()
      const projects = await as.carol.subscribe('projects')
      const allTasks = await as.carol.subscribe('tasks')
      const tasks = await as.carol.subscribe('tasks', { where: { projectId: project } })
      const comments = await as.carol.subscribe('comments', { params: { taskId: task } })
      const memberships = await as.carol.subscribe('memberships')
      const views = [projects, allTasks, tasks, comments, memberships]
      const before = projects.keys
      expect([tasks.keys, comments.keys, memberships.keys]).toEqual([[], [], []])

      const data = { projectId: project, userId: carol }
      const membership = createdKey(await as.bob.request('memberships', 'create', { data }))
      const gained = [project, task, task, comment, membership]
      for (const [at, view] of views.entries()) await view.until(() => view.rows.has(gained[at] ?? 0))
      expect(outcomeOf(await as.carol.request('tasks', 'update', { key: task, data: { points: 1 } }))).toBe('ok')

      await as.bob.request('memberships', 'delete', { key: membership })
      for (const [at, view] of views.entries()) await view.until(() => !view.rows.has(gained[at] ?? 0))
      expect(projects.keys).toEqual(before)
      expect(outcomeOf(await as.carol.request('tasks', 'update', { key: task, data: { points: 2 } }))).toBe('not_found')
      // What happens there from now on is not heard.
      await as.bob.request('tasks', 'update', { key: task, data: { title: 'secret' } })
      await as.bob.request('tasks', 'create', { data: { projectId: garden, title: 'public' } })
      await allTasks.until(() => allTasks.all('title').includes('public'))
      expect(allTasks.all('title')).not.toContain('secret')
    })

    test('leaves the views of others alone', async () => {
      const { as } = sessions
      const { project } = await privateProject()
      const alice = await as.alice.subscribe('projects')
      const before = [...alice.log]
      const data = { projectId: project, userId: carol }
      const membership = createdKey(await as.bob.request('memberships', 'create', { data }))
      await as.bob.request('memberships', 'delete', { key: membership })
      await as.alice.request('projects', 'create', { data: { name: 'after', public: false } })
      expect(alice.log.slice(before.length)).toHaveLength(1)
    })
  })

  describe('a project', () => {
    test('that is opened and closed comes and goes for everybody with its tasks and comments', async () => {
      const { as } = sessions
      const { project, task, comment } = await privateProject()
      for (const reader of [as.anonymous, as.carol]) {
        const views = [
          await reader.subscribe('projects'),
          await reader.subscribe('tasks', { where: { projectId: project } }),
          await reader.subscribe('comments', { where: { taskId: task } }),
        ]
        const keys = [project, task, comment]
        await as.bob.request('projects', 'update', { key: project, data: { public: true } })
        for (const [at, view] of views.entries()) await view.until(() => view.rows.has(keys[at] ?? 0))
        await as.bob.request('projects', 'update', { key: project, data: { public: false } })
        for (const [at, view] of views.entries()) await view.until(() => !view.rows.has(keys[at] ?? 0))
      }
    })

    test('that is deleted takes its tasks, comments and memberships along', async () => {
      const { as } = sessions
      const { project, task, comment } = await privateProject()
      const data = { projectId: project, userId: carol }
      const membership = createdKey(await as.bob.request('memberships', 'create', { data }))
      const views = [
        await as.carol.subscribe('projects'),
        await as.carol.subscribe('tasks', { where: { projectId: project } }),
        await as.carol.subscribe('comments', { where: { taskId: task } }),
        await as.carol.subscribe('memberships'),
        await as.root.subscribe('comments'),
      ]
      const keys = [project, task, comment, membership, comment]
      for (const [at, view] of views.entries()) expect(view.keys).toContain(keys[at])
      await as.bob.request('projects', 'delete', { key: project })
      for (const [at, view] of views.entries()) await view.until(() => !view.rows.has(keys[at] ?? 0))
    })
  })

  describe('a task', () => {
    test('that moves to another project leaves some, and enters for others, with its comments', async () => {
      const { as } = sessions
      const { task, comment } = await privateProject()
      const inGarden = await as.carol.subscribe('tasks', { where: { projectId: garden } })
      const comments = await as.carol.subscribe('comments', { where: { taskId: task } })
      expect(comments.keys).toEqual([])
      await as.bob.request('tasks', 'update', { key: task, data: { projectId: garden } })
      await inGarden.until(() => inGarden.rows.has(task))
      await comments.until(() => comments.rows.has(comment))
      await as.bob.request('tasks', 'update', { key: task, data: { projectId: secret } })
      await inGarden.until(() => !inGarden.rows.has(task))
      await comments.until(() => !comments.rows.has(comment))
      expect(outcomeOf(await as.carol.request('tasks', 'get', { key: task }))).toBe('not_found')
    })

    test('shows its notes to who is signed in, and to nobody else', async () => {
      const { as } = sessions
      const anonymous = await as.anonymous.subscribe('tasks', { where: { projectId: garden } })
      const signedIn = await as.carol.subscribe('tasks', { where: { projectId: garden } })
      const data = { projectId: garden, title: 'noted', notes: 'hidden' }
      const key = createdKey(await as.alice.request('tasks', 'create', { data }))
      await signedIn.until(() => signedIn.rows.get(key)?.['notes'] === 'hidden')
      await anonymous.until(() => anonymous.rows.has(key))
      // A change of what cannot be seen is no change.
      await as.alice.request('tasks', 'update', { key, data: { points: 5 } })
      await anonymous.until(() => anonymous.rows.get(key)?.['points'] === 5)
      expect(JSON.stringify(as.anonymous.messages)).not.toContain('hidden')
    })
  })
})
