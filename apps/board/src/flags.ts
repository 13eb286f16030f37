import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** What the board is told on its command line, checked. */
export interface Flags {
  readonly orm: 'mikro-orm' | 'sequelize'
  readonly db: DatabaseAddress | EmbeddedDatabase
  readonly layer: LayerAddress
  /** 0: any free port. Of several nodes the first one's; each further one takes the next, or any free one. */
  readonly port: number
  /** Processes that share the database and the layer. */
  readonly nodes: number
  readonly seed: 'demo' | 'empty'
  /** Seconds for which a sign-in holds. */
  readonly tokenTtl: number
}

/** Which database, and where: `url` is the flag with an absolute path for SQLite. */
export type DatabaseAddress =
  | { readonly kind: 'sqlite'; readonly url: string; readonly file: string }
  | { readonly kind: 'postgres' | 'mysql' | 'mariadb'; readonly url: string }

/** A PostgreSQL that the board starts for itself, and where it keeps its data. */
interface EmbeddedDatabase {
  readonly kind: 'embedded-postgres'
  readonly folder: string
}

/** Where changes travel; `private-redis`: over one that the board starts for itself. */
export type LayerAddress =
  | { readonly kind: 'memory' }
  | { readonly kind: 'redis'; readonly url: string }
  | { readonly kind: 'private-redis' }

/** A command line that cannot be followed; the message says what would be right. */
export class FlagError extends Error {
  override name = 'FlagError'
}

/** How to start the board, for people. */
export const usage: string = `Usage: npm run board -- [flags]
  --orm mikro-orm | sequelize                          default mikro-orm
  --db sqlite:<file> | postgres://… | mysql://…        default sqlite:apps/board/data/board.sqlite; with
                                                       sequelize a PostgreSQL that the board starts itself
  --layer memory | redis://…                           default memory; with several nodes a Redis of their own
  --nodes <1…16>                                       default 1; processes that share database and layer
  --port <0…65535>                                     default 4000; 0 is any free port; node n has port + n - 1
  --seed demo | empty                                  default demo; only an empty database is seeded
  --token-ttl <seconds>                                default 3600`

/** Where databases without `--db` lie. */
const data = process.env['BOARD_DATA'] ?? fileURLToPath(new URL('../data', import.meta.url))

/**
 * Reads the command line.
 * @throws FlagError for an unknown flag, a bad value, or values that do not go together.
 */
export function parseFlags(args: readonly string[]): Flags {
  const { orm, db, layer, port, nodes, seed, 'token-ttl': tokenTtl } = readArguments(args)
  if (orm !== 'mikro-orm' && orm !== 'sequelize') {
    throw new FlagError(`--orm ${orm}: expected mikro-orm or sequelize`)
  }
  if (seed !== 'demo' && seed !== 'empty') throw new FlagError(`--seed ${seed}: expected demo or empty`)
  const flags: Flags = {
    orm,
    db: db === undefined ? defaultDatabase(orm) : databaseAddress(db),
    layer: layerAddress(layer, wholeNumber('--nodes', nodes, 1, 16)),
    port: wholeNumber('--port', port, 0, 65_535),
    nodes: Number(nodes),
    seed,
    tokenTtl: wholeNumber('--token-ttl', tokenTtl, 1, 31_536_000),
  }
  refuseContradictions(flags)
  return flags
}

function readArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        orm: { type: 'string', default: 'mikro-orm' },
        db: { type: 'string' },
        layer: { type: 'string' },
        port: { type: 'string', default: '4000' },
        nodes: { type: 'string', default: '1' },
        seed: { type: 'string', default: 'demo' },
        'token-ttl': { type: 'string', default: '3600' },
      },
    })
    return values
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error))
  }
}

/** What cannot work together; said here, before anything is started. */
function refuseContradictions({ orm, db, port, nodes }: Flags): void {
  if (orm === 'sequelize' && db.kind === 'sqlite') {
    throw new FlagError(
      `--db ${db.url} needs --orm mikro-orm: with --orm sequelize use postgres://… or mysql://…, ` +
        'or leave --db out for a PostgreSQL that the board starts itself',
    )
  }
  if (nodes === 1) return
  if (db.kind === 'sqlite' && db.file === ':memory:') {
    throw new FlagError(`--nodes ${nodes} needs a database that processes can share: use sqlite:<file>`)
  }
  if (port + nodes - 1 > 65_535) throw new FlagError(`--port ${port}: there are not ${nodes} ports from there on`)
}

function defaultDatabase(orm: Flags['orm']): Flags['db'] {
  return orm === 'sequelize'
    ? { kind: 'embedded-postgres', folder: resolve(data, 'postgres') }
    : databaseAddress(`sqlite:${resolve(data, 'board.sqlite')}`)
}

function databaseAddress(url: string): DatabaseAddress {
  if (url.startsWith('sqlite:')) {
    const file = url.slice('sqlite:'.length)
    if (file === '') throw new FlagError('--db sqlite: expected a file, such as sqlite:board.sqlite')
    if (file === ':memory:') return { kind: 'sqlite', url, file }
    const absolute = resolve(file)
    return { kind: 'sqlite', url: `sqlite:${absolute}`, file: absolute }
  }
  switch (schemeOf(url)) {
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

function layerAddress(layer: string | undefined, nodes: number): LayerAddress {
  if (layer === undefined) return { kind: nodes > 1 ? 'private-redis' : 'memory' }
  if (layer === 'memory') {
    if (nodes === 1) return { kind: 'memory' }
    throw new FlagError(`--nodes ${nodes} with --layer memory: processes share no memory; leave --layer out`)
  }
  if (['redis:', 'rediss:'].includes(schemeOf(layer))) return { kind: 'redis', url: layer }
  throw new FlagError(`--layer ${layer}: expected memory or redis://…`)
}

function schemeOf(url: string): string {
  return URL.canParse(url) ? new URL(url).protocol : ''
}

function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw new FlagError(`${flag} ${text}: expected a whole number from ${least} to ${most}`)
}
