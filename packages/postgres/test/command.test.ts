import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runCommand } from '../src/command.ts'
import { outboxRemovalSql, outboxSql } from '../src/index.ts'
import { catalogOf } from './support/catalog.ts'
import { type TestDatabase, missing, openDatabase } from './support/database.ts'
import { psql } from './support/psql.ts'

const tables = [{ table: 'note', entity: 'Note', key: ['id'] as const }]

// The machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const reason = await missing()
describe.skipIf(reason !== undefined)(reason ?? 'rtapi-postgres', () => {
  let database: TestDatabase
  let folder: string
  beforeAll(async () => {
    database = await openDatabase('create table note (id integer primary key)')
    folder = await mkdtemp(join(tmpdir(), 'rtapi-command-'))
    await writeFile(join(folder, 'rtapi-postgres.config.js'), `export default ${JSON.stringify({ tables })}`)
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(join(folder, 'tables.json'), JSON.stringify({ tables, schema: 'live' }))
    await writeFile(join(folder, 'nothing.json'), '{ "tables": "none" }')
    await writeFile(join(folder, 'broken.js'), 'export default {')
  })
  afterAll(async () => {
    await database.close()
    await rm(folder, { recursive: true })
  })

  async function run(...args: readonly string[]) {
    const written = { out: '', error: '' }
    const code = await runCommand(args, {
      cwd: folder,
      out: (text) => void (written.out += text),
      error: (text) => void (written.error += text),
    })
    return { code, ...written }
  }

  test('installs, says how it stands, and removes', async () => {
    const connection = `--connection=${database.url}`
    const client = await database.connect()
    const before = await catalogOf(client)
    const absent = await run('status', connection)
    expect(absent.code).toBe(1)
    expect(absent.out).toContain('note: missing')
    expect(await run('install', connection)).toMatchObject({ code: 0, error: '' })
    const installed = await catalogOf(client)
    expect(await run('install', connection)).toMatchObject({ code: 0, error: '' })
    expect(await catalogOf(client)).toEqual(installed)
    await client.query('insert into note values (1)')
    const { out } = await run('status', connection)
    expect(out).toMatch(/^outbox: installed\npublic.note: installed\nwaiting: 1 rows, the oldest for \d+ ms\n$/)
    expect(await run('uninstall', connection)).toMatchObject({ code: 0, out: 'uninstalled\n' })
    expect(await catalogOf(client)).toEqual(before)
  })

  test('prints what it would run, for psql', async () => {
    const { code, out } = await run('print', 'tables.json')
    expect({ code, out }).toEqual({ code: 0, out: `${outboxSql(tables, { schema: 'live' })}\n` })
    await psql(database.url, out)
    await psql(database.url, 'insert into note values (2)')
    expect(await psql(database.url, 'select entity, action, key from live.outbox')).toBe('Note|create|[2]\n')
    const removal = await run('print', 'tables.json', '--uninstall')
    expect(removal.out).toBe(`${outboxRemovalSql({ schema: 'live' })}\n`)
    await psql(database.url, removal.out)
    expect(await psql(database.url, "select count(*) from pg_namespace where nspname = 'live'")).toBe('0\n')
  })

  test.each([
    [[], 2, ''],
    [['dance'], 2, "there is no command 'dance'"],
    [['print', '--mode=magic'], 2, "there is no mode 'magic'"],
    [['print', '--colour'], 2, "Unknown option '--colour'"],
    [['print', 'tables.json', 'more'], 2, "'more' is one argument too many"],
    [['print', 'absent.js'], 1, 'absent.js cannot be loaded'],
    [['print', 'broken.js'], 1, 'broken.js cannot be loaded'],
    [['print', 'nothing.json'], 1, 'has no default export { tables'],
    [['status', '--connection=postgresql://nobody@127.0.0.1:1/none'], 1, 'ECONNREFUSED'],
  ])('%j ends with %i', async (args, code, message) => {
    const ended = await run(...args)
    expect(ended.code).toBe(code)
    expect(ended.error).toContain(message)
    expect(ended.error).not.toContain('    at ')
  })

  test('is a program that takes the database from the environment', async () => {
    const cli = join(import.meta.dirname, '..', 'src', 'cli.ts')
    const { hostname, port, username, password, pathname } = new URL(database.url)
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=rtapi-source', cli, 'install'], {
      cwd: folder,
      env: {
        ...process.env,
        PGHOST: hostname,
        PGPORT: port,
        PGUSER: username,
        PGPASSWORD: password,
        PGDATABASE: pathname.slice(1),
      },
    })
    expect(stdout).toContain('public.note: installed')
  })
})
