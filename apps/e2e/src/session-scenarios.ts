/**
 * What becomes of connections when somebody is switched off, deleted, signs out or gets another role. The act is at the
 * first board and whom it concerns at the second, where there are two.
 */
import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { postJson } from './board-process.ts'
import { comeBack, refusal } from './coming-back.ts'
import { outcomeOf } from './replies.ts'
import type { Scenario } from './scenarios.ts'
import { type Stage, create, remove, update } from './stage.ts'
import { type AnyClient, type LinkName, connectOver, links } from './transports.ts'
import { connect } from './wire-client.ts'

const [writer, watcher] = [0, 1]
const revoked = 4440

/** Somebody who has just been given an account, and is signed in. */
interface Newcomer {
  readonly id: number
  readonly name: string
  readonly token: string
}

/** What ends sessions, and what it is called. */
const acts: readonly (readonly [string, (stage: Stage, root: AnyClient, who: Newcomer) => Promise<void>])[] = [
  ['is switched off', (_, root, { id }) => update(root, 'users', id, { active: false })],
  ['is deleted', (_, root, { id }) => remove(root, 'users', id)],
  ['signs out', ({ world }, _, { token }) => signOut(world, token)],
]

export const sessionScenarios: readonly Scenario[] = [
  ...acts.map(([act, perform]): Scenario => ({
    title: `shows nothing more to who ${act}, and does not let them come back`,
    async run(stage) {
      const { add, client, transport, world } = stage
      const root = await client('root', writer)
      const projectId = await create(root, 'projects', { name: act, public: true })
      const query = { where: { projectId } }
      const who = await newcomer(stage, root, 'member')
      const gone = add(await connectOver(transport, world.node(watcher).line, who.token))
      const view = await gone.subscribe('tasks', query)
      const witness = await (await client('bob', watcher)).subscribe('tasks', query)
      const seen = await create(root, 'tasks', { projectId, title: 'before' })
      await view.until(() => view.rows.has(seen))

      await perform(stage, root, who)
      const canary = randomUUID()
      const unseen = await create(root, 'tasks', { projectId, title: canary })
      expect((await gone.closed).code).toBe(revoked)
      await witness.until(() => witness.rows.has(unseen))
      expect(
        await comeBack(world.node(watcher).line, stage.transport, gone, { token: who.token, view, query }),
      ).toMatch(refusal)
      expect(JSON.stringify(gone.messages)).not.toContain(canary)
      expect(outcomeOf(await root.request('projects', 'list')), 'others stay').toBe('ok')
    },
  })),
  {
    title: 'leaves other sign-ins of who signs out alone',
    async run(stage) {
      const { add, client, transport, world } = stage
      const root = await client('root', writer)
      const projectId = await create(root, 'projects', { name: 'signed in twice', public: true })
      const who = await newcomer(stage, root, 'member')
      const other = await world.node(writer).login(who.name)
      const stays = add(await connectOver(transport, world.node(watcher).line, other))
      const view = await stays.subscribe('tasks', { where: { projectId } })
      await signOut(world, who.token)
      const later = await create(root, 'tasks', { projectId, title: 'later' })
      await view.until(() => view.rows.has(later))
      expect([view.snapshots, view.resets, view.ended]).toEqual([1, [], undefined])
    },
  },
  {
    title: 'shows what a role opens at once, and takes it away with it, in the views that there are',
    async run(stage) {
      const { add, client, transport, world } = stage
      const root = await client('root', writer)
      const name = randomUUID()
      const projectId = await create(root, 'projects', { name })
      const task = await create(root, 'tasks', { projectId, title: 'for admins' })
      const who = await newcomer(stage, root, 'member')
      const itself = add(await connectOver(transport, world.node(watcher).line, who.token))
      const projects = await itself.subscribe('projects', { where: { name } })
      const tasks = await itself.subscribe('tasks', { where: { projectId } })
      const users = await itself.subscribe('users', { where: { id: who.id } })
      expect([projects.keys, tasks.keys, users.all('role')]).toEqual([[], [], [undefined]])

      await update(root, 'users', who.id, { role: 'admin' })
      await projects.until(() => projects.rows.has(projectId))
      await tasks.until(() => tasks.rows.has(task))
      await users.until(() => users.rows.get(who.id)?.['role'] === 'admin')

      const witness = await (await client('root', watcher)).subscribe('tasks', { where: { projectId } })
      await update(root, 'users', who.id, { role: 'member' })
      const canary = randomUUID()
      await update(root, 'tasks', task, { title: canary })
      await projects.until(() => projects.rows.size === 0)
      await tasks.until(() => tasks.rows.size === 0)
      await users.until(() => users.rows.has(who.id) && users.rows.get(who.id)?.['role'] === undefined)
      await witness.until(() => witness.rows.get(task)?.['title'] === canary)

      const open = await create(root, 'projects', { name, public: true })
      await projects.until(() => projects.rows.has(open))
      expect([projects, tasks, users].map(({ ended }) => ended)).toEqual([undefined, undefined, undefined])
      expect(JSON.stringify(itself.messages)).not.toContain(canary)
    },
  },
  {
    title: 'asks anew what who comes back may see: a role that was lost meanwhile counts',
    over: 'links',
    async run(stage) {
      const { add, client, transport, world } = stage
      const open = links[transport as LinkName]
      const root = await client('root', writer)
      const projectId = await create(root, 'projects', { name: 'for admins' })
      const task = await create(root, 'tasks', { projectId, title: 'for admins' })
      const query = { where: { projectId } }
      const who = await newcomer(stage, root, 'admin')
      const before = add(await connect(world.node(watcher).line, { open, token: who.token }))
      const view = await before.subscribe('tasks', query)
      expect(view.keys).toEqual([task])

      await before.cut()
      await update(root, 'users', who.id, { role: 'member' })
      const canary = randomUUID()
      await update(root, 'tasks', task, { title: canary })
      const after = add(await connect(world.node(writer).line, { open, token: who.token }))
      const resumed = await after.resume(view, 'tasks', query)
      await resumed.until(() => resumed.rows.size === 0)
      expect(JSON.stringify(after.messages)).not.toContain(canary)
    },
  },
]

/** @param root - makes the account. */
async function newcomer({ world }: Stage, root: AnyClient, role: 'member' | 'admin'): Promise<Newcomer> {
  const name = randomUUID()
  const id = await create(root, 'users', { name, password: 'pw', role })
  return { id, name, token: await world.node(writer).login(name) }
}

async function signOut(world: Stage['world'], token: string): Promise<void> {
  const { http } = world.node(writer).line
  const response = await postJson(`${http}/logout`, undefined, { authorization: `Bearer ${token}` })
  expect(response.status).toBe(204)
}
