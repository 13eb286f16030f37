import { describe, expect, test, vi } from 'vitest'
import { FlagError, parseFlags } from '../src/flags.ts'
import { runBoard } from './support/board-process.ts'

// Processes take their time where many tests run at once.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 })

describe('parseFlags', () => {
  test('has a default for every flag', () => {
    const flags = parseFlags([])
    expect(flags).toMatchObject({ orm: 'mikro-orm', layer: 'memory', port: 4000, seed: 'demo', tokenTtl: 3600 })
    expect(flags.db.kind).toBe('sqlite')
    expect(flags.db.url).toMatch(/^sqlite:\/.*board\.sqlite$/)
  })

  test('takes each flag, with a space or an equals sign', () => {
    const spaced = ['--orm', 'mikro-orm', '--db', 'sqlite:/tmp/x.sqlite', '--layer', 'memory', '--port', '0']
    const joined = ['--seed=empty', '--token-ttl=60']
    expect(parseFlags([...spaced, ...joined])).toEqual({
      orm: 'mikro-orm',
      db: { kind: 'sqlite', url: 'sqlite:/tmp/x.sqlite', file: '/tmp/x.sqlite' },
      layer: 'memory',
      port: 0,
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

  test.each([
    [['--orm', 'sequelize'], '--orm sequelize is not available yet; use --orm mikro-orm'],
    [['--orm', 'prisma'], '--orm prisma is unknown; use --orm mikro-orm'],
    [['--layer', 'redis://127.0.0.1'], '--layer redis://127.0.0.1 is not available yet; use --layer memory'],
    [['--layer', 'nats'], '--layer nats is unknown; use --layer memory'],
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
  const { code, stdout, stderr } = await runBoard(['--orm', 'sequelize'])
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toContain('--orm sequelize is not available yet; use --orm mikro-orm')
  expect(stderr).toContain('Usage: npm run board --')
})
