import type { Json, ReplyMessage } from '@rtapi/core/protocol'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type TestDatabase, newDatabase, setups } from '../../e2e/src/databases.ts'
import { createdKey, fieldOf, outcomeOf } from '../../e2e/src/replies.ts'
import { type FiveSessions, type RoleName, roles, startFiveSessions } from './support/five-sessions.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

let sessions: FiveSessions
let database: TestDatabase
/** Keys of the seed: what is in alice's public project, of which bob is a member, and in bob's private one. */
const open = { project: 0, task: 0, comment: 0, membership: 0 }
const secret = { project: 0, task: 0, comment: 0 }
const users = { alice: 0, bob: 0, carol: 0, root: 0 }
const missing = 987_654

describe.each(setups)('%s on %s', (orm, kind) => {
  beforeAll(async () => {
    database = await newDatabase(kind)
    sessions = await startFiveSessions(['--orm', orm, '--db', database.url])
    const keyOf = (resource: string, text: string): Promise<number> => sessions.keyOf(resource, text)
    open.project = await keyOf('projects', 'Garden day')
    open.task = await keyOf('tasks', 'Invite everybody')
    open.comment = await keyOf('comments', 'The neighbours lend us theirs.')
    secret.project = await keyOf('projects', 'A present for Alice')
    secret.task = await keyOf('tasks', 'Collect money')
    secret.comment = await keyOf('comments', 'Something for the garden, I think.')
    for (const name of ['alice', 'bob', 'carol', 'root'] as const) users[name] = await keyOf('users', name)
  })

  afterAll(async () => {
    await sessions.stop()
    await database.remove()
  })

  type PerRole<T> = Readonly<Record<RoleName, T>>

  /** One value for each role, in the order anonymous, carol (a stranger), bob (a member), alice (the owner), root. */
  function each<T>(anonymous: T, carol: T, bob: T, alice: T, root: T): PerRole<T> {
    return { anonymous, carol, bob, alice, root }
  }

  /** Asks as every role, one after the other. */
  async function asAll<T>(ask: (role: RoleName) => Promise<T>): Promise<PerRole<T>> {
    const answers = await roles.reduce<Promise<[RoleName, T][]>>(
      async (before, role) => [...(await before), [role, await ask(role)]],
      Promise.resolve([]),
    )
    return Object.fromEntries(answers) as Record<RoleName, T>
  }

  describe('reading', () => {
    const garden = 'Garden day'
    const present = 'A present for Alice'

    test('projects', async () => {
      const names = await asAll(async (role) => fieldOf(await sessions.as[role].request('projects', 'list'), 'name'))
      expect(names).toEqual(each([garden], [garden], [present, garden], [garden], [present, garden]))
    })

    test('tasks', async () => {
      const counts = await asAll(async (role) => fieldOf(await sessions.as[role].request('tasks', 'list'), 'id').length)
      expect(counts).toEqual(each(6, 6, 8, 6, 8))
    })

    test('comments', async () => {
      const counts = await asAll(
        async (role) => fieldOf(await sessions.as[role].request('comments', 'list'), 'id').length,
      )
      expect(counts).toEqual(each(3, 3, 4, 3, 4))
    })

    test('memberships', async () => {
      const counts = await asAll(
        async (role) => fieldOf(await sessions.as[role].request('memberships', 'list'), 'id').length,
      )
      expect(counts).toEqual(each(0, 0, 1, 1, 1))
    })

    test('users, who do not exist for strangers', async () => {
      const outcomes = await asAll(async (role) => outcomeOf(await sessions.as[role].request('users', 'list')))
      expect(outcomes).toEqual(each('not_found', 'ok', 'ok', 'ok', 'ok'))
    })

    test('which fields', async () => {
      const fields = async (role: RoleName, resource: string, key: number): Promise<readonly string[]> => {
        const reply = await sessions.as[role].request(resource, 'get', { key })
        return reply.ok ? Object.keys(reply.data as Record<string, Json>).sort() : []
      }
      expect(await fields('carol', 'users', users.bob)).toEqual(['id', 'name'])
      expect(await fields('root', 'users', users.bob)).toEqual(['active', 'id', 'name', 'role'])
      expect(await fields('anonymous', 'tasks', open.task)).not.toContain('notes')
      expect(await fields('carol', 'tasks', open.task)).toContain('notes')
      expect(await fields('root', 'comments', open.comment)).toEqual(['authorId', 'createdAt', 'id', 'taskId', 'text'])
    })

    test('hidden fields cannot be asked for, filtered or sorted by', async () => {
      const { as } = sessions
      const unknown = await as.anonymous.request('tasks', 'list', { where: { nonsense: 'x' } })
      const hidden = await as.anonymous.request('tasks', 'list', { where: { notes: 'x' } })
      expect(errorText(hidden)?.replace('notes', 'nonsense')).toBe(errorText(unknown))
      for (const [role, resource, field] of [
        ['anonymous', 'tasks', 'notes'],
        ['carol', 'users', 'role'],
        ['root', 'users', 'passwordHash'],
        ['root', 'comments', 'projectId'],
      ] as const) {
        const ask = (fields: object): Promise<string> => as[role].request(resource, 'list', fields).then(outcomeOf)
        expect(await ask({ where: { [field]: { ne: 'x' } } })).toBe('bad_request')
        expect(await ask({ order: [[field, 'asc']] })).toBe('bad_request')
        expect(await ask({ fields: [field] })).toBe('bad_request')
      }
    })
  })

  describe('creating', () => {
    test.each<[what: string, resource: string, data: () => Json, PerRole<string>]>([
      [
        'a user',
        'users',
        () => ({ name: `u${Math.random()}`, password: 'pw' }),
        each('not_found', 'forbidden', 'forbidden', 'forbidden', 'ok'),
      ],
      ['a project', 'projects', () => ({ name: 'x' }), each('unauthenticated', 'ok', 'ok', 'ok', 'ok')],
      [
        'a task of the public project',
        'tasks',
        () => ({ projectId: open.project, title: 'x' }),
        each('unauthenticated', 'forbidden', 'ok', 'ok', 'ok'),
      ],
      [
        'a task of the private project',
        'tasks',
        () => ({ projectId: secret.project, title: 'x' }),
        each('unauthenticated', 'forbidden', 'ok', 'forbidden', 'ok'),
      ],
      [
        'a task of no project',
        'tasks',
        () => ({ projectId: missing, title: 'x' }),
        each('unauthenticated', 'forbidden', 'forbidden', 'forbidden', 'conflict'),
      ],
      [
        'a comment on a public task',
        'comments',
        () => ({ taskId: open.task, text: 'x' }),
        each('unauthenticated', 'ok', 'ok', 'ok', 'ok'),
      ],
      [
        'a comment on a private task',
        'comments',
        () => ({ taskId: secret.task, text: 'x' }),
        each('unauthenticated', 'forbidden', 'ok', 'forbidden', 'ok'),
      ],
      [
        'a comment on no task',
        'comments',
        () => ({ taskId: missing, text: 'x' }),
        each('unauthenticated', 'forbidden', 'forbidden', 'forbidden', 'forbidden'),
      ],
    ])('%s', async (_, resource, data, expected) => {
      const outcomes = await asAll(async (role) =>
        outcomeOf(await sessions.as[role].request(resource, 'create', { data: data() })),
      )
      expect(outcomes).toEqual(expected)
    })

    test('a membership', async () => {
      const { as } = sessions
      const outcomes = await asAll(async (role) => {
        const reply = await as[role].request('memberships', 'create', {
          data: { projectId: open.project, userId: users.carol },
        })
        if (reply.ok) await as.root.request('memberships', 'delete', { key: createdKey(reply) })
        return outcomeOf(reply)
      })
      expect(outcomes).toEqual(each('unauthenticated', 'forbidden', 'forbidden', 'ok', 'ok'))
    })

    test('a membership that exists is a conflict', async () => {
      const data = { projectId: open.project, userId: users.bob }
      expect(outcomeOf(await sessions.as.alice.request('memberships', 'create', { data }))).toBe('conflict')
    })

    test('the creator becomes owner and author', async () => {
      const { as } = sessions
      const project = await as.carol.request('projects', 'create', { data: { name: 'mine', public: true } })
      expect(project).toMatchObject({ data: { ownerId: users.carol, public: true } })
      const comment = await as.carol.request('comments', 'create', {
        data: { text: 'hi' },
        params: { taskId: open.task },
      })
      expect(comment).toMatchObject({ data: { authorId: users.carol, taskId: open.task } })
      const task = await as.carol.request('tasks', 'create', { data: { projectId: createdKey(project), title: 't' } })
      expect(task).toMatchObject({ data: { state: 'open', version: 1, assigneeId: null, notes: null } })
      await as.root.request('projects', 'delete', { key: createdKey(project) })
    })

    test.each<[string, string, Json]>([
      ['owner', 'projects', { name: 'x', ownerId: 1 }],
      ['author', 'comments', { taskId: 1, text: 'x', authorId: 1 }],
      ['key', 'tasks', { id: 77, projectId: 1, title: 'x' }],
      ['version', 'tasks', { projectId: 1, title: 'x', version: 9 }],
      ['time', 'tasks', { projectId: 1, title: 'x', createdAt: '2026-01-01T00:00:00.000Z' }],
      ['hash', 'users', { name: 'x', password: 'pw', passwordHash: 'x' }],
      ['unknown field', 'tasks', { projectId: 1, title: 'x', titel: 'x' }],
    ])('no %s can be given', async (_, resource, data) => {
      expect(['bad_request', 'invalid']).toContain(
        outcomeOf(await sessions.as.root.request(resource, 'create', { data })),
      )
    })

    test.each<[string, string, Json]>([
      ['a blank title', 'tasks', { projectId: 1, title: ' ' }],
      ['a title that is too long', 'tasks', { projectId: 1, title: 'x'.repeat(201) }],
      ['a comment that is too long', 'comments', { taskId: 1, text: 'x'.repeat(2_001) }],
      ['a state that is none', 'tasks', { projectId: 1, title: 'x', state: 'later' }],
      ['an estimate with three places', 'tasks', { projectId: 1, title: 'x', estimate: '1.234' }],
      ['a date without a zone', 'tasks', { projectId: 1, title: 'x', dueAt: '2026-01-01T00:00:00' }],
      ['an assignee of another type', 'tasks', { projectId: 1, title: 'x', assigneeId: 'bob' }],
    ])('%s is invalid', async (_, resource, data) => {
      expect(outcomeOf(await sessions.as.root.request(resource, 'create', { data }))).toBe('invalid')
    })
  })

  describe('updating and deleting', () => {
    const stranger = 'unauthenticated'

    test.each<[what: string, resource: string, key: () => number, data: Json, PerRole<string>]>([
      [
        'a public project',
        'projects',
        () => open.project,
        { name: 'Garden day' },
        each(stranger, 'forbidden', 'forbidden', 'ok', 'ok'),
      ],
      [
        'a private project',
        'projects',
        () => secret.project,
        { public: false },
        each(stranger, 'not_found', 'ok', 'not_found', 'ok'),
      ],
      ['a public task', 'tasks', () => open.task, { points: 2 }, each(stranger, 'forbidden', 'ok', 'ok', 'ok')],
      [
        'a private task',
        'tasks',
        () => secret.task,
        { points: 3 },
        each(stranger, 'not_found', 'ok', 'not_found', 'ok'),
      ],
      [
        "bob's public comment",
        'comments',
        () => open.comment,
        { text: 'x' },
        each(stranger, 'forbidden', 'ok', 'forbidden', 'ok'),
      ],
      [
        "bob's private comment",
        'comments',
        () => secret.comment,
        { text: 'x' },
        each(stranger, 'not_found', 'ok', 'not_found', 'ok'),
      ],
      [
        "bob's name",
        'users',
        () => users.bob,
        { name: 'bob' },
        each('not_found', 'forbidden', 'ok', 'forbidden', 'ok'),
      ],
      [
        "bob's role, as it is",
        'users',
        () => users.bob,
        { role: 'member' },
        each('not_found', 'forbidden', 'ok', 'forbidden', 'ok'),
      ],
      [
        'what does not exist',
        'tasks',
        () => missing,
        { points: 3 },
        each(stranger, 'not_found', 'not_found', 'not_found', 'not_found'),
      ],
    ])('updating %s', async (_, resource, key, data, expected) => {
      const outcomes = await asAll(async (role) =>
        outcomeOf(await sessions.as[role].request(resource, 'update', { key: key(), data })),
      )
      expect(outcomes).toEqual(expected)
    })

    test.each<[what: string, resource: string, creator: RoleName, data: () => Json, PerRole<string>]>([
      [
        "alice's public project",
        'projects',
        'alice',
        () => ({ name: 'x', public: true }),
        each(stranger, 'forbidden', 'forbidden', 'ok', 'ok'),
      ],
      [
        "bob's private project",
        'projects',
        'bob',
        () => ({ name: 'x' }),
        each(stranger, 'not_found', 'ok', 'not_found', 'ok'),
      ],
      [
        'a public task',
        'tasks',
        'alice',
        () => ({ projectId: open.project, title: 'x' }),
        each(stranger, 'forbidden', 'ok', 'ok', 'ok'),
      ],
      [
        'a private task',
        'tasks',
        'bob',
        () => ({ projectId: secret.project, title: 'x' }),
        each(stranger, 'not_found', 'ok', 'not_found', 'ok'),
      ],
      [
        "carol's public comment",
        'comments',
        'carol',
        () => ({ taskId: open.task, text: 'x' }),
        each(stranger, 'ok', 'forbidden', 'forbidden', 'ok'),
      ],
      [
        "bob's private comment",
        'comments',
        'bob',
        () => ({ taskId: secret.task, text: 'x' }),
        each(stranger, 'not_found', 'ok', 'not_found', 'ok'),
      ],
      [
        "carol's membership",
        'memberships',
        'alice',
        () => ({ projectId: open.project, userId: users.carol }),
        each(stranger, 'forbidden', 'not_found', 'ok', 'ok'),
      ],
      [
        'a user',
        'users',
        'root',
        () => ({ name: `d${Math.random()}`, password: 'pw' }),
        each('not_found', 'forbidden', 'forbidden', 'forbidden', 'ok'),
      ],
    ])('deleting %s', async (_, resource, creator, data, expected) => {
      const outcomes = await asAll(async (role) => {
        const key = createdKey(await sessions.as[creator].request(resource, 'create', { data: data() }))
        const outcome = outcomeOf(await sessions.as[role].request(resource, 'delete', { key }))
        await sessions.as.root.request(resource, 'delete', { key })
        return outcome
      })
      expect(outcomes).toEqual(expected)
    })

    test('nobody raises their own rights', async () => {
      const { as } = sessions
      for (const data of [{ role: 'admin' }, { active: false }, { name: 'bob', role: 'admin' }]) {
        expect(['forbidden', 'bad_request', 'invalid']).toContain(
          outcomeOf(await as.bob.request('users', 'update', { key: users.bob, data })),
        )
      }
      expect(await as.root.request('users', 'get', { key: users.bob })).toMatchObject({
        data: { role: 'member', active: true },
      })
    })

    test('a task moves only to a project whose tasks one may write', async () => {
      const { as } = sessions
      const task = createdKey(
        await as.alice.request('tasks', 'create', { data: { projectId: open.project, title: 'x' } }),
      )
      const move = (role: RoleName, projectId: number): Promise<string> =>
        as[role].request('tasks', 'update', { key: task, data: { projectId } }).then(outcomeOf)
      expect(await move('alice', secret.project)).toBe('forbidden')
      expect(await move('alice', missing)).toBe('forbidden')
      expect(await move('bob', secret.project)).toBe('ok')
      expect(outcomeOf(await as.alice.request('tasks', 'get', { key: task }))).toBe('not_found')
      await as.root.request('tasks', 'delete', { key: task })
    })

    test('a stale version is a conflict', async () => {
      const { as } = sessions
      const created = await as.alice.request('tasks', 'create', { data: { projectId: open.project, title: 'x' } })
      const key = createdKey(created)
      const version = created.ok ? created.version : undefined
      const update = (points: number): Promise<ReplyMessage> =>
        as.bob.request('tasks', 'update', {
          key,
          data: { points },
          ...(version === undefined ? {} : { ifVersion: version }),
        })
      expect(await update(1)).toMatchObject({ ok: true, version: 2 })
      expect(outcomeOf(await update(2))).toBe('conflict')
      await as.root.request('tasks', 'delete', { key })
    })
  })

  test('hidden and missing records look the same', async () => {
    const { as } = sessions
    const bare = (reply: ReplyMessage): string => JSON.stringify({ ...reply, id: '' })
    for (const [resource, key] of [
      ['tasks', secret.task],
      ['projects', secret.project],
      ['comments', secret.comment],
    ] as const) {
      for (const [action, fields] of [
        ['get', {}],
        ['update', { data: {} }],
        ['delete', {}],
      ] as const) {
        const hidden = bare(await as.alice.request(resource, action, { ...fields, key }))
        const absent = bare(await as.alice.request(resource, action, { ...fields, key: missing }))
        expect(hidden, `${resource}.${action}`).toBe(absent)
        expect(hidden).toContain('not_found')
      }
      const views = [await as.alice.subscribe(resource, { key }), await as.alice.subscribe(resource, { key: missing })]
      expect(views.map((view) => [view.keys, view.ended, view.log])).toEqual(views.map(() => [[], undefined, []]))
    }
  })

  describe('lookups of tasks', () => {
    test.each<[Json, string[]]>([
      [{ title: 'BORROW' }, ['Borrow a wheelbarrow']],
      [{ pointsMax: 1, state: 'open' }, ['Invite everybody']],
      [{ ids: [], state: 'open' }, []],
    ])('%j', async (where, titles) => {
      await sessions.as.root.request('tasks', 'update', { key: open.task, data: { points: 1 } })
      const reply = await sessions.as.alice.request('tasks', 'list', { where: where as Record<string, Json> })
      expect(fieldOf(reply, 'title')).toEqual(titles)
    })

    test('ids', async () => {
      const reply = await sessions.as.alice.request('tasks', 'list', {
        where: { ids: [open.task, secret.task, missing] },
      })
      expect(fieldOf(reply, 'id')).toEqual([open.task])
    })
  })
})

function errorText(reply: ReplyMessage): string | undefined {
  return reply.ok ? undefined : reply.error.message
}
