/** Which combinations are tried. To add one, add a row. */
import { setups } from './databases.ts'
import { type TransportName, links } from './transports.ts'
import type { Setup } from './world.ts'

/** One setup of boards, and the transports that are tried on it. */
export interface Row extends Setup {
  readonly transports: readonly TransportName[]
}

/** Every transport on every layer; each ORM on each database it supports. */
const chosen: readonly Row[] = [
  { layer: 'memory', orm: 'mikro-orm', database: 'sqlite', transports: ['ws', 'socket.io', 'script'] },
  {
    layer: 'memory',
    orm: 'sequelize',
    database: 'postgres',
    transports: ['node-websocket', 'long-polling', 'event-stream', 'socket.io-msgpack'],
  },
  { layer: 'memory', orm: 'mikro-orm', database: 'mariadb', transports: ['socket.io-polling', 'ws-msgpack'] },
  {
    layer: 'redis',
    orm: 'mikro-orm',
    database: 'postgres',
    transports: ['ws', 'socket.io', 'long-polling', 'ws-msgpack', 'script'],
  },
  {
    layer: 'redis',
    orm: 'sequelize',
    database: 'mariadb',
    transports: ['node-websocket', 'event-stream', 'socket.io-polling', 'socket.io-msgpack'],
  },
  { layer: 'redis', orm: 'mixed', database: 'postgres', transports: ['ws'] },
]

/** The rows with one layer; with `E2E=all` in the environment every combination there is. */
export function rowsWith(layer: Setup['layer']): readonly Row[] {
  const rows = process.env['E2E'] === 'all' ? everything() : chosen
  return rows.filter((row) => row.layer === layer)
}

/** What Chromium's page is tried on. */
export function rowsOfPage(): readonly Setup[] {
  return process.env['E2E'] === 'all' ? everything() : chosenForPage
}

const chosenForPage: readonly Setup[] = [
  { layer: 'memory', orm: 'mikro-orm', database: 'sqlite' },
  { layer: 'redis', orm: 'mikro-orm', database: 'sqlite' },
]

function everything(): readonly Row[] {
  const transports: readonly TransportName[] = [...(Object.keys(links) as (keyof typeof links)[]), 'script']
  const layers = ['memory', 'redis'] as const
  return layers.flatMap((layer) => setups.map(([orm, database]) => ({ layer, orm, database, transports })))
}
