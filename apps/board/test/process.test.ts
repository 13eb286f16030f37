import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { startBoard, temporaryFolder } from '../../e2e/src/board-process.ts'
import { type TestDatabase, newDatabase, setups } from '../../e2e/src/databases.ts'
import { connect } from '../../e2e/src/wire-client.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  folder = await temporaryFolder()
})

afterAll(() => folder.remove())

test('the one line on standard output tells where everything is', async () => {
  const db = `sqlite:${folder.path}/new/line.sqlite`
  const board = await startBoard(['--db', db])
  const { http } = board.line
  expect(http).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(board.line).toEqual({
    http,
    ws: `${http.replace('http', 'ws')}/rt`,
    socketio: http,
    socketioPath: '/socket.io',
    poll: `${http}/rt-poll`,
    db,
  })
  expect((await fetch(`${http}/no-such-page`)).status).toBe(404)
  expect((await fetch(`${http}/`, { method: 'PUT' })).status).toBe(405)
  expect(await board.stop()).toBe(0)
  expect(board.output.stdout.split('\n')).toHaveLength(2)
  expect(board.output.stderr).toContain(`The board is at ${http}`)
})

describe.each(setups)('%s on %s', (orm, kind) => {
  let database: TestDatabase
  beforeEach(async () => {
    database = await newDatabase(kind)
  })
  afterEach(() => database.remove())

  test('boards that start together on a new database share it, and a later one finds what they wrote', async () => {
    const flags = ['--orm', orm, '--db', database.url]
    const [one, other] = await Promise.all([startBoard(flags), startBoard(flags)])
    const token = await one.login('alice')
    const client = await connect(other.line, { token })
    await client.request('projects', 'create', { data: { name: 'lasting', public: true } })
    await Promise.all([one.stop(), other.stop()])

    const later = await startBoard(flags)
    const after = await connect(later.line, { token })
    const reply = await after.request('projects', 'list', { order: [['id', 'asc']] })
    expect(reply.ok && reply.rows?.map(({ data }) => data['name'])).toEqual(['Garden day', 'lasting'])
    await later.stop()
    for (const board of [one, other, later]) expect(board.output.stderr.trim().split('\n')).toHaveLength(1)
  })
})

test('the seed `empty` has the four users and nothing else, and SIGTERM says goodbye', async () => {
  const board = await startBoard(['--db', `sqlite:${folder.path}/empty.sqlite`, '--seed', 'empty'])
  const root = await connect(board.line, { token: await board.login('root') })
  const users = await root.request('users', 'list', { order: [['id', 'asc']] })
  expect(users.ok && users.rows?.map(({ data }) => [data['name'], data['role'], data['active']])).toEqual([
    ['alice', 'member', true],
    ['bob', 'member', true],
    ['carol', 'member', true],
    ['root', 'admin', true],
  ])
  for (const resource of ['projects', 'memberships', 'tasks', 'comments']) {
    expect(await root.request(resource, 'list')).toMatchObject({ rows: [] })
  }
  const code = board.stop('SIGTERM')
  expect((await root.closed).code).toBe(4452)
  expect(root.messages.at(-1)).toMatchObject({ type: 'goodbye', code: 4452, again: true })
  expect(await code).toBe(0)
})

test('clients hear when their token expires', async () => {
  const board = await startBoard(['--db', `sqlite:${folder.path}/ttl.sqlite`, '--token-ttl', '6'])
  const client = await connect(board.line, { token: await board.login('alice') })
  const { expiresAt } = await client.welcomed
  const expiring = await client.until((message) => message.type === 'expiring')
  expect(expiring).toEqual({ type: 'expiring', expiresAt })
  expect(await board.stop('SIGINT')).toBe(0)
})

test('the database has the tables and columns that others rely on', async () => {
  const file = `${folder.path}/tables.sqlite`
  const board = await startBoard(['--db', `sqlite:${file}`])
  await board.stop()
  const db = new DatabaseSync(file)
  const columns = (table: string): unknown[] =>
    db
      .prepare(`select name from pragma_table_info('${table}')`)
      .all()
      .map(({ name }) => name)
  expect(columns('user')).toEqual(['id', 'name', 'role', 'active', 'password_hash'])
  expect(columns('project')).toEqual(['id', 'name', 'public', 'owner_id'])
  expect(columns('membership')).toEqual(['id', 'project_id', 'user_id'])
  expect(columns('task')).toEqual([
    'id',
    'project_id',
    'title',
    'state',
    'assignee_id',
    'points',
    'estimate',
    'due_at',
    'notes',
    'version',
    'created_at',
  ])
  expect(columns('comment')).toEqual(['id', 'task_id', 'author_id', 'text', 'created_at'])
  db.close()
})
