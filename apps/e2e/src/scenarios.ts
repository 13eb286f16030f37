/**
 * What holds over every transport, layer, ORM and database. Whoever writes is at the first board and whoever watches at
 * the second, where there are two. Each scenario works in projects of its own.
 */
import { randomUUID } from 'node:crypto'
import type { ReplyMessage } from '@rtapi/core/protocol'
import { expect } from 'vitest'
import { createdKey, outcomeOf } from './replies.ts'
import { interruptibleView } from './resuming.ts'
import { ScriptClient } from './script-client.ts'
import { sessionScenarios } from './session-scenarios.ts'
import { type Stage, create, remove, update } from './stage.ts'
import { connectOver } from './transports.ts'

export interface Scenario {
  readonly title: string
  /** Over which transports it can be played. @default all */
  readonly over?: 'links' | 'script'
  readonly run: (stage: Stage) => Promise<void>
}

const [writer, watcher] = [0, 1]
const nobody = undefined

export const scenarios: readonly Scenario[] = [
  {
    title: 'knows who is signed in, and refuses a false token',
    async run({ world, transport, client }) {
      const anonymous = await client(nobody, watcher)
      const alice = await client('alice', watcher)
      expect(outcomeOf(await anonymous.request('users', 'list'))).toBe('not_found')
      const itself = await alice.request('users', 'get', { key: world.userId('alice') })
      expect(itself).toMatchObject({ ok: true, data: { name: 'alice' } })
      const refused = connectOver(transport, world.node(watcher).line, 'false')
        .then((impostor) => impostor.request('projects', 'list'))
        .then(outcomeOf, String)
      expect(await refused).toMatch(/4401|unauthenticated/)
    },
  },
  {
    title: 'shows what another one creates, changes and deletes, to each what they may see',
    async run({ client }) {
      const alice = await client('alice', writer)
      const projectId = await create(alice, 'projects', { name: 'shared', public: true })
      const [bob, anonymous] = [await client('bob', watcher), await client(nobody, watcher)]
      const query = { where: { projectId } }
      const signedIn = await bob.subscribe('tasks', query)
      const stranger = await anonymous.subscribe('tasks', query)
      const narrow = await anonymous.subscribe('tasks', { ...query, fields: ['id', 'title'] })
      const views = [signedIn, stranger, narrow]
      expect(views.map(({ keys }) => keys)).toEqual([[], [], []])

      const key = await create(alice, 'tasks', { projectId, title: 'new', notes: 'hidden' })
      for (const view of views) await view.until(() => view.rows.has(key))
      expect(signedIn.rows.get(key)).toMatchObject({ title: 'new', notes: 'hidden', state: 'open' })
      expect(stranger.rows.get(key)).toMatchObject({ title: 'new', state: 'open' })
      expect(stranger.rows.get(key)).not.toHaveProperty('notes')
      expect(narrow.rows.get(key)).toEqual({ id: key, title: 'new' })
      // Of a change to what is not shown, nothing is said.
      await update(alice, 'tasks', key, { notes: 'still hidden' })
      await signedIn.until(() => signedIn.rows.get(key)?.['notes'] === 'still hidden')
      await update(alice, 'tasks', key, { title: 'changed' })
      for (const view of views) await view.until(() => view.rows.get(key)?.['title'] === 'changed')
      expect(stranger.rows.get(key)).not.toHaveProperty('notes')
      await remove(alice, 'tasks', key)
      for (const view of views) await view.until(() => !view.rows.has(key))
      expect(signedIn.log).toEqual([`create ${key}`, `update ${key}`, `update ${key}`, `delete ${key}`])
      expect(narrow.log).toEqual([`create ${key}`, `update ${key}`, `delete ${key}`])
    },
  },
  {
    title: 'lets rows enter and leave a filter',
    async run({ client }) {
      const alice = await client('alice', writer)
      const projectId = await create(alice, 'projects', { name: 'filtered', public: true })
      const key = await create(alice, 'tasks', { projectId, title: 'task' })
      const view = await (await client('bob', watcher)).subscribe('tasks', { where: { projectId, state: 'open' } })
      expect(view.keys).toEqual([key])
      await update(alice, 'tasks', key, { state: 'doing' })
      await view.until(() => !view.rows.has(key))
      await update(alice, 'tasks', key, { state: 'open' })
      await view.until(() => view.rows.has(key))
      expect(view.log).toEqual([`leave ${key}`, `enter ${key}`])
    },
  },
  {
    title: 'shows what a membership opens at once, and takes it away with it',
    async run({ client, world }) {
      const alice = await client('alice', writer)
      const projectId = await create(alice, 'projects', { name: 'private' })
      const task = await create(alice, 'tasks', { projectId, title: 'task' })
      const comment = await create(alice, 'comments', { taskId: task, text: 'comment' })
      const carol = await client('carol', watcher)
      const views = [
        [await carol.subscribe('projects', { where: { name: 'private' } }), projectId],
        [await carol.subscribe('tasks', { where: { projectId } }), task],
        [await carol.subscribe('comments', { params: { taskId: task } }), comment],
      ] as const
      for (const [view, key] of views) expect(view.keys).not.toContain(key)

      const membership = await create(alice, 'memberships', { projectId, userId: world.userId('carol') })
      for (const [view, key] of views) await view.until(() => view.rows.has(key))
      await remove(alice, 'memberships', membership)
      for (const [view, key] of views) {
        await view.until(() => !view.rows.has(key))
        // As if they had been deleted: `leave` is said only of what one may still read.
        expect(view.log).toContain(`delete ${key}`)
      }
    },
  },
  {
    title: 'answers of what is hidden as of what does not exist',
    async run({ client }) {
      const alice = await client('alice', writer)
      const projectId = await create(alice, 'projects', { name: 'hidden' })
      const hidden = await create(alice, 'tasks', { projectId, title: 'hidden' })
      const missing = 987_654_321
      const carol = await client('carol', watcher)
      const told = async (key: number): Promise<unknown> => {
        const replies = [
          await carol.request('tasks', 'get', { key }),
          await carol.request('tasks', 'update', { key, data: { title: 'mine' } }),
          await carol.request('tasks', 'delete', { key }),
        ]
        return replies.map(({ type, ok, ...reply }) => [type, ok, 'error' in reply && reply.error])
      }
      const answers = await told(hidden)
      expect(answers).toEqual(await told(missing))
      expect(JSON.stringify(answers)).toContain('not_found')
      for (const key of [hidden, missing]) expect((await carol.subscribe('tasks', { key })).keys).toEqual([])
    },
  },
  {
    title: 'goes on from its position after a cut, on another board if there is one, without a reset',
    over: 'links',
    async run({ client, link }) {
      const before = await link('bob', watcher)
      const view = await interruptibleView(await client('alice', writer), before)
      await before.cut()
      await view.meanwhile()
      await view.resume(await link('bob', writer))
    },
  },
  {
    title: 'goes on by Last-Event-ID after its stream broke, and repeats nothing',
    over: 'script',
    async run({ add, world, client }) {
      const alice = await client('alice', writer)
      const projectId = await create(alice, 'projects', { name: 'streamed', public: true })
      const bob = add(new ScriptClient(world.node(watcher).line, world.token('bob')))
      const view = await bob.subscribe('tasks', { where: { projectId } })
      const first = await create(alice, 'tasks', { projectId, title: 'first' })
      await view.until(() => view.rows.has(first))
      bob.breakStream()
      const second = await create(alice, 'tasks', { projectId, title: 'second' })
      await remove(alice, 'tasks', first)
      await view.until(() => view.rows.has(second) && !view.rows.has(first))
      expect(view.log.filter((entry) => entry === `create ${first}`)).toHaveLength(1)
      expect([view.snapshots, view.resets]).toEqual([1, []])
    },
  },
  {
    title: 'answers a write when the views of the writer have it',
    over: 'links',
    async run({ link }) {
      const alice = await link('alice', writer)
      const projectId = await create(alice, 'projects', { name: 'own', public: true })
      const view = await alice.subscribe('tasks', { where: { projectId } })
      const before = alice.messages.length
      const key = await create(alice, 'tasks', { projectId, title: 'mine' })
      const since = alice.messages.slice(before)
      const shown = since.findIndex(({ type }) => type === 'changes')
      const replied = since.findIndex(({ type }) => type === 'reply')
      expect(since[replied]).not.toHaveProperty('pending')
      expect(shown).toBeGreaterThan(-1)
      expect(shown).toBeLessThan(replied)
      expect(view.keys).toEqual([key])
    },
  },
  {
    title: 'says nothing of writes that fail',
    async run({ client, world }) {
      const alice = await client('alice', writer)
      const projectId = await create(alice, 'projects', { name: 'failing', public: true })
      const data = { projectId, userId: world.userId('carol') }
      const membership = await create(alice, 'memberships', data)
      const task = await create(alice, 'tasks', { projectId, title: 'task' })
      const root = await client('root', watcher)
      const memberships = await root.subscribe('memberships', { where: { projectId } })
      const tasks = await root.subscribe('tasks', { where: { projectId } })

      expect(outcomeOf(await alice.request('memberships', 'create', { data }))).toBe('conflict')
      const stale = await alice.request('tasks', 'update', { key: task, ifVersion: 99, data: { title: 'stale' } })
      expect(outcomeOf(stale)).toBe('conflict')
      await remove(alice, 'memberships', membership)
      await remove(alice, 'tasks', task)
      await memberships.until(() => memberships.rows.size === 0)
      await tasks.until(() => tasks.rows.size === 0)
      expect(memberships.log).toEqual([`delete ${membership}`])
      expect(tasks.log).toEqual([`delete ${task}`])
    },
  },
  {
    title: 'runs a write with a key once, on whichever board it is repeated',
    async run({ client, world }) {
      const alice = await client('alice', writer)
      const projectId = await create(alice, 'projects', { name: 'repeated', public: true })
      const elsewhere = await client('alice', watcher)
      const idempotencyKey = randomUUID()
      const write = { idempotencyKey, data: { projectId, title: 'once' } }
      const view = await elsewhere.subscribe('tasks', { where: { projectId } })

      // At once, on both: one of them waits for the other.
      const replies = await Promise.all([alice, elsewhere].map((each) => each.request('tasks', 'create', write)))
      const [key] = replies.map(createdKey)
      expect(await elsewhere.request('tasks', 'create', write)).toMatchObject({ ok: true, key })
      expect(replies.map(told)).toEqual([told(replies[0]), told(replies[0])])
      const other = { ...write, data: { projectId, title: 'another' } }
      for (const each of [alice, elsewhere]) {
        expect(outcomeOf(await each.request('tasks', 'create', other))).toBe('conflict')
      }
      // The key of another one is another key.
      const bob = await client('bob', watcher)
      await create(alice, 'memberships', { projectId, userId: world.userId('bob') })
      const his = createdKey(await bob.request('tasks', 'create', write))
      await view.until(() => view.rows.size === 2)
      expect(view.keys).toEqual([key, his])
    },
  },
  ...sessionScenarios,
]

/** What two replies to one write have in common. */
function told(reply: ReplyMessage | undefined): unknown {
  return reply?.ok === true ? { key: reply.key, tx: reply.tx, data: reply.data } : reply
}
