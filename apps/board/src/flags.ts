import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** What the board is told on its command line, checked. */
export interface Flags {
  readonly orm: 'mikro-orm'
  readonly db: DatabaseAddress
  readonly layer: 'memory'
  /** 0: any free port. */
  readonly port: number
  readonly seed: 'demo' | 'empty'
  /** Seconds for which a sign-in holds. */
  readonly tokenTtl: number
}

/** Which database, and where: `url` is the flag with an absolute path for SQLite. */
export type DatabaseAddress =
  | { readonly kind: 'sqlite'; readonly url: string; readonly file: string }
  | { readonly kind: 'postgres' | 'mysql' | 'mariadb'; readonly url: string }

/** A command line that cannot be followed; the message says what would be right. */
export class FlagError extends Error {
  override name = 'FlagError'
}

/** How to start the board, for people. */
export const usage: string = `Usage: npm run board -- [flags]
  --orm mikro-orm                                      default mikro-orm
  --db sqlite:<file> | postgres://… | mysql://…        default sqlite:apps/board/data/board.sqlite
  --layer memory                                       default memory
  --port <0…65535>                                     default 4000; 0 is any free port
  --seed demo | empty                                  default demo; only an empty database is seeded
  --token-ttl <seconds>                                default 3600`

const defaultFile = fileURLToPath(new URL('../data/board.sqlite', import.meta.url))

/**
 * Reads the command line.
 * @throws FlagError for an unknown flag, a bad value, or a part that is not there yet.
 */
export function parseFlags(args: readonly string[]): Flags {
  const { orm, db, layer, port, seed, 'token-ttl': tokenTtl } = readArguments(args)
  if (orm !== 'mikro-orm') throw notAvailable('--orm', orm, ['sequelize'], 'mikro-orm')
  if (layer !== 'memory') throw notAvailable('--layer', layer, layer.startsWith('redis://') ? [layer] : [], 'memory')
  if (seed !== 'demo' && seed !== 'empty') throw new FlagError(`--seed ${seed}: expected demo or empty`)
  return {
    orm,
    db: databaseAddress(db),
    layer,
    port: wholeNumber('--port', port, 0, 65_535),
    seed,
    tokenTtl: wholeNumber('--token-ttl', tokenTtl, 1, 31_536_000),
  }
}

function readArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        orm: { type: 'string', default: 'mikro-orm' },
        db: { type: 'string', default: `sqlite:${defaultFile}` },
        layer: { type: 'string', default: 'memory' },
        port: { type: 'string', default: '4000' },
        seed: { type: 'string', default: 'demo' },
        'token-ttl': { type: 'string', default: '3600' },
      },
    })
    return values
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error))
  }
}

function databaseAddress(url: string): DatabaseAddress {
  if (url.startsWith('sqlite:')) {
    const file = url.slice('sqlite:'.length)
    if (file === '') throw new FlagError('--db sqlite: expected a file, such as sqlite:board.sqlite')
    if (file === ':memory:') return { kind: 'sqlite', url, file }
    const absolute = resolve(file)
    return { kind: 'sqlite', url: `sqlite:${absolute}`, file: absolute }
  }
  const scheme = URL.canParse(url) ? new URL(url).protocol : ''
  switch (scheme) {
    case 'postgres:':
    case 'postgresql:':
      return { kind: 'postgres', url }
    case 'mysql:':
      return { kind: 'mysql', url }
    case 'mariadb:':
      return { kind: 'mariadb', url }
    default:
      throw new FlagError(`--db ${url}: expected sqlite:<file>, postgres://… or mysql://…`)
  }
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw new FlagError(`${flag} ${text}: expected a whole number from ${least} to ${most}`)
}

function notAvailable(flag: string, value: string, planned: readonly string[], now: string): FlagError {
  const why = planned.includes(value) ? 'is not available yet' : 'is unknown'
  return new FlagError(`${flag} ${value} ${why}; use ${flag} ${now}`)
}
