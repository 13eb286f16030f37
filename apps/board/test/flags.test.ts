import { describe, expect, test, vi } from 'vitest'
import { FlagError, parseFlags } from '../src/flags.ts'
import { runBoard } from '../../e2e/src/board-process.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

describe('parseFlags', () => {
  test('has a default for every flag', () => {
    const flags = parseFlags([])
    expect(flags).toMatchObject({ orm: 'mikro-orm', port: 4000, nodes: 1, seed: 'demo', tokenTtl: 3600 })
    expect(flags.layer).toEqual({ kind: 'memory' })
    expect(flags.db.kind === 'sqlite' && flags.db.url).toMatch(/^sqlite:\/.*board\.sqlite$/)
    expect(parseFlags(['--orm', 'sequelize']).db.kind).toBe('embedded-postgres')
    expect(parseFlags(['--nodes', '2']).layer).toEqual({ kind: 'private-redis' })
  })

  test('takes each flag, with a space or an equals sign', () => {
    const spaced = ['--orm', 'mikro-orm', '--db', 'sqlite:/tmp/x.sqlite', '--layer', 'memory', '--port', '0']
    const joined = ['--seed=empty', '--token-ttl=60']
    expect(parseFlags([...spaced, ...joined])).toEqual({
      orm: 'mikro-orm',
      db: { kind: 'sqlite', url: 'sqlite:/tmp/x.sqlite', file: '/tmp/x.sqlite' },
      layer: { kind: 'memory' },
      port: 0,
      nodes: 1,
      seed: 'empty',
      tokenTtl: 60,
    })
  })

  test.each([
    ['postgres://u:p@h:1/d', 'postgres'],
    ['postgresql://h/d', 'postgres'],
    ['mysql://h/d', 'mysql'],
    ['mariadb://h/d', 'mariadb'],
    ['sqlite::memory:', 'sqlite'],
  ])('knows %s', (url, kind) => {
    expect(parseFlags(['--db', url]).db).toMatchObject({ kind, url })
  })

  test('takes several nodes, with a Redis of their own or a given one', () => {
    const layer = ['--layer', 'redis://127.0.0.1:6379']
    expect(parseFlags(['--nodes', '2', '--port', '0', ...layer])).toMatchObject({
      nodes: 2,
      layer: { kind: 'redis', url: 'redis://127.0.0.1:6379' },
    })
  })

  test.each([
    [['--orm', 'prisma'], '--orm prisma: expected mikro-orm or sequelize'],
    [
      ['--orm', 'sequelize', '--db', 'sqlite:/tmp/x'],
      '--db sqlite:/tmp/x needs --orm mikro-orm: with --orm sequelize use postgres://… or mysql://…, or leave --db out for a PostgreSQL that the board starts itself',
    ],
    [['--layer', 'nats'], '--layer nats: expected memory or redis://…'],
    [['--nodes', '17'], '--nodes 17: expected a whole number from 1 to 16'],
    [['--nodes', '2', '--port', '65535'], '--port 65535: there are not 2 ports from there on'],
    [
      ['--nodes', '2', '--layer', 'memory'],
      '--nodes 2 with --layer memory: processes share no memory; leave --layer out',
    ],
    [
      ['--nodes', '2', '--db', 'sqlite::memory:'],
      '--nodes 2 needs a database that processes can share: use sqlite:<file>',
    ],
    [['--db', 'mongodb://h'], '--db mongodb://h: expected sqlite:<file>, postgres://… or mysql://…'],
    [['--db', 'sqlite:'], '--db sqlite: expected a file, such as sqlite:board.sqlite'],
    [['--port', '65536'], '--port 65536: expected a whole number from 0 to 65535'],
    [['--port', 'x'], '--port x: expected a whole number from 0 to 65535'],
    [['--token-ttl', '0'], '--token-ttl 0: expected a whole number from 1 to 31536000'],
    [['--seed', 'huge'], '--seed huge: expected demo or empty'],
  ])('refuses %j', (args, message) => {
    expect(() => parseFlags(args)).toThrow(new FlagError(message))
  })

  test.each([[['--prot', '1']], [['extra']], [['--port']]])('refuses %j as unknown or incomplete', (args) => {
    expect(() => parseFlags(args)).toThrow(FlagError)
  })
})

test('a board that cannot follow its flags says so and ends with status 2', async () => {
  const { code, stdout, stderr } = await runBoard(['--orm', 'prisma'])
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toContain('--orm prisma: expected mikro-orm or sequelize')
  expect(stderr).toContain('Usage: npm run board --')
})
